package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.alpaca4j.core.internal.model.LlamaLayout;
import org.alpaca4j.core.internal.model.UnitLayout;
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
  static final List<String> FAMILIES = List.of("llama", "mistral", "qwen2", "qwen3");

  /** Apart, so that reading a configuration does not wait for it; see {@link JsonTree}. */
  private static final class Writing {
    static final JsonMapper JSON =
        JsonMapper.builder()
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .build();
  }

  private final Values values;
  private final ObjectNode document;
  private final String json;

  private ModelConfig(Values values, ObjectNode document, String json) {
    this.values = values;
    this.document = document;
    this.json = json;
  }

  /** What equality is about. */
  record Values(
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
      node = JsonTree.parse(json, true);
    } catch (JsonProcessingException e) {
      throw new CheckpointException(source + " is not JSON: " + e.getMessage(), e);
    }
    if (!(node instanceof ObjectNode document)) {
      throw new CheckpointException(source + " is not a JSON object");
    }
    return new ModelConfig(ModelConfigReader.read(document, source), document, json);
  }

  /**
   * Starts a configuration from nothing but the defaults of a family.
   *
   * @param modelType llama, mistral, qwen2 or qwen3
   */
  public static Builder builder(String modelType) {
    Builder builder = new Builder(JsonNodeFactory.instance.objectNode());
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
   * Returns the tensors that a checkpoint of this architecture holds: name to shape, in the order
   * of the model. A head that is the embedding is not among them. The map is the caller's own.
   */
  public Map<String, long[]> tensorShapes() {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    for (UnitLayout unit : LlamaLayout.of(this).units()) {
      unit.parameters().forEach(p -> shapes.put(p.name(), p.shapeArray()));
    }
    return shapes;
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
      RopeScalingFields.write(scaling, rope);
      return this;
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
      document.set(name, Writing.JSON.valueToTree(value));
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
        return parse(
            Writing.JSON.writer(printer).writeValueAsString(document) + "\n", "The configuration");
      } catch (JsonProcessingException e) {
        throw new CheckpointException("The configuration cannot be written as JSON", e);
      }
    }
  }
}
