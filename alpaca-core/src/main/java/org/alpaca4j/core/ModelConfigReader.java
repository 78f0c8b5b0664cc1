package org.alpaca4j.core;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads a {@code config.json} with the rules and defaults of transformers 5. */
final class ModelConfigReader {
  private static final int MAX_LAYERS = 10_000;

  private final ConfigFields document;

  private ModelConfigReader(ConfigFields document) {
    this.document = document;
  }

  static ModelConfig.Values read(ObjectNode document, String source) {
    return new ModelConfigReader(new ConfigFields(document, source)).read();
  }

  private ModelConfig.Values read() {
    JsonNode type = document.get("model_type");
    if (type == null || !type.isTextual()) {
      throw new CheckpointException(
          document.source() + " has no model_type; it must be one of " + ModelConfig.FAMILIES);
    }
    String family = type.textValue();
    if (!ModelConfig.FAMILIES.contains(family)) {
      throw document.unsupported("model_type", family, String.join(", ", ModelConfig.FAMILIES));
    }
    boolean llama = family.equals("llama");
    boolean mistral = family.equals("mistral");
    boolean qwen = !llama && !mistral;
    refuseUnsupported();

    int hiddenSize = document.size("hidden_size", 4096);
    int heads = document.size("num_attention_heads", 32);
    int layers = document.size("num_hidden_layers", 32);
    if (layers > MAX_LAYERS) {
      throw document.wrong("num_hidden_layers", layers, "at most " + MAX_LAYERS);
    }
    int keyValueHeads = sizeOrHeads("num_key_value_heads", heads, mistral ? 8 : llama ? 0 : 32);
    if (heads % keyValueHeads != 0) {
      throw document.wrong(
          "num_key_value_heads", keyValueHeads, "a divisor of the " + heads + " heads");
    }
    int maxPositions =
        document.size("max_position_embeddings", llama ? 2048 : mistral ? 4096 * 32 : 32768);
    boolean qkvoBias =
        !mistral && !family.equals("qwen2") && document.flag("attention_bias", false);
    BitSet slidingLayers = new BitSet();
    int slidingWindow = slidingWindow(family, layers, slidingLayers);
    RopeScalingFields rope = new RopeScalingFields(document);

    return new ModelConfig.Values(
        family,
        hiddenSize,
        document.size("intermediate_size", llama ? 11008 : mistral ? 14336 : 22016),
        layers,
        heads,
        keyValueHeads,
        headDim(family, hiddenSize, heads),
        document.size("vocab_size", qwen ? 151936 : 32000),
        maxPositions,
        document.number("rms_norm_eps", 1e-6),
        qkvoBias || family.equals("qwen2"),
        qkvoBias,
        llama && document.flag("mlp_bias", false),
        document.flag("tie_word_embeddings", false),
        document.number("attention_dropout", 0.0),
        document.number("initializer_range", 0.02),
        rope.theta(),
        rope.scaling(maxPositions),
        slidingWindow,
        slidingLayers,
        tokenId("bos_token_id", qwen ? List.of() : List.of(1)),
        tokenIds("eos_token_id", qwen ? List.of() : List.of(2)),
        tokenId("pad_token_id", List.of()),
        dtype());
  }

  private void refuseUnsupported() {
    JsonNode activation = document.get("hidden_act");
    if (activation != null
        && !activation.asText().equals("silu")
        && !activation.asText().equals("swish")) {
      throw document.unsupported("hidden_act", activation, "silu");
    }
    JsonNode slices = document.get("pretraining_tp");
    if (slices != null && slices.asDouble() != 1) {
      throw document.unsupported(
          "pretraining_tp", slices, "1 (the same weights run with 1: change it)");
    }
    JsonNode quantization = document.get("quantization_config");
    if (quantization != null) {
      throw document.unsupported(
          "quantization_config",
          quantization.path("quant_method").asText("set"),
          "none: take the model's unquantised weights");
    }
  }

