package org.alpaca4j.core.internal.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Activation;
import org.alpaca4j.core.internal.model.DecoderDescription.Alibi;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.FileTensor;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Order;
import org.alpaca4j.core.internal.model.DecoderDescription.Positions;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class FamiliesTest {
  /** The sizes of a tiny model under the names that most families have. */
  private static final String SIZES =
      """
      "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
      "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
      "max_position_embeddings": 64""";

  private static ModelConfig config(String modelType, String fields) {
    return ModelConfig.parse(
        "{\"model_type\": \"" + modelType + "\", " + fields + "}", "config.json");
  }

  private static DecoderDescription describe(String modelType, String... fields) {
    return Internals.description(config(modelType, String.join(", ", fields)));
  }

  private static DecoderDescription tiny(String modelType, String... fields) {
    return describe(
        modelType,
        SIZES,
        String.join(", ", fields).isEmpty() ? "\"x\": 0" : String.join(", ", fields));
  }

  private static List<String> names(Weight weight) {
    return weight.tensors().stream().map(FileTensor::name).toList();
  }

  private static Attention attention(DecoderDescription model, int layer) {
    return model.layers().get(layer).attention();
  }

  private static Order orderOfQueries(DecoderDescription model) {
    return attention(model, 0).queryKeyValue().weight().tensors().get(0).order();
  }

  static List<String> modelTypes() {
    return Families.modelTypes();
  }

  @ParameterizedTest
  @MethodSource("modelTypes")
  void everyFamilyHasDefaultsAndNamesEachTensorOnce(String modelType) {
    ModelConfig config = ModelConfig.builder(modelType).build();

    List<String> names =
        Internals.description(config).tensors().stream().map(FileTensor::name).toList();
    assertThat(new HashSet<>(names)).hasSameSizeAs(names);
    Profile profile = Internals.profile(config);
    assertThat(names).noneMatch(profile::ignores);
    assertThat(config.toJson()).contains(profile.architecture());
  }

  @ParameterizedTest
  @MethodSource("modelTypes")
  void sizesCanBeSetInEveryFamily(String modelType) {
    ModelConfig config =
        ModelConfig.builder(modelType)
            .vocabSize(97)
            .hiddenSize(256)
            .numHiddenLayers(2)
            .numAttentionHeads(4)
            .numKeyValueHeads(4)
            .intermediateSize(48)
            .maxPositionEmbeddings(77)
            .build();

    assertThat(config.vocabSize()).isEqualTo(97);
    assertThat(config.hiddenSize()).isEqualTo(256);
    assertThat(config.numHiddenLayers()).isEqualTo(2);
    assertThat(config.numAttentionHeads()).isEqualTo(4);
    assertThat(config.maxPositionEmbeddings()).isEqualTo(77);
    assertThat(config.toBuilder().vocabSize(98).build().vocabSize()).isEqualTo(98);
    assertThat(ModelConfig.parse(config.toJson(), "copy")).isEqualTo(config);
  }

  @Test
  void aFamilyThatIsNotKnownIsRefusedWithAllThatAre() {
    assertThatThrownBy(() -> describe("mamba", SIZES))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageStartingWith("config.json: model_type mamba is not supported; supported: ")
        .hasMessageContaining("baichuan, bloom, chatglm")
        .hasMessageContaining("starcoder2");
  }

  @Test
  void everyFamilyIsListed() throws Exception {
    Path classes =
        Path.of(Family.class.getProtectionDomain().getCodeSource().getLocation().toURI())
            .resolve(Family.class.getPackageName().replace('.', '/'));
    Set<Class<?>> written = new HashSet<>();
    try (var files = Files.newDirectoryStream(classes, "*.class")) {
      for (Path file : files) {
        String name = file.getFileName().toString().replace(".class", "");
        Class<?> type = Class.forName(Family.class.getPackageName() + "." + name);
        if (Family.class.isAssignableFrom(type) && !type.isInterface()) {
          written.add(type);
        }
      }
    }
    Set<Class<?>> listed = new HashSet<>(Set.of(ChatGlm2.class)); // ChatGlm hands over to it
    Families.modelTypes().forEach(type -> listed.add(Families.of(type, "test").getClass()));
    assertThat(listed).isEqualTo(written);
  }

  @Test
  void namesOfPythonCodeAreIgnored() {
    String code = "\"auto_map\": {\"AutoModelForCausalLM\": \"modeling_x.XForCausalLM\"}";
    assertThat(tiny("llama", code)).isEqualTo(tiny("llama"));
  }

  @Test
  void aDescriptionPrintsWhatItIsMadeOf() {
    assertThat(tiny("qwen3").toString())
        .contains("family=qwen3", "kind=RMS", "span=HEAD", "theta=10000.0", "q_norm.weight");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "llama | \"num_attention_heads\": 5 | num_key_value_heads",
        "llama | \"head_dim\": null, \"num_attention_heads\": 6 | hidden_size",
        "mixtral | \"num_local_experts\": 4, \"num_experts_per_tok\": 5 | num_experts_per_tok",
        "qwen3_moe | \"num_experts\": 4, \"num_experts_per_tok\": 5 | num_experts_per_tok",
        "qwen2_moe | \"mlp_only_layers\": 1 | mlp_only_layers",
        "smollm3 | \"no_rope_layers\": [1] | no_rope_layers",
        "gemma2 | \"layer_types\": [\"full_attention\"] | layer_types",
        "gemma2 | \"attn_logit_softcapping\": -1 | attn_logit_softcapping",
        "gemma3_text | \"query_pre_attn_scalar\": 0 | query_pre_attn_scalar",
        "gpt_neox | \"rotary_pct\": 2 | rotary_pct",
        "gptj | \"rotary_dim\": 12 | rotary_dim",
        "gpt2 | \"n_embd\": 30, \"n_head\": 4, \"head_dim\": null | n_embd",
        "falcon | \"new_decoder_architecture\": true, \"num_kv_heads\": 3 | num_kv_heads",
        "qwen | \"kv_channels\": 8, \"intermediate_size\": 47 | intermediate_size",
        "chatglm | \"num_attention_heads\": 16, \"head_dim\": null | hidden_size",
        "chatglm | \"padded_vocab_size\": 9, \"kv_channels\": 6 | kv_channels",
        "phi3 | \"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1]} | short_factor"
      })
  void aConfigurationThatContradictsItselfIsRefusedByName(
      String modelType, String fields, String name) {
    String sizes =
        fields.contains("num_attention_heads")
            ? SIZES.replace("\"num_attention_heads\": 4, ", "")
            : SIZES;
    sizes =
        fields.contains("intermediate_size")
            ? sizes.replace("\"intermediate_size\": 48, ", "")
            : sizes;
    sizes = fields.contains("head_dim") ? sizes.replace(", \"head_dim\": 8", "") : sizes;
    String text = sizes + ", " + fields;
    assertThatThrownBy(() -> describe(modelType, text))
        .isInstanceOf(CheckpointException.class)
        .hasMessageStartingWith("config.json: ")
        .hasMessageContaining(name);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "gpt2 | \"activation_function\": \"quick_gelu\" | activation_function",
        "gpt2 | \"add_cross_attention\": true | add_cross_attention",
        "gemma | \"use_bidirectional_attention\": true | use_bidirectional_attention",
        "qwen2 | \"use_mrope\": true | use_mrope",
        "gptj | \"rotary\": false | rotary",
        "opt | \"scale_embeddings\": true | scale_embeddings",
        "hunyuan_v1_dense | \"use_qk_norm\": false | use_qk_norm",
        "chatglm | \"position_encoding_2d\": false | position_encoding_2d",
        "chatglm | \"padded_vocab_size\": 9, \"rope_ratio\": 2 | rope_ratio",
        "cohere | \"partial_rotary_factor\": 0.5 | partial_rotary_factor"
      })
  void whatWouldChangeTheResultsIsRefusedByName(String modelType, String fields, String name) {
    assertThatThrownBy(() -> tiny(modelType, fields))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageStartingWith("config.json: " + name + " ")
        .hasMessageContaining("supported: ");
  }

  @Test
  void mixtralsExpertsAreStackedEachGateAboveUp() {
    Experts experts = (Experts) tiny("mixtral", "\"num_local_experts\": 3").layers().get(0).mlp();

    assertThat(experts.count()).isEqualTo(3);
    assertThat(experts.perToken()).isEqualTo(2);
    assertThat(experts.renormalised()).isTrue();
    assertThat(experts.auxiliaryLoss()).isEqualTo(0.001);
    String name = "model.layers.0.block_sparse_moe.experts.";
    assertThat(names(experts.in()))
        .startsWith(name + "0.w1.weight", name + "0.w3.weight", name + "1.w1.weight")
        .hasSize(6);
    assertThat(names(experts.out())).last().isEqualTo(name + "2.w2.weight");
  }

  @Test
  void qwenMoeHasDenseLayersWhereItIsToldSo() {
    String experts =
        "\"num_experts\": 4, \"num_experts_per_tok\": 2, \"moe_intermediate_size\": 24, ";
    DecoderDescription model =
        tiny("qwen2_moe", experts + "\"mlp_only_layers\": [0], \"norm_topk_prob\": true");

    assertThat(model.layers().get(0).mlp()).isInstanceOf(Dense.class);
    Experts second = (Experts) model.layers().get(1).mlp();
    assertThat(second.width()).isEqualTo(24);
    assertThat(second.renormalised()).isTrue();
    assertThat(second.shared().width()).isEqualTo(5632);
    assertThat(names(second.sharedGate()))
        .containsExactly("model.layers.1.mlp.shared_expert_gate.weight");

    DecoderDescription stepped = tiny("qwen3_moe", experts + "\"decoder_sparse_step\": 2");
    assertThat(stepped.layers().get(0).mlp()).isInstanceOf(Dense.class);
    Experts third = (Experts) stepped.layers().get(1).mlp();
    assertThat(third.shared()).isNull();
    assertThat(attention(stepped, 0).headNorm()).isNotNull();
  }

  @Test
  void gemmaScalesEmbeddingsAndAddsOneToNormWeights() {
    DecoderDescription model = tiny("gemma", "\"hidden_act\": \"gelu\"");

    assertThat(model.embedding().scale()).isEqualTo(Math.sqrt(32));
    assertThat(model.finalNorm().kind()).isEqualTo(Norm.Kind.RMS_PLUS_ONE);
    assertThat(model.head().tied()).isTrue();
    assertThat(((Dense) model.layers().get(0).mlp()).activation()).isEqualTo(Activation.GELU_TANH);
  }

  @Test
  void gemma2HasNormsAroundBranchesSoftCapsAndEverySecondLayerAWindow() {
    DecoderDescription model =
        tiny("gemma2", "\"query_pre_attn_scalar\": 16, \"sliding_window\": 6");

    Layer layer = model.layers().get(0);
    assertThat(names(layer.aroundAttention().after().weight()))
        .containsExactly("model.layers.0.post_attention_layernorm.weight");
    assertThat(names(layer.aroundMlp().before().weight()))
        .containsExactly("model.layers.0.pre_feedforward_layernorm.weight");
    assertThat(layer.attention().scale()).isEqualTo(0.25);
    assertThat(layer.attention().softcap()).isEqualTo(50);
    assertThat(model.head().softcap()).isEqualTo(30);
    assertThat(layer.attention().window()).isEqualTo(6);
    assertThat(attention(model, 1).window()).isZero();
    assertThat(tiny("gemma2", "\"final_logit_softcapping\": null").head().softcap()).isZero();
  }

  @Test
  void gemma3StretchesGlobalLayersOnlyInBothSpellings() {
    String rest = "\"sliding_window\": 4, \"query_pre_attn_scalar\": 8, ";
    DecoderDescription old =
        tiny(
            "gemma3_text",
            rest
                + """
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
                "rope_theta": 1000000.0, "rope_local_base_freq": 5000.0,
                "sliding_window_pattern": 2
                """);
    DecoderDescription current =
        tiny(
            "gemma3_text",
            rest
                + """
                "rope_parameters": {
                  "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                  "sliding_attention": {"rope_type": "default", "rope_theta": 5000.0}},
                "layer_types": ["sliding_attention", "full_attention"]
                """);

    assertThat(old).isEqualTo(current);
    assertThat(old.rotaries())
        .containsExactly(
            new Rotary(0, 8, false, 1e6, RopeScaling.linear(8), false, false),
            new Rotary(0, 8, false, 5000, RopeScaling.DEFAULT, false, false));
    assertThat(attention(old, 0).rotaries()).containsExactly(1);
    assertThat(attention(old, 1).rotaries()).containsExactly(0);
    assertThat(attention(old, 0).headNorm().query().kind()).isEqualTo(Norm.Kind.RMS_PLUS_ONE);
  }

  @Test
  void phiHasOneNormForBothBranchesAndAHeadWithABias() {
    DecoderDescription model = tiny("phi", "\"qk_layernorm\": true");

    Layer layer = model.layers().get(0);
    assertThat(layer.parallel()).isTrue();
    assertThat(layer.aroundMlp().before()).isNull();
    assertThat(names(layer.attention().output().weight()))
        .containsExactly("model.layers.0.self_attn.dense.weight");
    assertThat(layer.attention().headNorm().query().bias()).isNotNull();
    assertThat(model.rotaries().get(0).dims()).isEqualTo(4);
    assertThat(names(model.head().bias())).containsExactly("lm_head.bias");
  }

  @Test
  void phi3ReadsLongRopeUnderItsFirstName() {
    DecoderDescription model =
        tiny(
            "phi3",
            """
            "original_max_position_embeddings": 16, "sliding_window": 12,
            "rope_scaling": {"type": "su", "short_factor": [1, 1, 2, 2],
                             "long_factor": [1, 2, 3, 4], "original_max_position_embeddings": 8}
            """);

    assertThat(model.rotaries().get(0).scaling())
        .isEqualTo(
            RopeScaling.longrope(
                4, 16, null, List.of(1.0, 1.0, 2.0, 2.0), List.of(1.0, 2.0, 3.0, 4.0)));
    assertThat(attention(model, 1).window()).isEqualTo(12);
    assertThat(names(attention(model, 0).queryKeyValue().weight()))
        .containsExactly("model.layers.0.self_attn.qkv_proj.weight");
  }

  @Test
  void gpt2KeepsItsMatricesTransposedAndLearnsPositions() {
    String sizes = "\"n_embd\": 32, \"n_layer\": 2, \"n_head\": 4, \"n_positions\": 64, ";
    DecoderDescription model =
        describe("gpt2", sizes + "\"scale_attn_by_inverse_layer_idx\": true");

    FileTensor queries = attention(model, 0).queryKeyValue().weight().tensors().get(0);
    assertThat(queries)
        .isEqualTo(
            new FileTensor(
                "transformer.h.0.attn.c_attn.weight", List.of(32L, 96L), new Order.Transposed()));
    assertThat(model.embedding().positions().tensors().get(0).shape()).containsExactly(64L, 32L);
    assertThat(attention(model, 1).scale()).isEqualTo(attention(model, 0).scale() / 2);
    assertThat(((Dense) model.layers().get(0).mlp()).width()).isEqualTo(128);
    assertThat(model.head().tied()).isTrue();

    Profile profile = new Gpt2().profile();
    assertThat(profile.ignores("transformer.h.0.attn.bias")).isTrue();
    assertThat(profile.ignores("h.11.attn.masked_bias")).isTrue();
    assertThat(profile.ignores("transformer.h.0.attn.c_attn.bias")).isFalse();
    assertThat(profile.base()).isEqualTo("transformer.");
  }

  @Test
  void gptJTurnsNeighboursOfItsFirstDimensions() {
    DecoderDescription model =
        describe("gptj", "\"n_embd\": 32, \"n_layer\": 1, \"n_head\": 4, \"rotary_dim\": 4");

    assertThat(model.rotaries())
        .containsExactly(new Rotary(0, 4, true, 10_000, RopeScaling.DEFAULT, false, false));
    assertThat(attention(model, 0).queryKeyValue().bias()).isNull();
    assertThat(names(model.head().bias())).containsExactly("lm_head.bias");
  }

  @Test
  void gptNeoXIsGroupedByHeadsAndParallelOrNot() {
    String fields = "\"num_key_value_heads\": 4, \"rotary_pct\": 0.5, \"rotary_emb_base\": 500";
    String sizes = SIZES.replace("\"num_key_value_heads\": 2, ", "");
    DecoderDescription model = describe("gpt_neox", sizes, fields);

    assertThat(orderOfQueries(model)).isEqualTo(new Order.Grouped(4, List.of(8L, 8L, 8L)));
    assertThat(attention(model, 0).queryKeyValue().bias().tensors().get(0).order())
        .isEqualTo(orderOfQueries(model));
    assertThat(model.rotaries().get(0).dims()).isEqualTo(4);
    assertThat(model.rotaries().get(0).theta()).isEqualTo(500);
    assertThat(names(model.head().weight())).containsExactly("embed_out.weight");
    assertThat(model.layers().get(0).parallel()).isTrue();
    DecoderDescription sequential =
        describe("gpt_neox", sizes, fields, "\"use_parallel_residual\": false");
    assertThat(sequential.layers().get(0).parallel()).isFalse();
  }

  @Test
  void olmo2HasNormsBehindTheBranchesAndOverWholeProjections() {
    DecoderDescription model = tiny("olmo2", "\"num_key_value_heads\": 2");

    Layer layer = model.layers().get(0);
    for (Residual around : List.of(layer.aroundAttention(), layer.aroundMlp())) {
      assertThat(around.before()).isNull();
      assertThat(around.after()).isNotNull();
    }
    HeadNorm norm = layer.attention().headNorm();
    assertThat(norm.span()).isEqualTo(HeadNorm.Span.PROJECTION);
    assertThat(norm.afterRotary()).isFalse();
    assertThat(layer.attention().kvHeads()).isEqualTo(2);
    assertThat(names(layer.aroundMlp().after().weight()))
        .containsExactly("model.layers.0.post_feedforward_layernorm.weight");
  }

  /** As in transformers, which does not know the field there. */
  @Test
  void familiesWithoutGroupedQueriesIgnoreNumKeyValueHeads() {
    for (String family : List.of("gpt2", "bloom")) {
      DecoderDescription decoder =
          describe(
              family,
              "\"n_embd\": 32, \"n_embed\": 32, \"n_head\": 4",
              "\"num_key_value_heads\": 2");
      assertThat(decoder.layers().get(0).attention().kvHeads()).as(family).isEqualTo(4);
    }
  }

  @Test
  void bloomReadsItsOldNamesFirst() {
    DecoderDescription model =
        describe(
            "bloom",
            """
            "n_embed": 32, "hidden_size": 99, "n_layer": 1, "num_attention_heads": 4,
            "vocab_size": 96, "apply_residual_connection_post_layernorm": true
            """);

    assertThat(model.hiddenSize()).isEqualTo(32);
    assertThat(attention(model, 0).alibi()).isEqualTo(new Alibi(false, false));
    assertThat(orderOfQueries(model)).isEqualTo(new Order.Grouped(4, List.of(8L, 8L, 8L)));
    assertThat(model.layers().get(0).aroundAttention().ofNormed()).isTrue();
    assertThat(names(model.embedding().norm().bias()))
        .containsExactly("transformer.word_embeddings_layernorm.bias");
  }

  @Test
  void falconHasThreeLayouts() {
    String sizes =
        "\"vocab_size\": 96, \"hidden_size\": 32, \"num_hidden_layers\": 1,"
            + " \"num_attention_heads\": 4, ";
    DecoderDescription one = describe("falcon", sizes + "\"multi_query\": true");
    DecoderDescription each =
        describe("falcon", sizes + "\"multi_query\": false, \"parallel_attn\": false");
    DecoderDescription grouped =
        describe("falcon", sizes + "\"new_decoder_architecture\": true, \"num_kv_heads\": 2");

    assertThat(orderOfQueries(one)).isEqualTo(new Order.Same());
    assertThat(attention(one, 0).kvHeads()).isEqualTo(1);
    assertThat(one.layers().get(0).aroundMlp().before()).isNull();
    assertThat(orderOfQueries(each)).isEqualTo(new Order.Grouped(4, List.of(8L, 8L, 8L)));
    assertThat(each.layers().get(0).parallel()).isFalse();
    assertThat(orderOfQueries(grouped)).isEqualTo(new Order.Grouped(2, List.of(16L, 8L, 8L)));
    assertThat(names(grouped.layers().get(0).aroundMlp().before().weight()))
        .containsExactly("transformer.h.0.ln_mlp.weight");
  }

  @Test
  void falconsFirstUploadsAreTheSameModels() {
    String same = "\"vocab_size\": 96, \"hidden_size\": 32, \"bias\": false, \"alibi\": true, ";
    assertThat(describe("RefinedWeb", same + "\"n_head\": 4, \"n_head_kv\": 2, \"n_layer\": 1"))
        .isEqualTo(
            describe(
                "falcon",
                same
                    + "\"num_attention_heads\": 4, \"num_kv_heads\": 2, \"num_hidden_layers\": 1,"
                    + " \"new_decoder_architecture\": true"));
  }

  @Test
  void optHasNormsBeforeOrBehindAndProjections() {
    String sizes =
        "\"vocab_size\": 96, \"hidden_size\": 32, \"ffn_dim\": 48, \"num_hidden_layers\": 1,"
            + " \"num_attention_heads\": 4, \"max_position_embeddings\": 64, ";
    DecoderDescription model =
        describe("opt", sizes + "\"do_layer_norm_before\": false, \"word_embed_proj_dim\": 16");

    assertThat(model.embedding().positionOffset()).isEqualTo(2);
    assertThat(model.embedding().positions().tensors().get(0).shape()).containsExactly(66L, 32L);
    assertThat(model.embedding().width()).isEqualTo(16);
    assertThat(model.head().projection().weight().tensors().get(0).shape())
        .containsExactly(16L, 32L);
    assertThat(model.finalNorm()).isNull();
    assertThat(model.layers().get(0).aroundAttention().before()).isNull();
    assertThat(model.layers().get(0).aroundAttention().sum()).isNotNull();

    DecoderDescription galactica =
        describe("opt", sizes + "\"enable_bias\": false, \"layer_norm_elementwise_affine\": false");
    assertThat(galactica.finalNorm().weight()).isNull();
    assertThat(attention(galactica, 0).queryKeyValue().bias()).isNull();
    assertThat(galactica.embedding().projection()).isNull();
  }

  @Test
  void glmTurnsNeighboursOfHalfAHead() {
    DecoderDescription model = tiny("glm", "\"eos_token_id\": null");

    assertThat(model.rotaries().get(0))
        .isEqualTo(new Rotary(0, 4, true, 10_000, RopeScaling.DEFAULT, false, false));
    assertThat(attention(model, 0).queryKeyValue().bias()).isNotNull();
    assertThat(config("glm", SIZES).eosTokenIds()).containsExactly(151329, 151336, 151338);
    assertThat(config("glm", "\"eos_token_id\": null").eosTokenIds()).hasSize(3);
    assertThat(names(tiny("glm4").layers().get(0).aroundMlp().after().weight()))
        .containsExactly("model.layers.0.post_mlp_layernorm.weight");
  }

  @Test
  void cohereScalesLogitsAndNormalisesEachHeadWithItsOwnWeights() {
    DecoderDescription model = tiny("cohere", "\"use_qk_norm\": true, \"logit_scale\": 0.5");

    assertThat(model.head().multiplier()).isEqualTo(0.5);
    HeadNorm norm = attention(model, 0).headNorm();
    assertThat(norm.span()).isEqualTo(HeadNorm.Span.HEAD_WITH_OWN_WEIGHTS);
    assertThat(norm.key().weight().tensors().get(0).shape()).containsExactly(2L, 8L);
    assertThat(norm.key().bias()).isNull();
    assertThat(model.rotaries().get(0).theta()).isEqualTo(500_000);
  }

  @Test
  void smolLm3HasLayersWithoutPositions() {
    assertThat(attention(tiny("smollm3", "\"no_rope_layers\": [1, 0]"), 0).rotaries()).hasSize(1);
    assertThat(attention(tiny("smollm3", "\"no_rope_layers\": [1, 0]"), 1).rotaries()).isEmpty();
    DecoderDescription every = tiny("smollm3", "\"no_rope_layer_interval\": 2");
    assertThat(attention(every, 0).rotaries()).hasSize(1);
    assertThat(attention(every, 1).rotaries()).isEmpty();
  }

  @Test
  void starCoder2IsALlamaWithLayerNormAndAPlainMlp() {
    DecoderDescription model = tiny("starcoder2", "\"sliding_window\": 5");

    Dense mlp = (Dense) model.layers().get(0).mlp();
    assertThat(mlp.gated()).isFalse();
    assertThat(names(mlp.in().bias())).containsExactly("model.layers.0.mlp.c_fc.bias");
    assertThat(model.finalNorm().bias()).isNotNull();
    assertThat(attention(model, 0).window()).isEqualTo(5);
  }

  @Test
  void ernieTurnsNeighbours() {
    assertThat(tiny("ernie4_5").rotaries().get(0).interleaved()).isTrue();
    assertThat(tiny("ernie4_5").head().tied()).isTrue();
  }

  @Test
  void hunyuanNormalisesHeadsBehindTheRotaryEmbeddingWhoseBaseAlphaFixes() {
    DecoderDescription model =
        tiny(
            "hunyuan_v1_dense",
            "\"rope_scaling\": {\"type\": \"dynamic\", \"alpha\": 50.0, \"factor\": 1.0}");

    assertThat(attention(model, 0).headNorm().afterRotary()).isTrue();
    assertThat(model.rotaries().get(0).scaling()).isEqualTo(RopeScaling.alpha(50));
    assertThat(model.rotaries().get(0).scaling().dependsOnLength()).isFalse();
  }

  @Test
  void graniteHasFourMultipliers() {
    DecoderDescription model =
        tiny(
            "granite",
            """
            "embedding_multiplier": 12.0, "residual_multiplier": 0.25,
            "attention_multiplier": 0.5, "logits_scaling": 8.0
            """);

    assertThat(model.embedding().scale()).isEqualTo(12);
    assertThat(model.layers().get(1).aroundMlp().branchScale()).isEqualTo(0.25);
    assertThat(attention(model, 0).scale()).isEqualTo(0.5);
    assertThat(model.head().multiplier()).isEqualTo(0.125);
  }

  @Test
  void baichuansAreToldApartByTheirLengthAndVocabulary() {
    String sizes = SIZES.replace("\"num_key_value_heads\": 2, ", "");
    DecoderDescription small = describe("baichuan", sizes);
    DecoderDescription large =
        describe(
            "baichuan",
            sizes.replace("max_position_embeddings", "model_max_length"),
            "\"z_loss_weight\": 0");

    assertThat(small.rotaries()).hasSize(1);
    assertThat(attention(small, 0).alibi()).isNull();
    assertThat(small.head().normalisedRows()).isFalse();
    assertThat(large.rotaries()).isEmpty();
    assertThat(attention(large, 0).alibi()).isEqualTo(new Alibi(false, false));
    assertThat(large.maxPositions()).isEqualTo(64);
    assertThat(large.head().normalisedRows()).isTrue();
    assertThat(describe("baichuan", "\"vocab_size\": 125697").head().normalisedRows()).isTrue();
  }

  @Test
  void chatGlmHasTwoPositionsAndResidualsOfNormedInputs() {
    DecoderDescription model =
        describe(
            "chatglm",
            """
            "vocab_size": 96, "hidden_size": 32, "num_layers": 2, "num_attention_heads": 2,
            "inner_hidden_size": 48, "bos_token_id": 13, "mask_token_id": 9, "gmask_token_id": 10
            """);

    assertThat(model.family()).isEqualTo("chatglm");
    assertThat(model.positions()).isEqualTo(new Positions.Glm(9, 10, 13));
    assertThat(model.rotaries())
        .containsExactly(
            new Rotary(0, 8, false, 10_000, RopeScaling.DEFAULT, false, true),
            new Rotary(8, 8, false, 10_000, RopeScaling.DEFAULT, true, true));
    assertThat(attention(model, 1).rotaries()).containsExactly(0, 1);
    assertThat(model.layers().get(0).aroundMlp().ofNormed()).isTrue();
    assertThat(model.layers().get(0).aroundMlp().residualScale()).isEqualTo(Math.sqrt(56));
    assertThat(new ChatGlm().profile().head()).isEqualTo("lm_head.weight");
  }

  @Test
  void chatGlm2IsKnownByItsPaddedVocabulary() {
    ModelConfig config =
        config(
            "chatglm",
            """
            "padded_vocab_size": 96, "hidden_size": 32, "num_layers": 2,
            "num_attention_heads": 4, "kv_channels": 8, "multi_query_attention": true,
            "multi_query_group_num": 2, "add_qkv_bias": true, "ffn_hidden_size": 48,
            "seq_length": 64, "classifier_dropout": null, "rope_ratio": 50
            """);
    DecoderDescription model = Internals.description(config);

    assertThat(model.family()).isEqualTo("chatglm2");
    assertThat(attention(model, 0).kvHeads()).isEqualTo(2);
    assertThat(attention(model, 0).queryKeyValue().bias()).isNotNull();
    assertThat(attention(model, 0).output().bias()).isNull();
    assertThat(model.rotaries().get(0))
        .isEqualTo(new Rotary(0, 4, true, 500_000, RopeScaling.DEFAULT, false, false));
    assertThat(names(model.head().weight())).containsExactly("transformer.output_layer.weight");
    assertThat(config.toBuilder().vocabSize(100).build().vocabSize()).isEqualTo(100);
    assertThat(config.toBuilder().vocabSize(100).build().toJson())
        .contains("\"padded_vocab_size\": 100");
  }

  @Test
  void qwen1HalvesTheWidthThatItNames() {
    DecoderDescription model =
        describe(
            "qwen",
            """
            "vocab_size": 96, "hidden_size": 32, "intermediate_size": 96,
            "num_hidden_layers": 1, "num_attention_heads": 4, "kv_channels": 8,
            "seq_length": 64, "max_position_embeddings": 128, "no_bias": true
            """);

    Dense mlp = (Dense) model.layers().get(0).mlp();
    assertThat(mlp.width()).isEqualTo(48);
    assertThat(names(mlp.in().weight()))
        .containsExactly("transformer.h.0.mlp.w2.weight", "transformer.h.0.mlp.w1.weight");
    assertThat(attention(model, 0).queryKeyValue().bias()).isNotNull();
    assertThat(attention(model, 0).output().bias()).isNull();
    assertThat(model.maxPositions()).isEqualTo(64);
  }

  @Test
  void internLm2PacksByKeyValueGroups() {
    DecoderDescription model = tiny("internlm2", "\"bias\": false");

    assertThat(orderOfQueries(model)).isEqualTo(new Order.Grouped(2, List.of(16L, 8L, 8L)));
    assertThat(names(model.head().weight())).containsExactly("output.weight");
    assertThat(names(((Dense) model.layers().get(0).mlp()).in().weight()))
        .isEqualTo(
            Arrays.asList(
                "model.layers.0.feed_forward.w1.weight", "model.layers.0.feed_forward.w3.weight"));
  }

  @Test
  void quantisedWeightsAreDescribedAndNotLoaded() {
    ModelConfig config =
        config(
            "llama",
            """
            "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true,
              "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true,
              "bnb_4bit_compute_dtype": "bfloat16"}
            """);

    assertThat(Internals.quantization(config))
        .isEqualTo(new Quantization("bitsandbytes", 4, "nf4", true, "bfloat16", null, null));
    assertThatThrownBy(() -> Internals.requireLoadable(config))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessage(
            "quantization_config bitsandbytes is not supported; supported: none:"
                + " take the model's unquantised weights");
    Internals.requireLoadable(config("llama", SIZES));
  }
}
