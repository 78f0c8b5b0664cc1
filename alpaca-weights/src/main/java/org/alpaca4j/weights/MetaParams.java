package org.alpaca4j.weights;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Path;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;

/**
 * The {@code params.json} of Meta's release of a Llama. The width of the feed-forward layers is not
 * read from it ({@code multiple_of}, {@code ffn_dim_multiplier}): the weights' shapes say it.
 *
 * @param file where it was read
 * @param dim width of the residual stream
 * @param layers number of decoder layers
 * @param heads number of query heads
 * @param keyValueHeads number of key and value heads
 * @param normEps added to the mean square in the norms
 * @param ropeTheta base of the rotary embedding's wavelengths
 * @param scaledRope whether the rotary embedding is stretched, as since Llama 3.1
 * @param vocabSize number of tokens, or -1: see the tokenizer
 */
record MetaParams(
    Path file,
    int dim,
    int layers,
    int heads,
    int keyValueHeads,
    double normEps,
    double ropeTheta,
    boolean scaledRope,
    int vocabSize) {
  static final String FILE_NAME = "params.json";
  private static final JsonMapper JSON = new JsonMapper();

  private static final double LLAMA3_THETA = 500_000;
  private static final int LLAMA32_LARGEST_DIM = 3072; // 1B and 3B; 3.1 and 3.3 begin at 4096

  static MetaParams load(Path file) {
    JsonNode json;
    try {
      json = JSON.readTree(file.toFile());
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e.getMessage(), e);
    }
    if (!json.isObject()) {
      throw new CheckpointException(file + " is not a JSON object");
    }
    for (String other : new String[] {"moe", "sliding_window", "quantization_args", "lora_args"}) {
      if (json.hasNonNull(other)) {
        throw new CheckpointException(
            file + ": has the field " + other + ", so it is not a plain Llama of Meta's");
      }
    }
    int heads = size(file, json, "n_heads", -1);
    MetaParams params =
        new MetaParams(
            file,
            size(file, json, "dim", -1),
            size(file, json, "n_layers", -1),
            heads,
            size(file, json, "n_kv_heads", heads),
            number(file, json, "norm_eps", 1e-5),
            number(file, json, "rope_theta", 10_000),
            json.path("use_scaled_rope").asBoolean(false),
            json.path("vocab_size").asInt(-1));
    if (params.dim % (2 * heads) != 0 || heads % params.keyValueHeads != 0) {
      throw new CheckpointException(
          file
              + ": dim "
              + params.dim
              + ", n_heads "
              + heads
              + " and n_kv_heads "
              + params.keyValueHeads
              + " do not divide each other");
    }
    return params;
  }

  private static int size(Path file, JsonNode json, String field, int fallback) {
    JsonNode value = json.get(field);
    if ((value == null || value.isNull()) && fallback > 0) {
      return fallback;
    }
    if (value == null || !value.isInt() || value.intValue() < 1) {
      throw new CheckpointException(
          file + ": " + field + " is " + value + ", but must be an integer of 1 or more");
    }
    return value.intValue();
  }

  private static double number(Path file, JsonNode json, String field, double fallback) {
    JsonNode value = json.get(field);
    if (value == null || value.isNull()) {
      return fallback;
    }
    if (!value.isNumber() || !(value.doubleValue() > 0)) {
      throw new CheckpointException(
          file + ": " + field + " is " + value + ", but must be a number above 0");
    }
    return value.doubleValue();
  }

  int headDim() {
    return dim / heads;
  }

  /**
   * Returns the Hugging Face configuration. The context's length stands in no file of Meta's; it is
   * the published one of the model that these numbers belong to.
   */
  ModelConfig.Builder config(int vocabulary, int intermediate) {
    ModelConfig.Builder config =
        ModelConfig.builder("llama")
            .hiddenSize(dim)
            .intermediateSize(intermediate)
            .numHiddenLayers(layers)
            .numAttentionHeads(heads)
            .numKeyValueHeads(keyValueHeads)
            .headDim(headDim())
            .field("hidden_act", "silu")
            .field("attention_bias", false)
            .field("mlp_bias", false)
            .rmsNormEps(normEps)
            .ropeTheta(ropeTheta)
            .maxPositionEmbeddings(contextLength())
            .vocabSize(vocabulary);
    if (scaledRope) {
      config.ropeScaling(RopeScaling.llama3(dim <= LLAMA32_LARGEST_DIM ? 32 : 8, 1, 4, 8192));
    }
    return config;
  }

  private int contextLength() {
    if (scaledRope) {
      return 131_072;
    }
    if (ropeTheta > LLAMA3_THETA) {
      return 16_384; // Code Llama
    }
    if (ropeTheta == LLAMA3_THETA) {
      return 8192;
    }
    // Llama 1: its 7B and 13B have another epsilon than Llama 2's, its 30B and 65B no shared heads.
    boolean first = normEps < 1e-5 || (dim >= 6656 && keyValueHeads == heads);
    return first ? 2048 : 4096;
  }
}
