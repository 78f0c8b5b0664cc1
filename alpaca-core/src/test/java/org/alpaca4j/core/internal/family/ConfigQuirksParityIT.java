package org.alpaca4j.core.internal.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Order;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Variants of {@code config.json} and what they mean, in the folder {@code -Dfixtures}. */
@Tag("parity")
class ConfigQuirksParityIT {
  private static final JsonMapper JSON = new JsonMapper();

  private static Stream<JsonNode> entries(String list) throws IOException {
    Path file =
        Path.of(System.getProperty("fixtures")).resolve("config-quirks").resolve("variants.json");
    if (!Files.exists(file)) {
      return Stream.empty();
    }
    return StreamSupport.stream(JSON.readTree(file.toFile()).path(list).spliterator(), false);
  }

  @TestFactory
  Stream<DynamicTest> everyVariantMeansWhatItMeansThere() throws IOException {
    return entries("variants")
        .map(
            variant ->
                dynamicTest(
                    variant.get("name").asText(),
                    () -> {
                      ModelConfig config =
                          ModelConfig.parse(variant.get("config").toString(), "config.json");
                      for (Map.Entry<String, JsonNode> entry :
                          variant.get("resolved").properties()) {
                        assertEqual(config, entry.getKey(), entry.getValue());
                      }
                    }));
  }

  @TestFactory
  Stream<DynamicTest> whatTransformersRefusesIsRefused() throws IOException {
    return entries("refused")
        .map(
            variant ->
                dynamicTest(
                    variant.get("name").asText(),
                    () ->
                        assertThatThrownBy(
                                () ->
                                    ModelConfig.parse(
                                        variant.get("config").toString(), "config.json"))
                            .isInstanceOf(AlpacaException.class)
                            .hasMessageStartingWith("config.json: ")));
  }

  private static void assertEqual(ModelConfig config, String key, JsonNode expected) {
    DecoderDescription model = Internals.description(config);
    Layer layer = model.layers().get(0);
    Attention attention = layer.attention();
    switch (key) {
      case "norm" -> assertNorm(model, expected);
      case "rotary" -> assertRotary(model, expected);
      case "biases" -> assertBiases(model, expected);
      case "experts" -> assertExperts(model, expected);
      case "quantization" -> assertQuantization(Internals.quantization(config), expected);
      case "attention_scale" ->
          assertThat(attention.scale()).isEqualTo(expected.asDouble(), within(1e-12));
      case "max_positions" -> {
        if (!expected.isNull()) { // BLOOM has no such length; ours is that of its training
          assertThat(model.maxPositions()).isEqualTo(expected.asInt());
        }
      }
      case "pad_token_id" ->
          assertThat(config.padTokenId())
              .isEqualTo(
                  expected.asInt(-1) < 0 ? OptionalInt.empty() : OptionalInt.of(expected.asInt()));
      case "embedding_multiplier" ->
          assertThat(model.embedding().scale()).isEqualTo(expected.asDouble(), within(1e-12));
      case "residual_multiplier" ->
          assertThat(layer.aroundMlp().branchScale())
              .isEqualTo(layer.aroundAttention().branchScale())
              .isEqualTo(expected.asDouble());
      case "logits_divisor" ->
          assertThat(1 / model.head().multiplier()).isEqualTo(expected.asDouble(), within(1e-12));
      default ->
          assertThat(plain(config, model, layer, key))
              .as(key)
              .isEqualTo(JSON.convertValue(expected, Object.class));
    }
  }

