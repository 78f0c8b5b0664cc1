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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.JsonProblem;
import org.alpaca4j.core.internal.Placeholder;
import org.alpaca4j.core.internal.family.ConfigFields;
import org.alpaca4j.core.internal.family.Families;
import org.alpaca4j.core.internal.family.Profile;
import org.alpaca4j.core.internal.family.Quantization;
import org.alpaca4j.core.internal.family.RotaryFields;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.FileTensor;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Mlp;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.jspecify.annotations.Nullable;

/**
 * The architecture of a decoder model, as its {@code config.json} gives it, in the spelling of
 * transformers 4 ({@code rope_theta}, {@code rope_scaling}, {@code torch_dtype}), 5 ({@code
 * rope_parameters}, {@code dtype}, {@code layer_types}) or of the family's first upload. A missing
 * field has the default that transformers gives it for the family. Immutable.
 *
 * <p>What would change the computation and is not supported is refused by name. Fields that do not
 * matter here are kept: {@link #toJson()} returns them. Names of Python code ({@code auto_map}) are
 * such fields: nothing is run.
 *
 * <p>Two configurations are equal if they describe the same model, whatever their spelling.
 */
public final class ModelConfig {
  static {
    Internals.register(
        new Internals.ModelConfigAccess() {
          @Override
          public DecoderDescription description(ModelConfig config) {
            return config.values.description;
          }

          @Override
          public Profile profile(ModelConfig config) {
            return config.profile;
          }

          @Override
          public @Nullable Quantization quantization(ModelConfig config) {
            return config.values.quantization;
          }
        });
  }

  /** Apart, so that reading a configuration does not wait for it; see {@link JsonTree}. */
  private static final class Writing {
    static final JsonMapper JSON =
        JsonMapper.builder()
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .build();
  }

  private final Values values;
  private final Profile profile;
  private final String modelType;
  private final ObjectNode document;
  private final String json;

  private ModelConfig(ObjectNode document, String json, String source) {
    Families.Described described = Families.describe(document, source);
    ConfigFields fields = described.fields();
    values =
        new Values(
            described.description(),
            tokenId(fields, "bos_token_id"),
            fields.tokenIds("eos_token_id"),
            tokenId(fields, "pad_token_id"),
            dtype(fields),
            fields.number("initializer_range", 0.02),
            fields.flag("output_router_logits", false),
            Quantization.of(fields));
    profile = fields.profile();
    modelType = described.modelType();
    this.document = document;
    this.json = json;
  }

  /** What equality is about. */
  private record Values(
      DecoderDescription description,
      @Nullable Integer bosTokenId,
      List<Integer> eosTokenIds,
      @Nullable Integer padTokenId,
      @Nullable DType dtype,
      double initializerRange,
      boolean outputRouterLogits,
      @Nullable Quantization quantization) {}

  private static @Nullable Integer tokenId(ConfigFields fields, String field) {
    List<Integer> ids = fields.tokenIds(field);
    if (ids.size() > 1) {
      throw fields.unsupported(field, ids, "a single id");
    }
    return ids.isEmpty() ? null : ids.get(0);
  }

  private static @Nullable DType dtype(ConfigFields fields) {
    JsonNode node = fields.get("dtype");
    if (node == null) {
      node = fields.get("torch_dtype");
    }
    if (node == null || node.asText().equals("auto")) {
      return null; // "auto": that of the files, as transformers has it
    }
    Optional<DType> dtype = DType.ofTorchName(node.asText());
    if (dtype.isEmpty() || !dtype.get().isWeight()) {
      throw fields.unsupported("dtype", node.asText(), "float32, bfloat16, float16");
    }
    return dtype.get();
  }

