package org.alpaca4j.weights.gguf;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.DecoderDescription.Activation;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model's configuration as metadata of a GGUF file, and back. Keys and their meaning are those of
 * llama.cpp's {@code llama-arch.cpp} and of its conversion scripts.
 */
final class GgufHyperparameters {
  private static final Logger LOG = LoggerFactory.getLogger(GgufHyperparameters.class);
  private static final List<String> ARCHITECTURES = List.of("llama", "qwen2", "qwen3");
  private static final double THETA = 10_000; // where a file names none, in llama.cpp too

  private GgufHyperparameters() {}

  /**
   * Returns the metadata of a model.
   *
   * @throws UnsupportedModelException if llama.cpp could not run it as configured
   */
  static Map<String, GgufValue> write(ModelConfig config) {
    requireExportable(config);
    String architecture = GgufLayout.architecture(config);
    Attention attention = Internals.description(config).layers().get(0).attention();
    if (attention.headNorm() != null && attention.output().bias() != null) {
      throw new UnsupportedModelException(
          "A qwen3 model with attention_bias cannot be exported: GGUF's qwen3 has no such tensors");
    }
    Map<String, GgufValue> metadata = new LinkedHashMap<>();
    String prefix = architecture + ".";
    metadata.put(prefix + "block_count", GgufValue.uint32(config.numHiddenLayers()));
    metadata.put(prefix + "context_length", GgufValue.uint32(config.maxPositionEmbeddings()));
    metadata.put(prefix + "embedding_length", GgufValue.uint32(config.hiddenSize()));
    metadata.put(prefix + "feed_forward_length", GgufValue.uint32(config.intermediateSize()));
    metadata.put(prefix + "attention.head_count", GgufValue.uint32(config.numAttentionHeads()));
    metadata.put(prefix + "attention.head_count_kv", GgufValue.uint32(config.numKeyValueHeads()));
    metadata.put(
        prefix + "attention.layer_norm_rms_epsilon", GgufValue.float32(config.rmsNormEps()));
    metadata.put(prefix + "attention.key_length", GgufValue.uint32(config.headDim()));
    metadata.put(prefix + "attention.value_length", GgufValue.uint32(config.headDim()));
    metadata.put(prefix + "vocab_size", GgufValue.uint32(config.vocabSize()));
    metadata.put(prefix + "rope.freq_base", GgufValue.float32(config.ropeTheta()));
    metadata.put(prefix + "rope.dimension_count", GgufValue.uint32(config.headDim()));
    writeRopeScaling(prefix + "rope.scaling.", config, metadata);
    writeSlidingWindow(prefix + "attention.sliding_window", config, metadata);
    return metadata;
  }

  /**
   * Checks that a model is of a kind that the layout and the metadata here are for.
   *
   * @throws UnsupportedModelException if it is not
   */
  static void requireExportable(ModelConfig config) {
    Internals.requireLoadable(config);
    String architecture = GgufLayout.architecture(config);
    if (!ARCHITECTURES.contains(architecture)) {
      throw new UnsupportedModelException(
          "A "
              + config.modelType()
              + " model cannot be exported to GGUF; supported: mistral, "
              + String.join(", ", ARCHITECTURES));
    }
    for (Layer layer : Internals.description(config).layers()) {
      if (layer.mlp() instanceof Dense dense && dense.activation() != Activation.SILU) {
        throw unsupported(config, "hidden_act " + dense.activation());
      }
    }
  }

  private static void writeRopeScaling(
      String prefix, ModelConfig config, Map<String, GgufValue> metadata) {
    RopeScaling scaling = config.ropeScaling();
    switch (scaling.type()) {
      case DEFAULT -> {}
      case LINEAR -> {
        metadata.put(prefix + "type", GgufValue.of("linear"));
        metadata.put(prefix + "factor", GgufValue.float32(scaling.factor()));
      }
      case LLAMA3 -> {
        if (!GgufLayout.architecture(config).equals("llama")) {
          throw unsupported(config, "rope type llama3");
        }
        if (!Llama3Frequencies.areUsual(scaling)) {
          LOG.warn(
              "GGUF has no place for low_freq_factor and high_freq_factor: an import of the"
                  + " exported file will not find {} and {} again",
              scaling.lowFreqFactor(),
              scaling.highFreqFactor());
        }
        metadata.put(
            prefix + "original_context_length",
            GgufValue.uint32(scaling.originalMaxPositionEmbeddings()));
      }
      case YARN -> {
        if (!scaling.truncate()) {
          throw unsupported(config, "rope type yarn with truncate false");
        }
        metadata.put(prefix + "type", GgufValue.of("yarn"));
        metadata.put(prefix + "factor", GgufValue.float32(scaling.factor()));
        metadata.put(
            prefix + "original_context_length",
            GgufValue.uint32(scaling.originalMaxPositionEmbeddings()));
        double attention = scaling.attentionScaling() / yarnAttention(scaling.factor());
        if (attention != 1) {
          metadata.put(prefix + "attn_factor", GgufValue.float32(attention));
        }
        if (scaling.betaFast() != 32 || scaling.betaSlow() != 1) {
          metadata.put(prefix + "yarn_beta_fast", GgufValue.float32(scaling.betaFast()));
          metadata.put(prefix + "yarn_beta_slow", GgufValue.float32(scaling.betaSlow()));
        }
      }
      case DYNAMIC, LONGROPE ->
          throw unsupported(config, "rope type " + scaling.type().configName());
    }
  }