  private int headDim(String family, int hiddenSize, int heads) {
    int headDim;
    if (document.get("head_dim") != null) {
      headDim = document.size("head_dim", 0);
    } else if (family.equals("qwen3") && !document.has("head_dim")) {
      headDim = 128;
    } else {
      if (hiddenSize % heads != 0) {
        throw document.wrong("hidden_size", hiddenSize, "a multiple of the " + heads + " heads");
      }
      headDim = hiddenSize / heads;
    }
    if (headDim % 2 != 0) {
      throw document.wrong("head_dim", headDim, "even, as rotary positions turn pairs");
    }
    return headDim;
  }

  /** Marks the layers with a window and returns its length, 0 for none. */
  private int slidingWindow(String family, int layers, BitSet slidingLayers) {
    JsonNode types = document.get("layer_types");
    JsonNode given = document.get("sliding_window");
    boolean mistral = family.equals("mistral");
    boolean qwen = family.startsWith("qwen");
    int window = 0;
    int first = 0;
    if (mistral || (qwen && document.flag("use_sliding_window", false))) {
      boolean none = document.has("sliding_window") && given == null;
      window = none ? 0 : document.size("sliding_window", 4096);
      first = qwen ? document.count("max_window_layers", 28) : 0;
    }
    boolean fromTypes = qwen && types != null;
    if (window > 0 && !fromTypes) {
      slidingLayers.set(Math.min(first, layers), layers);
    }
    if (types == null) {
      return slidingLayers.isEmpty() ? 0 : window;
    }
    if (!types.isArray() || types.size() != layers) {
      throw document.wrong(
          "layer_types", types, "a list with one entry for each of " + layers + " layers");
    }
    for (int layer = 0; layer < layers; layer++) {
      String type = types.get(layer).asText();
      boolean sliding = type.equals("sliding_attention");
      if (!sliding && !type.equals("full_attention")) {
        throw document.unsupported("layer_types", type, "full_attention, sliding_attention");
      }
      if (fromTypes) {
        if (sliding && window == 0) {
          throw document.wrong(
              "layer_types",
              type,
              "full_attention, as use_sliding_window and sliding_window set no window");
        }
        slidingLayers.set(layer, sliding);
      } else if (sliding != slidingLayers.get(layer)) {
        throw document.unsupported(
            "layer_types",
            type + " for layer " + layer,
            "for " + family + " what sliding_window says, as transformers ignores layer_types");
      }
    }
    return slidingLayers.isEmpty() ? 0 : window;
  }

  private @Nullable Integer tokenId(String field, List<Integer> fallback) {
    List<Integer> ids = tokenIds(field, fallback);
    if (ids.size() > 1) {
      throw document.unsupported(field, ids, "a single id");
    }
    return ids.isEmpty() ? null : ids.get(0);
  }

  /** Negative ids, which some old files have for "none", are dropped. */
  private List<Integer> tokenIds(String field, List<Integer> fallback) {
    if (!document.has(field)) {
      return fallback;
    }
    JsonNode node = document.node().get(field);
    List<Integer> ids = new ArrayList<>();
    if (node instanceof ArrayNode list) {
      list.forEach(id -> ids.add(document.integer(field, id)));
    } else if (!node.isNull()) {
      ids.add(document.integer(field, node));
    }
    ids.removeIf(id -> id < 0);
    return List.copyOf(ids);
  }

  private @Nullable DType dtype() {
    JsonNode node = document.get("dtype");
    if (node == null) {
      node = document.get("torch_dtype");
    }
    if (node == null) {
      return null;
    }
    String name = node.asText();
    return DType.ofTorchName(name)
        .filter(DType::isWeight)
        .orElseThrow(() -> document.unsupported("dtype", name, "float32, bfloat16, float16"));
  }

  private int sizeOrHeads(String field, int heads, int fallback) {
    boolean asHeads = document.has(field) ? document.get(field) == null : fallback == 0;
    return asHeads ? heads : document.size(field, fallback);
  }
}