  /** Returns a value as JSON would have it. */
  private static @Nullable Object plain(
      ModelConfig config, DecoderDescription model, Layer layer, String key) {
    Attention attention = layer.attention();
    Residual first = layer.aroundAttention();
    return switch (key) {
      case "family" -> model.family();
      case "vocab_size" -> config.vocabSize();
      case "hidden_size" -> config.hiddenSize();
      case "embedding_width" -> model.embedding().width();
      case "layers" -> config.numHiddenLayers();
      case "heads" -> config.numAttentionHeads();
      case "kv_heads" -> config.numKeyValueHeads();
      case "head_dim" -> config.headDim();
      case "intermediate_size" -> denseWidth(model);
      case "tied" -> config.tieWordEmbeddings();
      case "dtype" -> config.dtype().map(DType::torchName).orElse(null);
      case "qk_norm" -> attention.headNorm() != null;
      case "activation" ->
          (layer.mlp() instanceof Dense dense
                  ? dense.activation()
                  : ((Experts) layer.mlp()).activation())
              .name()
              .toLowerCase(java.util.Locale.ROOT);
      case "gated" -> !(layer.mlp() instanceof Dense dense) || dense.gated();
      case "positions" ->
          attention.alibi() != null
              ? "alibi"
              : model.embedding().positions() != null ? "learned" : "rotary";
      case "rotary_layers" -> {
        List<Boolean> turn =
            model.layers().stream().map(l -> !l.attention().rotaries().isEmpty()).toList();
        yield turn.contains(true) && turn.contains(false) ? turn : null;
      }
      case "windows" -> {
        List<@Nullable Integer> windows = new ArrayList<>();
        for (int i = 0; i < config.numHiddenLayers(); i++) {
          OptionalInt window = config.slidingWindow(i);
          windows.add(window.isPresent() ? (Integer) window.getAsInt() : null);
        }
        yield windows;
      }
      case "bos_token_id" ->
          config.bosTokenId().isPresent() ? (Integer) config.bosTokenId().getAsInt() : null;
      case "eos_token_ids" -> config.eosTokenIds();
      case "parameters" -> {
        long elements =
            model.tensors().stream()
                .mapToLong(t -> t.shape().stream().reduce(1L, (a, b) -> a * b))
                .sum();
        yield elements <= Integer.MAX_VALUE ? (Object) (int) elements : (Object) elements;
      }
      case "attention_softcap" -> attention.softcap();
      case "logit_softcap" -> model.head().softcap();
      case "logits_multiplier" -> model.head().multiplier();
      case "parallel_residual" -> layer.parallel();
      case "post_norm_residual" -> first.ofNormed();
      case "layout" -> layout(attention);
      case "parallel_norms" -> layer.parallel() && layer.aroundMlp().before() != null ? 2 : 1;
      case "norm_before" -> first.before() != null;
      case "final_norm" -> model.finalNorm() != null;
      case "position_offset" -> model.embedding().positionOffset();
      case "projected" -> model.embedding().projection() != null;
      case "scale_by_layer" -> {
        Attention last = model.layers().get(model.layers().size() - 1).attention();
        yield last.scale() != attention.scale();
      }
      case "normalised_head" -> model.head().normalisedRows();
      default -> "an unknown key";
    };
  }

  private static @Nullable Integer denseWidth(DecoderDescription model) {
    return model.layers().stream()
        .map(Layer::mlp)
        .filter(Dense.class::isInstance)
        .map(mlp -> ((Dense) mlp).width())
        .findFirst()
        .orElse(null);
  }

  private static String layout(Attention attention) {
    Order order = attention.queryKeyValue().weight().tensors().get(0).order();
    if (order instanceof Order.Same) {
      return "multi_query";
    }
    return attention.kvHeads() == attention.heads() ? "interleaved" : "grouped";
  }

  private static void assertNorm(DecoderDescription model, JsonNode expected) {
    Residual branch = model.layers().get(0).aroundAttention();
    Norm norm = Optional.ofNullable(branch.before()).orElse(branch.sum());
    boolean layer = norm.kind() == Norm.Kind.LAYER;
    assertThat(layer ? "layer" : "rms").isEqualTo(expected.get("kind").asText());
    assertThat(norm.eps()).isEqualTo(expected.get("eps").asDouble());
    assertThat(norm.bias() != null).isEqualTo(expected.get("bias").asBoolean());
    assertThat(norm.weight() != null).isEqualTo(expected.get("weight").asBoolean());
  }