  /**
   * Reads a {@code config.json}.
   *
   * @param file the file
   * @throws CheckpointException if it is missing or malformed
   * @throws UnsupportedModelException if the model is of a kind that this library does not run
   */
  public static ModelConfig load(Path file) {
    Objects.requireNonNull(file, "file is null");
    try {
      String json = Files.readString(file);
      Optional<String> placeholder = Placeholder.in(file);
      if (placeholder.isPresent()) {
        throw new CheckpointException(file + " " + placeholder.get());
      }
      return parse(json, file.toString());
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
    Objects.requireNonNull(json, "json is null");
    Objects.requireNonNull(source, "source is null");
    JsonNode node;
    try {
      node = JsonTree.parse(json, true);
    } catch (JsonProcessingException e) {
      throw new CheckpointException(
          source + " is not JSON: " + JsonProblem.describeWithPlace(e), e);
    }
    if (!(node instanceof ObjectNode document)) {
      throw new CheckpointException(source + " is not a JSON object");
    }
    return new ModelConfig(document, json, source);
  }

  /**
   * Starts a configuration from nothing but the defaults of a family.
   *
   * @param modelType such as llama or qwen3
   * @throws UnsupportedModelException if there is no such family; the message names all
   */
  public static Builder builder(String modelType) {
    Objects.requireNonNull(modelType, "modelType is null");
    Profile profile = Families.of(modelType, "The configuration").profile();
    Builder builder = new Builder(JsonNodeFactory.instance.objectNode(), profile);
    builder.document.putArray("architectures").add(profile.architecture());
    builder.document.put("model_type", modelType);
    return builder;
  }

  /** Returns a builder that starts from this configuration, fields unknown here included. */
  public Builder toBuilder() {
    return new Builder(document.deepCopy(), profile);
  }

  /** Returns the family as the file names it, such as llama or qwen3. */
  public String modelType() {
    return modelType;
  }

  /** Returns the width of the residual stream. */
  public int hiddenSize() {
    return values.description.hiddenSize();
  }

  /** Returns the width of the feed-forward layer; that of an expert if all layers have experts. */
  public int intermediateSize() {
    int width = 0;
    for (Layer layer : values.description.layers()) {
      if (layer.mlp() instanceof Dense dense) {
        return dense.width();
      }
      width = ((Experts) layer.mlp()).width();
    }
    return width;
  }

  /** Returns the number of decoder layers. */
  public int numHiddenLayers() {
    return values.description.layers().size();
  }

  private Attention attention() {
    return values.description.layers().get(0).attention();
  }

  /** Returns the number of query heads. */
  public int numAttentionHeads() {
    return attention().heads();
  }

  /** Returns the number of key and value heads; divides {@link #numAttentionHeads()}. */
  public int numKeyValueHeads() {
    return attention().kvHeads();
  }

  /** Returns the width of a head: given, or hidden size divided by heads. */
  public int headDim() {
    return attention().headDim();
  }

  /** Returns the rows of the embedding; may exceed the number of tokens of the tokenizer. */
  public int vocabSize() {
    return values.description.vocabSize();
  }

  /** Returns the context length in tokens that the model is meant for. */
  public int maxPositionEmbeddings() {
    return values.description.maxPositions();
  }

  /** Returns what normalisation adds to the mean square, or to the variance. */
  public double rmsNormEps() {
    Layer layer = values.description.layers().get(0);
    Norm norm = layer.aroundAttention().before();
    norm = norm == null ? layer.aroundAttention().sum() : norm;
    norm = norm == null ? values.description.finalNorm() : norm;
    return norm == null ? 0 : norm.eps();
  }

  /** Returns whether the query, key and value projections have a bias. */
  public boolean attentionBias() {
    return attention().queryKeyValue().bias() != null;
  }

  /** Returns whether the attention's output projection has a bias. */
  public boolean outputBias() {
    return attention().output().bias() != null;
  }

  /** Returns whether the feed-forward projections have a bias. */
  public boolean mlpBias() {
    Mlp mlp = values.description.layers().get(0).mlp();
    return mlp instanceof Dense dense && dense.out().bias() != null;
  }

  /** Returns whether queries and keys are normalised. */
  public boolean qkNorm() {
    return attention().headNorm() != null;
  }

  /** Returns whether the LM head is the embedding matrix. */
  public boolean tieWordEmbeddings() {
    return values.description.head().tied();
  }

  /** Returns the standard deviation of freshly initialised weights; default 0.02. */
  public double initializerRange() {
    return values.initializerRange;
  }

  /**
   * Returns the factor of the loss that spreads tokens over experts, which training adds: {@code
   * router_aux_loss_coef} where {@code output_router_logits} is true, else 0, as in transformers.
   */
  public double routerAuxLossCoef() {
    for (Layer layer : values.description.layers()) {
      if (layer.mlp() instanceof Experts experts && values.outputRouterLogits) {
        return experts.auxiliaryLoss();
      }
    }
    return 0;
  }

  /**
   * Returns the base of the rotary position embedding's wavelengths: of the layers that see
   * everything, where others have one of their own. 0 for a model without.
   */
  public double ropeTheta() {
    List<Rotary> rotaries = values.description.rotaries();
    return rotaries.isEmpty() ? 0 : rotaries.get(0).theta();
  }

  /** Returns how the rotary position embedding is stretched; the same one's. */
  public RopeScaling ropeScaling() {
    List<Rotary> rotaries = values.description.rotaries();
    return rotaries.isEmpty() ? RopeScaling.DEFAULT : rotaries.get(0).scaling();
  }

  /**
   * Returns the sliding window of a layer in tokens: a token attends to itself and the window − 1
   * tokens before it. Empty where the layer attends to all tokens before.
   *
   * @param layer from 0
   * @throws IndexOutOfBoundsException if there is no such layer
   */
  public OptionalInt slidingWindow(int layer) {
    int window = values.description.layers().get(layer).attention().window();
    return window == 0 ? OptionalInt.empty() : OptionalInt.of(window);
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
    for (FileTensor tensor : values.description.tensors()) {
      long[] shape = new long[tensor.shape().size()];
      for (int i = 0; i < shape.length; i++) {
        shape[i] = tensor.shape().get(i);
      }
      shapes.put(tensor.name(), shape);
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
    return "ModelConfig[" + modelType + ", " + values + "]";
  }

  /**
   * Builds a configuration; not thread-safe. Values are checked in {@link #build()}. A new
   * configuration is spelled in the old style, which transformers 4 and 5 both read.
   */
  public static final class Builder {
    private final ObjectNode document;
    private final Profile profile;

    private Builder(ObjectNode document, Profile profile) {
      this.document = document;
      this.profile = profile;
    }

    /** Sets a field under the name that the file already uses, or else the family. */
    private Builder known(String field, Object value) {
      List<String> names = profile.names(field);
      for (String name : names) {
        if (document.hasNonNull(name)) {
          return field(name, value);
        }
      }
      return field(names.get(0), value);
    }

    /** Sets the width of the residual stream; default that of the family. */
    public Builder hiddenSize(int value) {
      return known("hidden_size", value);
    }

    /** Sets the width of the feed-forward layer; default that of the family. */
    public Builder intermediateSize(int value) {
      return known("intermediate_size", value);
    }

    /** Sets the number of decoder layers; default that of the family. */
    public Builder numHiddenLayers(int value) {
      return known("num_hidden_layers", value);
    }

    /** Sets the number of query heads; default that of the family. */
    public Builder numAttentionHeads(int value) {
      return known("num_attention_heads", value);
    }

    /** Sets the number of key and value heads; default that of the family. */
    public Builder numKeyValueHeads(int value) {
      return known("num_key_value_heads", value);
    }

    /** Sets the width of a head; default hidden size divided by heads, for qwen3 128. */
    public Builder headDim(int value) {
      return known("head_dim", value);
    }

    /** Sets the rows of the embedding; default that of the family. */
    public Builder vocabSize(int value) {
      return known("vocab_size", value);
    }

    /** Sets the context length in tokens; default that of the family. */
    public Builder maxPositionEmbeddings(int value) {
      return known("max_position_embeddings", value);
    }

    /** Sets what normalisation adds to the mean square; default that of the family. */
    public Builder rmsNormEps(double value) {
      return known("rms_norm_eps", value);
    }

    /** Sets whether attention projections have a bias (llama, qwen3); default false. */
    public Builder attentionBias(boolean value) {
      return known("attention_bias", value);
    }

    /** Sets whether feed-forward projections have a bias (llama); default false. */
    public Builder mlpBias(boolean value) {
      return known("mlp_bias", value);
    }

    /** Sets whether the LM head is the embedding matrix; default that of the family. */
    public Builder tieWordEmbeddings(boolean value) {
      return known("tie_word_embeddings", value);
    }

    /** Sets the standard deviation of freshly initialised weights; default 0.02. */
    public Builder initializerRange(double value) {
      return known("initializer_range", value);
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
      return known("rope_theta", value);
    }

    /** Sets how the rotary position embedding is stretched; default not at all. */
    public Builder ropeScaling(RopeScaling scaling) {
      Objects.requireNonNull(scaling, "scaling is null");
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
      RotaryFields.write(scaling, rope);
      return this;
    }

    /** Sets the id of the token that begins a text. */
    public Builder bosTokenId(int value) {
      return field("bos_token_id", value);
    }

    /** Sets the ids of the tokens that end a text. */
    public Builder eosTokenIds(List<Integer> values) {
      Objects.requireNonNull(values, "values is null");
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
      Objects.requireNonNull(value, "dtype is null");
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
      Objects.requireNonNull(name, "name is null");
      document.set(name, Writing.JSON.valueToTree(value));
      return this;
    }

    /** Removes a field, so that it has its default. */
    public Builder remove(String name) {
      Objects.requireNonNull(name, "name is null");
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