  /** What llama.cpp multiplies cosines and sines by; attn_factor comes on top. */
  private static double yarnAttention(double factor) {
    return factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1;
  }

  private static UnsupportedModelException unsupported(ModelConfig config, String what) {
    return new UnsupportedModelException(
        "The " + config.modelType() + " model has " + what + ", which llama.cpp does not compute");
  }

  private static void writeSlidingWindow(
      String key, ModelConfig config, Map<String, GgufValue> metadata) {
    int layers = config.numHiddenLayers();
    boolean[] sliding = new boolean[layers];
    int window = 0;
    for (int layer = 0; layer < layers; layer++) {
      sliding[layer] = config.slidingWindow(layer).isPresent();
      window = Math.max(window, config.slidingWindow(layer).orElse(0));
    }
    if (window > 0) {
      metadata.put(key, GgufValue.uint32(window));
      metadata.put(key + "_pattern", GgufValue.bools(sliding));
      LOG.warn(
          "llama.cpp ignores the sliding window of {} models: beyond {} tokens it computes"
              + " something else",
          config.modelType(),
          window);
    }
  }

  /**
   * Returns the configuration of the model in a file.
   *
   * @throws CheckpointException if a value is missing or impossible
   * @throws UnsupportedModelException if the model is of a kind that this library does not run
   */
  static ModelConfig read(GgufFile file) {
    GgufMetadata metadata = file.metadata();
    String architecture = required(metadata, "general.architecture");
    if (!ARCHITECTURES.contains(architecture)) {
      throw new UnsupportedModelException(
          file.file()
              + ": architecture "
              + architecture
              + " is not supported; supported: "
              + String.join(", ", ARCHITECTURES));
    }
    String prefix = architecture + ".";
    if (metadata.integer(prefix + "expert_count").orElse(0) > 0) {
      throw new UnsupportedModelException(file.file() + " is a mixture of experts: not supported");
    }
    int layers = positive(metadata, prefix + "block_count");
    if (layers > file.tensors().size()) {
      throw new CheckpointException(
          file.file()
              + ": "
              + prefix
              + "block_count is "
              + layers
              + ", but there are only "
              + file.tensors().size()
              + " tensors; take a complete file");
    }
    int heads = positive(metadata, prefix + "attention.head_count");
    int hidden = positive(metadata, prefix + "embedding_length");
    int headDim =
        metadata
            .integer(prefix + "attention.key_length")
            .or(() -> metadata.integer(prefix + "rope.dimension_count"))
            .orElse(hidden / heads);
    requireSame(file, prefix + "attention.value_length", headDim);
    requireSame(file, prefix + "rope.dimension_count", headDim);
    boolean attentionBias = file.tensor("blk.0.attn_q.bias") != null;
    int window = metadata.integer(prefix + "attention.sliding_window").orElse(0);
    boolean mistral = architecture.equals("llama") && window > 0;
    GgufTensor embedding = file.tensor("token_embd.weight");
    if (embedding == null) {
      throw new CheckpointException(file.file() + " has no tensor token_embd.weight");
    }
    ModelConfig.Builder config =
        ModelConfig.builder(mistral ? "mistral" : architecture)
            .hiddenSize(hidden)
            .intermediateSize(positive(metadata, prefix + "feed_forward_length"))
            .numHiddenLayers(layers)
            .numAttentionHeads(heads)
            .numKeyValueHeads(metadata.integer(prefix + "attention.head_count_kv").orElse(heads))
            .headDim(headDim)
            .vocabSize((int) Math.min(embedding.shape().get(0), Integer.MAX_VALUE))
            .maxPositionEmbeddings(positive(metadata, prefix + "context_length"))
            .rmsNormEps(
                shortest(
                    metadata
                        .number(prefix + "attention.layer_norm_rms_epsilon")
                        .orElseThrow(
                            () -> metadata.missing(prefix + "attention.layer_norm_rms_epsilon"))))
            .ropeTheta(shortest(metadata.number(prefix + "rope.freq_base").orElse(THETA)))
            .tieWordEmbeddings(file.tensor("output.weight") == null)
            .field("hidden_act", "silu");
    if (architecture.equals("llama") && !mistral) {
      config.attentionBias(attentionBias).mlpBias(file.tensor("blk.0.ffn_up.bias") != null);
    }
    if (window > 0) {
      readSlidingWindow(file, prefix, window, layers, mistral, config);
    }
    RopeScaling scaling = readRopeScaling(file, prefix, config.build());
    if (scaling.type() != RopeScaling.Type.DEFAULT) {
      config.ropeScaling(scaling);
    }
    return config.build();
  }