  private static void assertRotary(DecoderDescription model, JsonNode expected) {
    if (expected.isNull()) {
      assertThat(model.rotaries()).isEmpty();
      return;
    }
    boolean twice = expected.get(0).has("twice");
    assertThat(model.rotaries()).hasSize(twice ? 2 : expected.size());
    for (int i = 0; i < expected.size(); i++) {
      JsonNode entry = expected.get(i);
      Rotary rotary = model.rotaries().get(i);
      assertThat(rotary.dims()).isEqualTo(entry.get("dim").asInt());
      assertThat(rotary.theta()).isEqualTo(entry.get("base").asDouble());
      assertThat(rotary.scaling().type().configName()).isEqualTo(entry.get("type").asText());
      if (entry.has("attention_factor")) {
        assertThat(rotary.scaling().attentionScaling())
            .isEqualTo(entry.get("attention_factor").asDouble(), within(1e-12));
      }
      assertFrequencies(model, rotary, 1, entry.get("inv_freq"));
      assertFrequencies(model, rotary, model.maxPositions(), entry.get("inv_freq_long"));
    }
  }

  private static void assertFrequencies(
      DecoderDescription model, Rotary rotary, int length, @Nullable JsonNode expected) {
    if (expected == null) {
      return;
    }
    float[] frequencies =
        rotary
            .scaling()
            .inverseFrequencies(rotary.theta(), rotary.dims(), model.maxPositions(), length);
    assertThat(frequencies).hasSize(expected.size());
    for (int i = 0; i < frequencies.length; i++) {
      double wanted = expected.get(i).asDouble();
      assertThat((double) frequencies[i]).isEqualTo(wanted, within(1e-6 * wanted));
    }
  }

  private static void assertBiases(DecoderDescription model, JsonNode expected) {
    Layer layer = model.layers().get(0);
    Set<String> biased = new TreeSet<>();
    if (layer.attention().queryKeyValue().bias() != null) {
      biased.addAll(List.of("q", "k", "v"));
    }
    if (layer.attention().output().bias() != null) {
      biased.add("o");
    }
    if (layer.mlp() instanceof Dense dense && dense.in().bias() != null) {
      biased.add("mlp_in");
    }
    if (layer.mlp() instanceof Dense dense && dense.out().bias() != null) {
      biased.add("mlp_out");
    }
    if (model.head().bias() != null) {
      biased.add("head");
    }
    Set<String> wanted = new TreeSet<>();
    expected.properties().stream()
        .filter(entry -> entry.getValue().asBoolean())
        .forEach(entry -> wanted.add(entry.getKey()));
    assertThat(biased).isEqualTo(wanted);
  }

  private static void assertExperts(DecoderDescription model, JsonNode expected) {
    List<Integer> dense = new ArrayList<>();
    for (int i = 0; i < model.layers().size(); i++) {
      if (!(model.layers().get(i).mlp() instanceof Experts experts)) {
        dense.add(i);
        continue;
      }
      JsonNode shared = expected.get("shared_width");
      assertThat(experts.count()).isEqualTo(expected.get("count").asInt());
      assertThat(experts.perToken()).isEqualTo(expected.get("per_token").asInt());
      assertThat(experts.width()).isEqualTo(expected.get("width").asInt());
      assertThat(experts.renormalised()).isEqualTo(expected.get("renormalised").asBoolean());
      assertThat(experts.auxiliaryLoss()).isEqualTo(expected.get("aux_loss_coef").asDouble());
      assertThat(experts.shared() == null ? 0 : experts.shared().width())
          .isEqualTo(shared.asInt(0));
    }
    assertThat(dense).isEqualTo(JSON.convertValue(expected.get("dense_layers"), List.class));
  }

  private static void assertQuantization(@Nullable Quantization found, JsonNode expected) {
    assertThat(found).isNotNull();
    expected
        .properties()
        .forEach(
            entry -> {
              Object value =
                  switch (entry.getKey()) {
                    case "method" -> found.method();
                    case "bits" -> found.bits();
                    case "type" -> found.type();
                    case "double" -> found.nested();
                    case "compute_dtype" -> found.computeDtype();
                    case "threshold" -> found.threshold();
                    case "skip" -> found.skip();
                    default -> "an unknown key";
                  };
              assertThat(value)
                  .as(entry.getKey())
                  .isEqualTo(JSON.convertValue(entry.getValue(), Object.class));
            });
  }
}
