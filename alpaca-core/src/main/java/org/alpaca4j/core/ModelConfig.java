package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The architecture of a decoder model, as its {@code config.json} gives it, in the spelling of
 * transformers 4 ({@code rope_theta}, {@code rope_scaling}, {@code torch_dtype}) or 5 ({@code
 * rope_parameters}, {@code dtype}, {@code layer_types}). A missing field has the default that
 * transformers gives it for the family. Immutable.
 *
 * <p>Families: llama, mistral, qwen2, qwen3. What would change the computation and is not supported
 * is refused by name. Fields that do not matter here are kept: {@link #toJson()} returns them.
 *
 * <p>Two configurations are equal if they describe the same model, whatever their spelling.
 */
public final class ModelConfig {
  private static final List<String> FAMILIES = List.of("llama", "mistral", "qwen2", "qwen3");
  private static final int MAX_LAYERS = 10_000;

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
          .build();

  private final Values values;
  private final ObjectNode document;
  private final String json;

  private ModelConfig(Values values, ObjectNode document, String json) {
    this.values = values;
    this.document = document;
    this.json = json;
  }

  /** What equality is about. */
  private record Values(
      String modelType,
      int hiddenSize,
      int intermediateSize,
      int numHiddenLayers,
      int numAttentionHeads,
      int numKeyValueHeads,
      int headDim,
      int vocabSize,
      int maxPositionEmbeddings,
      double rmsNormEps,
      boolean attentionBias,
      boolean outputBias,
      boolean mlpBias,
      boolean tieWordEmbeddings,
      double attentionDropout,
      double initializerRange,
      double ropeTheta,
      RopeScaling ropeScaling,
      int slidingWindow,
      BitSet slidingLayers,
      @Nullable Integer bosTokenId,
      List<Integer> eosTokenIds,
      @Nullable Integer padTokenId,
      @Nullable DType dtype) {}

  /**
   * Reads a {@code config.json}.
   *
   * @param file the file
   * @throws CheckpointException if it is missing or malformed
   * @throws UnsupportedModelException if the model is of a kind that this library does not run
   */
  public static ModelConfig load(Path file) {
    try {
      return parse(Files.readString(file), file.toString());
    } catch (NoSuchFileException e) {
      throw new CheckpointException(file + " does not exist", e);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    }
  }

  /**
   * Reads the text of a {@code config.json}.
   *
   * @param json the text
   * @param source what messages call it, such as the file
   * @throws CheckpointException if it is malformed
   * @throws UnsupportedModelException if the model is of a kind that this library does not run
   */
  public static ModelConfig parse(String json, String source) {
    JsonNode node;
    try {
      node = JSON.readTree(json);
    } catch (JsonProcessingException e) {
      throw new CheckpointException(source + " is not JSON: " + e.getMessage(), e);
    }
    if (!(node instanceof ObjectNode document)) {
      throw new CheckpointException(source + " is not a JSON object");
    }
    return new ModelConfig(new Reader(document, source).read(), document, json);
  }

  /**
   * Starts a configuration from nothing but the defaults of a family.
   *
   * @param modelType llama, mistral, qwen2 or qwen3
   */
  public static Builder builder(String modelType) {
    Builder builder = new Builder(JSON.createObjectNode());
    if (FAMILIES.contains(modelType)) {
      String family = Character.toUpperCase(modelType.charAt(0)) + modelType.substring(1);
      builder.document.putArray("architectures").add(family + "ForCausalLM");
    }
    builder.document.put("model_type", modelType);
    return builder;
  }

  /** Returns a builder that starts from this configuration, fields unknown here included. */
  public Builder toBuilder() {
    return new Builder(document.deepCopy());
  }

  /** Returns the family: llama, mistral, qwen2 or qwen3. */
  public String modelType() {
    return values.modelType;
  }

  /** Returns the width of the residual stream. */
  public int hiddenSize() {
    return values.hiddenSize;
  }

  /** Returns the width of the feed-forward layer. */
  public int intermediateSize() {
    return values.intermediateSize;
  }

  /** Returns the number of decoder layers. */
  public int numHiddenLayers() {
    return values.numHiddenLayers;
  }

  /** Returns the number of query heads. */
  public int numAttentionHeads() {
    return values.numAttentionHeads;
  }

  /** Returns the number of key and value heads; divides {@link #numAttentionHeads()}. */
  public int numKeyValueHeads() {
    return values.numKeyValueHeads;
  }

  /** Returns the width of a head: given, or hidden size divided by heads. Even. */
  public int headDim() {
    return values.headDim;
  }

  /** Returns the rows of the embedding; may exceed the number of tokens of the tokenizer. */
  public int vocabSize() {
    return values.vocabSize;
  }

  /** Returns the context length in tokens that the model is meant for. */
  public int maxPositionEmbeddings() {
    return values.maxPositionEmbeddings;
  }

  /** Returns what RMS normalisation adds to the mean square. */
  public double rmsNormEps() {
    return values.rmsNormEps;
  }

  /** Returns the activation of the feed-forward gate: always {@code silu}. */
  public String hiddenAct() {
    return "silu";
  }

  /** Returns whether the query, key and value projections have a bias. */
  public boolean attentionBias() {
    return values.attentionBias;
  }

  /** Returns whether the attention's output projection has a bias. */
  public boolean outputBias() {
    return values.outputBias;
  }

  /** Returns whether the feed-forward projections have a bias. */
  public boolean mlpBias() {
    return values.mlpBias;
  }

  /** Returns whether queries and keys are normalised per head (qwen3). */
  public boolean qkNorm() {
    return values.modelType.equals("qwen3");
  }

  /** Returns whether the LM head is the embedding matrix. */
  public boolean tieWordEmbeddings() {
    return values.tieWordEmbeddings;
  }

  /** Returns the dropout probability of attention weights in training; default 0. */
  public double attentionDropout() {
    return values.attentionDropout;
  }

  /** Returns the standard deviation of freshly initialised weights; default 0.02. */
  public double initializerRange() {
    return values.initializerRange;
  }

  /** Returns the base of the rotary position embedding's wavelengths. */
  public double ropeTheta() {
    return values.ropeTheta;
  }

  /** Returns how the rotary position embedding is stretched. */
  public RopeScaling ropeScaling() {
    return values.ropeScaling;
  }

  /**
   * Returns the sliding window of a layer in tokens: a token attends to itself and the window − 1
   * tokens before it. Empty where the layer attends to all tokens before.
   *
   * @param layer from 0
   * @throws IndexOutOfBoundsException if there is no such layer
   */
  public OptionalInt slidingWindow(int layer) {
    Objects.checkIndex(layer, values.numHiddenLayers);
    return values.slidingLayers.get(layer)
        ? OptionalInt.of(values.slidingWindow)
        : OptionalInt.empty();
  }

  /** Returns the id of the token that begins a text, if the model has one. */
  public OptionalInt bosTokenId() {
    return optional(values.bosTokenId);
  }

  /** Returns the ids of the tokens that end a text; possibly none. */
  public List<Integer> eosTokenIds() {
    return values.eosTokenIds;
  }

  /** Returns the id of the padding token, if the model has one. */
  public OptionalInt padTokenId() {
    return optional(values.padTokenId);
  }

  private static OptionalInt optional(@Nullable Integer id) {
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /** Returns the type that the configuration says weights are stored in, if it says so. */
  public Optional<DType> dtype() {
    return Optional.ofNullable(values.dtype);
  }

  /**
   * Returns the text of the {@code config.json}: exactly as read where nothing was changed, else
   * all its fields in their order, with the changes.
   */
  public String toJson() {
    return json;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ModelConfig that && values.equals(that.values);
  }

  @Override
  public int hashCode() {
    return values.hashCode();
  }

  @Override
  public String toString() {
    return "ModelConfig" + values.toString().substring("Values".length());
  }

  /**
   * Builds a configuration; not thread-safe. Values are checked in {@link #build()}. A new
   * configuration is spelled in the old style, which transformers 4 and 5 both read.
   */
  public static final class Builder {
    private final ObjectNode document;

    private Builder(ObjectNode document) {
      this.document = document;
    }

    /** Sets the width of the residual stream; default that of the family. */
    public Builder hiddenSize(int value) {
      return field("hidden_size", value);
    }

    /** Sets the width of the feed-forward layer; default that of the family. */
    public Builder intermediateSize(int value) {
      return field("intermediate_size", value);
    }

    /** Sets the number of decoder layers; default 32. */
    public Builder numHiddenLayers(int value) {
      return field("num_hidden_layers", value);
    }

    /** Sets the number of query heads; default 32. */
    public Builder numAttentionHeads(int value) {
      return field("num_attention_heads", value);
    }

    /** Sets the number of key and value heads; default that of the family. */
    public Builder numKeyValueHeads(int value) {
      return field("num_key_value_heads", value);
    }

    /** Sets the width of a head; default hidden size divided by heads, for qwen3 128. */
    public Builder headDim(int value) {
      return field("head_dim", value);
    }

    /** Sets the rows of the embedding; default that of the family. */
    public Builder vocabSize(int value) {
      return field("vocab_size", value);
    }

    /** Sets the context length in tokens; default that of the family. */
    public Builder maxPositionEmbeddings(int value) {
      return field("max_position_embeddings", value);
    }

    /** Sets what RMS normalisation adds to the mean square; default 1e-6. */
    public Builder rmsNormEps(double value) {
      return field("rms_norm_eps", value);
    }

    /** Sets whether attention projections have a bias (llama, qwen3); default false. */
    public Builder attentionBias(boolean value) {
      return field("attention_bias", value);
    }

    /** Sets whether feed-forward projections have a bias (llama); default false. */
    public Builder mlpBias(boolean value) {
      return field("mlp_bias", value);
    }

    /** Sets whether the LM head is the embedding matrix; default false. */
    public Builder tieWordEmbeddings(boolean value) {
      return field("tie_word_embeddings", value);
    }

    /** Sets the standard deviation of freshly initialised weights; default 0.02. */
    public Builder initializerRange(double value) {
      return field("initializer_range", value);
    }

    /** Sets the base of the rotary embedding's wavelengths; default 10000. */
    public Builder ropeTheta(double value) {
      for (String place : List.of("rope_scaling", "rope_parameters")) {
        if (document.get(place) instanceof ObjectNode rope && !rope.isEmpty()) {
          boolean holdsTheta = rope.has("rope_theta") || place.equals("rope_parameters");
          if (holdsTheta) {
            rope.put("rope_theta", value);
            return this;
          }
        }
      }
      return field("rope_theta", value);
    }

    /** Sets how the rotary position embedding is stretched; default not at all. */
    public Builder ropeScaling(RopeScaling scaling) {
      ObjectNode rope;
      if (document.get("rope_parameters") instanceof ObjectNode parameters) {
        rope = parameters;
        JsonNode theta = rope.get("rope_theta");
        rope.removeAll();
        if (theta != null) {
          rope.set("rope_theta", theta);
        }
        document.remove("rope_scaling");
      } else if (scaling.type() == RopeScaling.Type.DEFAULT) {
        document.putNull("rope_scaling");
        return this;
      } else {
        rope = document.putObject("rope_scaling");
      }
      put(rope, scaling);
      return this;
    }

    private static void put(ObjectNode rope, RopeScaling scaling) {
      rope.put("rope_type", scaling.type().configName());
      if (scaling.type() == RopeScaling.Type.DEFAULT) {
        return;
      }
      rope.put("factor", scaling.factor());
      if (scaling.originalMaxPositionEmbeddings() > 0) {
        rope.put("original_max_position_embeddings", scaling.originalMaxPositionEmbeddings());
      }
      if (scaling.type() == RopeScaling.Type.LLAMA3) {
        rope.put("low_freq_factor", scaling.lowFreqFactor());
        rope.put("high_freq_factor", scaling.highFreqFactor());
      }
      if (scaling.type() == RopeScaling.Type.YARN) {
        rope.put("beta_fast", scaling.betaFast());
        rope.put("beta_slow", scaling.betaSlow());
        if (scaling.attentionFactor() != null) {
          rope.put("attention_factor", scaling.attentionFactor());
        }
        if (scaling.mscale() != null) {
          rope.put("mscale", scaling.mscale());
        }
        if (scaling.mscaleAllDim() != null) {
          rope.put("mscale_all_dim", scaling.mscaleAllDim());
        }
        rope.put("truncate", scaling.truncate());
      }
    }

    /** Sets the id of the token that begins a text. */
    public Builder bosTokenId(int value) {
      return field("bos_token_id", value);
    }

    /** Sets the ids of the tokens that end a text. */
    public Builder eosTokenIds(List<Integer> values) {
      return values.size() == 1
          ? field("eos_token_id", values.get(0))
          : field("eos_token_id", values);
    }

    /** Sets the id of the padding token. */
    public Builder padTokenId(int value) {
      return field("pad_token_id", value);
    }

    /** Sets the type that weights are stored in; under the name that the file already uses. */
    public Builder dtype(DType value) {
      boolean newStyle = document.has("dtype") || document.has("rope_parameters");
      if (!newStyle || document.has("torch_dtype")) {
        field("torch_dtype", value.torchName());
      }
      return newStyle ? field("dtype", value.torchName()) : this;
    }

    /**
     * Sets any field.
     *
     * @param name its name in {@code config.json}
     * @param value a string, number, boolean, list or map of these, or null
     * @throws IllegalArgumentException if JSON has no such value
     */
    public Builder field(String name, @Nullable Object value) {
      document.set(name, JSON.valueToTree(value));
      return this;
    }

    /** Removes a field, so that it has its default. */
    public Builder remove(String name) {
      document.remove(name);
      return this;
    }

    /**
     * Returns the configuration.
     *
     * @throws CheckpointException if a value is impossible
     * @throws UnsupportedModelException if the model is of a kind that this library does not run
     */
    public ModelConfig build() {
      Separators separators =
          Separators.createDefaultInstance()
              .withObjectFieldValueSpacing(Separators.Spacing.AFTER)
              .withObjectEmptySeparator("")
              .withArrayEmptySeparator("");
      DefaultIndenter indenter = new DefaultIndenter("  ", "\n");
      DefaultPrettyPrinter printer = new DefaultPrettyPrinter(separators);
      printer.indentArraysWith(indenter);
      printer.indentObjectsWith(indenter);
      try {
        return parse(JSON.writer(printer).writeValueAsString(document) + "\n", "The configuration");
      } catch (JsonProcessingException e) {
        throw new CheckpointException("The configuration cannot be written as JSON", e);
      }
    }
  }

  /** Turns the JSON document into values, with the rules of transformers 5. */
  private static final class Reader {
    private final ObjectNode document;
    private final String source;

    Reader(ObjectNode document, String source) {
      this.document = document;
      this.source = source;
    }

    Values read() {
      JsonNode type = present(document, "model_type");
      if (type == null || !type.isTextual()) {
        throw new CheckpointException(source + " has no model_type; it must be one of " + FAMILIES);
      }
      String family = type.textValue();
      if (!FAMILIES.contains(family)) {
        throw unsupported("model_type", family, String.join(", ", FAMILIES));
      }
      boolean llama = family.equals("llama");
      boolean mistral = family.equals("mistral");
      boolean qwen = !llama && !mistral;
      refuseUnsupported();

      int hiddenSize = size("hidden_size", 4096);
      int heads = size("num_attention_heads", 32);
      int layers = size("num_hidden_layers", 32);
      if (layers > MAX_LAYERS) {
        throw wrong("num_hidden_layers", layers, "at most " + MAX_LAYERS);
      }
      int keyValueHeads = sizeOrHeads("num_key_value_heads", heads, mistral ? 8 : llama ? 0 : 32);
      if (heads % keyValueHeads != 0) {
        throw wrong("num_key_value_heads", keyValueHeads, "a divisor of the " + heads + " heads");
      }
      int maxPositions =
          size("max_position_embeddings", llama ? 2048 : mistral ? 4096 * 32 : 32768);
      boolean qkvoBias = !mistral && !family.equals("qwen2") && flag("attention_bias", false);
      BitSet slidingLayers = new BitSet();
      int slidingWindow = slidingWindow(family, layers, slidingLayers);
      JsonNode rope = rope();
      double ropeTheta = ropeTheta(rope);

      return new Values(
          family,
          hiddenSize,
          size("intermediate_size", llama ? 11008 : mistral ? 14336 : 22016),
          layers,
          heads,
          keyValueHeads,
          headDim(family, hiddenSize, heads),
          size("vocab_size", qwen ? 151936 : 32000),
          maxPositions,
          number(document, "rms_norm_eps", 1e-6),
          qkvoBias || family.equals("qwen2"),
          qkvoBias,
          llama && flag("mlp_bias", false),
          flag("tie_word_embeddings", false),
          number(document, "attention_dropout", 0.0),
          number(document, "initializer_range", 0.02),
          ropeTheta,
          ropeScaling(rope, maxPositions),
          slidingWindow,
          slidingLayers,
          tokenId("bos_token_id", qwen ? List.of() : List.of(1)),
          tokenIds("eos_token_id", qwen ? List.of() : List.of(2)),
          tokenId("pad_token_id", List.of()),
          dtype());
    }

    private void refuseUnsupported() {
      JsonNode activation = present(document, "hidden_act");
      if (activation != null
          && !activation.asText().equals("silu")
          && !activation.asText().equals("swish")) {
        throw unsupported("hidden_act", activation, "silu");
      }
      JsonNode slices = present(document, "pretraining_tp");
      if (slices != null && slices.asDouble() != 1) {
        throw unsupported("pretraining_tp", slices, "1 (the same weights run with 1: change it)");
      }
      JsonNode quantization = present(document, "quantization_config");
      if (quantization != null) {
        throw unsupported(
            "quantization_config",
            quantization.path("quant_method").asText("set"),
            "none: take the model's unquantised weights");
      }
    }

    private int headDim(String family, int hiddenSize, int heads) {
      int headDim;
      if (present(document, "head_dim") != null) {
        headDim = size("head_dim", 0);
      } else if (family.equals("qwen3") && !document.has("head_dim")) {
        headDim = 128;
      } else {
        if (hiddenSize % heads != 0) {
          throw wrong("hidden_size", hiddenSize, "a multiple of the " + heads + " heads");
        }
        headDim = hiddenSize / heads;
      }
      if (headDim % 2 != 0) {
        throw wrong("head_dim", headDim, "even, as rotary positions turn pairs");
      }
      return headDim;
    }

    /** Marks the layers with a window and returns its length, 0 for none. */
    private int slidingWindow(String family, int layers, BitSet slidingLayers) {
      JsonNode types = present(document, "layer_types");
      JsonNode given = present(document, "sliding_window");
      int window = 0;
      int first = 0;
      if (family.equals("mistral")) {
        window = document.has("sliding_window") && given == null ? 0 : size("sliding_window", 4096);
      } else if (!family.equals("llama") && flag("use_sliding_window", false)) {
        window = document.has("sliding_window") && given == null ? 0 : size("sliding_window", 4096);
        first = count("max_window_layers", 28);
      }
      boolean fromTypes = family.startsWith("qwen") && types != null;
      if (window > 0 && !fromTypes) {
        slidingLayers.set(Math.min(first, layers), layers);
      }
      if (types == null) {
        return slidingLayers.isEmpty() ? 0 : window;
      }
      if (!types.isArray() || types.size() != layers) {
        throw wrong(
            "layer_types", types, "a list with one entry for each of " + layers + " layers");
      }
      for (int layer = 0; layer < layers; layer++) {
        String type = types.get(layer).asText();
        boolean sliding = type.equals("sliding_attention");
        if (!sliding && !type.equals("full_attention")) {
          throw unsupported("layer_types", type, "full_attention, sliding_attention");
        }
        if (fromTypes) {
          if (sliding && window == 0) {
            throw wrong(
                "layer_types",
                type,
                "full_attention, as use_sliding_window and sliding_window set no window");
          }
          slidingLayers.set(layer, sliding);
        } else if (sliding != slidingLayers.get(layer)) {
          throw unsupported(
              "layer_types",
              type + " for layer " + layer,
              "for " + family + " what sliding_window says, as transformers ignores layer_types");
        }
      }
      return slidingLayers.isEmpty() ? 0 : window;
    }

    /** Returns the rope settings: rope_scaling where it holds something, else rope_parameters. */
    private JsonNode rope() {
      for (String field : List.of("rope_scaling", "rope_parameters")) {
        JsonNode rope = present(document, field);
        if (rope == null) {
          continue;
        }
        if (!rope.isObject()) {
          throw wrong(field, rope, "a JSON object or null");
        }
        for (Map.Entry<String, JsonNode> entry : rope.properties()) {
          if (entry.getValue().isObject()) {
            throw unsupported(field, "one set for " + entry.getKey(), "one set for all layers");
          }
        }
        if (!rope.isEmpty()) {
          return rope;
        }
      }
      return JSON.createObjectNode();
    }

    private double ropeTheta(JsonNode rope) {
      double theta =
          rope.has("rope_theta")
              ? number(rope, "rope_theta", 10_000)
              : number(document, "rope_theta", 10_000);
      if (!(theta > 1) || Double.isInfinite(theta)) {
        throw wrong("rope_theta", theta, "a number above 1");
      }
      for (JsonNode place : List.of(rope, document)) {
        double share = number(place, "partial_rotary_factor", 1.0);
        if (share != 1.0) {
          throw unsupported("partial_rotary_factor", share, "1");
        }
      }
      return theta;
    }

    private RopeScaling ropeScaling(JsonNode rope, int maxPositions) {
      JsonNode name = present(rope, "rope_type");
      if (name == null) {
        name = present(rope, "type");
      }
      RopeScaling.Type type = null;
      for (RopeScaling.Type candidate : RopeScaling.Type.values()) {
        if (name == null || candidate.configName().equals(name.asText())) {
          type = candidate;
          break;
        }
      }
      if (type == null) {
        throw unsupported("rope_type", name, RopeScaling.supported());
      }
      if (type == RopeScaling.Type.DEFAULT) {
        return RopeScaling.DEFAULT;
      }
      boolean needsOriginal = type == RopeScaling.Type.LLAMA3 || type == RopeScaling.Type.YARN;
      int original = needsOriginal ? originalLength(rope, maxPositions) : 0;
      Double given = optionalNumber(rope, "factor");
      if (given == null && type != RopeScaling.Type.YARN) {
        throw new CheckpointException(
            source + ": rope type " + type.configName() + " needs the field factor");
      }
      double factor = given == null ? (double) maxPositions / original : given;
      try {
        return switch (type) {
          case LLAMA3 ->
              RopeScaling.llama3(
                  factor,
                  required(rope, "low_freq_factor"),
                  required(rope, "high_freq_factor"),
                  original);
          case YARN ->
              new RopeScaling(
                  type,
                  factor,
                  original,
                  optionalNumber(rope, "attention_factor"),
                  zeroMeans(number(rope, "beta_fast", 32), 32),
                  zeroMeans(number(rope, "beta_slow", 1), 1),
                  optionalNumber(rope, "mscale"),
                  optionalNumber(rope, "mscale_all_dim"),
                  flag(rope, "truncate", true),
                  0,
                  0);
          case LINEAR -> RopeScaling.linear(factor);
          default -> RopeScaling.dynamic(factor);
        };
      } catch (IllegalArgumentException e) {
        throw new CheckpointException(source + ": " + e.getMessage(), e);
      }
    }

    private static double zeroMeans(double value, double fallback) {
      return value == 0 ? fallback : value;
    }

    /** A field beside the rope settings comes before one among them, as in transformers. */
    private int originalLength(JsonNode rope, int maxPositions) {
      String field = "original_max_position_embeddings";
      return present(document, field) != null
          ? size(document, field, maxPositions)
          : size(rope, field, maxPositions);
    }

    private double required(JsonNode node, String field) {
      Double value = optionalNumber(node, field);
      if (value == null) {
        throw new CheckpointException(source + ": rope type llama3 needs the field " + field);
      }
      return value;
    }

    private @Nullable Integer tokenId(String field, List<Integer> fallback) {
      List<Integer> ids = tokenIds(field, fallback);
      if (ids.size() > 1) {
        throw unsupported(field, ids, "a single id");
      }
      return ids.isEmpty() ? null : ids.get(0);
    }

    /** Negative ids, which some old files have for "none", are dropped. */
    private List<Integer> tokenIds(String field, List<Integer> fallback) {
      if (!document.has(field)) {
        return fallback;
      }
      JsonNode node = document.get(field);
      List<Integer> ids = new ArrayList<>();
      if (node instanceof ArrayNode list) {
        list.forEach(id -> ids.add(integer(field, id)));
      } else if (!node.isNull()) {
        ids.add(integer(field, node));
      }
      ids.removeIf(id -> id < 0);
      return List.copyOf(ids);
    }

    private @Nullable DType dtype() {
      JsonNode node = present(document, "dtype");
      if (node == null) {
        node = present(document, "torch_dtype");
      }
      if (node == null) {
        return null;
      }
      String name = node.asText();
      return DType.ofTorchName(name)
          .filter(DType::isWeight)
          .orElseThrow(() -> unsupported("dtype", name, "float32, bfloat16, float16"));
    }

    private static @Nullable JsonNode present(JsonNode node, String field) {
      JsonNode value = node.get(field);
      return value == null || value.isNull() ? null : value;
    }

    private int size(String field, int fallback) {
      return size(document, field, fallback);
    }

    private int size(JsonNode node, String field, int fallback) {
      JsonNode value = present(node, field);
      int size = value == null ? fallback : integer(field, value);
      if (size < 1) {
        throw wrong(field, size, "1 or more");
      }
      return size;
    }

    private int sizeOrHeads(String field, int heads, int fallback) {
      boolean asHeads = document.has(field) ? present(document, field) == null : fallback == 0;
      return asHeads ? heads : size(field, fallback);
    }

    private int count(String field, int fallback) {
      JsonNode value = present(document, field);
      int count = value == null ? fallback : integer(field, value);
      if (count < 0) {
        throw wrong(field, count, "0 or more");
      }
      return count;
    }

    private int integer(String field, JsonNode value) {
      if (!value.isNumber()
          || value.doubleValue() != Math.rint(value.doubleValue())
          || Math.abs(value.doubleValue()) > Integer.MAX_VALUE) {
        throw wrong(field, value, "an integer");
      }
      return (int) value.doubleValue();
    }

    private boolean flag(String field, boolean fallback) {
      return flag(document, field, fallback);
    }

    private boolean flag(JsonNode node, String field, boolean fallback) {
      JsonNode value = present(node, field);
      if (value == null) {
        return fallback;
      }
      if (!value.isBoolean()) {
        throw wrong(field, value, "true or false");
      }
      return value.booleanValue();
    }

    private double number(JsonNode node, String field, double fallback) {
      Double value = optionalNumber(node, field);
      return value == null ? fallback : value;
    }

    private @Nullable Double optionalNumber(JsonNode node, String field) {
      JsonNode value = present(node, field);
      if (value == null) {
        return null;
      }
      if (!value.isNumber() || !Double.isFinite(value.doubleValue())) {
        throw wrong(field, value, "a number");
      }
      return value.doubleValue();
    }

    private CheckpointException wrong(String field, Object value, String must) {
      return new CheckpointException(
          source + ": " + field + " is " + value + ", but must be " + must);
    }

    private UnsupportedModelException unsupported(
        String field, @Nullable Object value, String supported) {
      return new UnsupportedModelException(
          source + ": " + field + " " + value + " is not supported; supported: " + supported);
    }
  }
}