  private static void readSlidingWindow(
      GgufFile file,
      String prefix,
      int window,
      int layers,
      boolean mistral,
      ModelConfig.Builder config) {
    config.field("sliding_window", window);
    if (mistral) {
      return;
    }
    String key = prefix + "attention.sliding_window_pattern";
    boolean[] sliding = file.metadata().flags(key).orElseGet(() -> new boolean[0]);
    if (sliding.length != layers) {
      throw new CheckpointException(
          file.file()
              + ": "
              + key
              + " has "
              + sliding.length
              + " entries for "
              + layers
              + " layers");
    }
    List<String> types = new ArrayList<>();
    int firstSliding = layers;
    for (int layer = layers - 1; layer >= 0; layer--) {
      types.add(0, sliding[layer] ? "sliding_attention" : "full_attention");
      firstSliding = sliding[layer] ? layer : firstSliding;
    }
    config
        .field("use_sliding_window", true)
        .field("max_window_layers", firstSliding)
        .field("layer_types", types);
  }

  private static RopeScaling readRopeScaling(GgufFile file, String prefix, ModelConfig config) {
    GgufMetadata metadata = file.metadata();
    String key = prefix + "rope.scaling.";
    String type = metadata.string(key + "type").orElse("none");
    float @Nullable [] frequencies = Llama3Frequencies.read(file);
    if (file.tensor("rope_factors_long.weight") != null) {
      type = "longrope";
    }
    try {
      if (frequencies != null && type.equals("none")) {
        int original = metadata.integer(key + "original_context_length").orElse(8192);
        return Llama3Frequencies.scaling(file, frequencies, config, original);
      }
      double factor =
          shortest(
              metadata
                  .number(key + "factor")
                  .or(() -> metadata.number(prefix + "rope.scale_linear"))
                  .orElse(1.0));
      return switch (type) {
        case "none" -> RopeScaling.DEFAULT;
        case "linear" -> RopeScaling.linear(factor);
        case "yarn" -> yarn(metadata, key, factor, config);
        default ->
            throw new UnsupportedModelException(
                file.file()
                    + ": rope scaling "
                    + type
                    + " is not supported; supported: none,"
                    + " linear, yarn, llama3");
      };
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(file.file() + ": " + key + e.getMessage(), e);
    }
  }

  private static RopeScaling yarn(
      GgufMetadata metadata, String key, double factor, ModelConfig config) {
    int original =
        metadata.integer(key + "original_context_length").orElse(config.maxPositionEmbeddings());
    Double attention = null;
    if (metadata.has(key + "attn_factor")) {
      attention = metadata.number(key + "attn_factor").orElse(1.0) * yarnAttention(factor);
    } else if (metadata.has(key + "yarn_attn_factor")) {
      attention = shortest(metadata.number(key + "yarn_attn_factor").orElse(1.0));
    }
    return RopeScaling.yarn(
        factor,
        original,
        attention,
        shortest(metadata.number(key + "yarn_beta_fast").orElse(32.0)),
        shortest(metadata.number(key + "yarn_beta_slow").orElse(1.0)),
        null,
        null,
        true);
  }

  /** Returns the number that a float stands for: 1e-5 rather than 9.999999747378752e-06. */
  private static double shortest(double number) {
    float single = (float) number;
    return single == number && Float.isFinite(single)
        ? new BigDecimal(Float.toString(single)).doubleValue()
        : number;
  }

  static String required(GgufMetadata metadata, String key) {
    return metadata.string(key).orElseThrow(() -> metadata.missing(key));
  }

  private static int positive(GgufMetadata metadata, String key) {
    int number = metadata.integer(key).orElseThrow(() -> metadata.missing(key));
    if (number == 0) {
      throw metadata.missing(key);
    }
    return number;
  }

  private static void requireSame(GgufFile file, String key, int headDim) {
    int found = file.metadata().integer(key).orElse(headDim);
    if (found != headDim) {
      throw new UnsupportedModelException(
          file.file()
              + ": "
              + key
              + " "
              + found
              + " is not supported; supported: the head's width "
              + headDim);
    }
  }
}
