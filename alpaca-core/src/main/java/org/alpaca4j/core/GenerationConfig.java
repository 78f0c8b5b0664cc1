package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.alpaca4j.core.internal.JsonProblem;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How to generate text. Names, defaults and effects are those of transformers' {@code
 * GenerationConfig}, but for {@link #maxNewTokens}.
 *
 * <p>Immutable and thread-safe.
 */
public final class GenerationConfig {
  private static final Logger log = LoggerFactory.getLogger(GenerationConfig.class);

  /** Name of the file in a model's folder. */
  public static final String FILE_NAME = "generation_config.json";

  /** Options whose values these are not change what is generated here, under any value. */
  private static final Set<String> WITHOUT_EFFECT =
      Set.of(
          "_from_model_config",
          "_commit_hash",
          "transformers_version",
          "bos_token_id",
          "decoder_start_token_id",
          "use_cache",
          "cache_implementation",
          "cache_config",
          "max_cache_len",
          "compile_config",
          "disable_compile",
          "continuous_batching_config",
          "low_memory",
          "prefill_chunk_size",
          "output_attentions",
          "output_hidden_states",
          "output_logits",
          "return_dict_in_generate",
          "is_assistant",
          "num_assistant_tokens",
          "num_assistant_tokens_schedule",
          "assistant_confidence_threshold",
          "assistant_lookbehind",
          "target_lookbehind",
          "assistant_early_exit",
          "max_matching_ngram_size",
          "encoder_repetition_penalty",
          "encoder_no_repeat_ngram_size",
          "chat_format",
          "max_window_size");

  /** Options that are not supported, with the value that means "off" beside null. */
  private static final Map<String, Object> UNSUPPORTED =
      Map.ofEntries(
          Map.entry("min_length", 0.0),
          Map.entry("typical_p", 1.0),
          Map.entry("epsilon_cutoff", 0.0),
          Map.entry("eta_cutoff", 0.0),
          Map.entry("num_beam_groups", 1.0),
          Map.entry("diversity_penalty", 0.0),
          Map.entry("num_return_sequences", 1.0),
          Map.entry("guidance_scale", 1.0),
          Map.entry("penalty_alpha", 0.0),
          Map.entry("prompt_lookup_num_tokens", 0.0),
          Map.entry("remove_invalid_values", false),
          Map.entry("renormalize_logits", false),
          Map.entry("token_healing", false),
          Map.entry("use_mtp", false));

  /** What early stopping of beam search means. */
  public enum EarlyStopping {
    /** Stop when better candidates have become very unlikely; the default. */
    FALSE,
    /** Stop as soon as there are as many finished candidates as beams. */
    TRUE,
    /** Stop only when there cannot be better candidates. */
    NEVER
  }

  private final Builder values;

  private GenerationConfig(Builder values) {
    this.values = values;
  }

  /** Returns a builder with the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns a builder with these values. */
  public Builder toBuilder() {
    return new Builder(values);
  }

  /**
   * Reads a model's defaults: its {@value #FILE_NAME}, or nothing but the defaults where it has
   * none.
   *
   * @param folder of the model
   *     <p>What transformers takes is taken: with {@code do_sample} false, the options of sampling
   *     do not matter; options that would change results and are not supported are left out, with a
   *     warning that names them, and so are options that are not known.
   * @throws CheckpointException if the file is malformed
   */
  public static GenerationConfig load(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    Path file = folder.resolve(FILE_NAME);
    if (!Files.exists(file)) {
      return builder().build();
    }
    try {
      return parse(Files.readString(file), file.toString());
    } catch (IOException e) {
      throw new CheckpointException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  private static GenerationConfig parse(String text, String source) {
    JsonNode json;
    try {
      json = JsonTree.parse(text);
    } catch (JsonProcessingException e) {
      throw new CheckpointException(source + ": not JSON: " + JsonProblem.describeWithPlace(e), e);
    }
    if (!json.isObject()) {
      throw new CheckpointException(source + ": expected a JSON object");
    }
    Builder builder = builder();
    List<String> ignored = new ArrayList<>();
    for (Map.Entry<String, JsonNode> field : json.properties()) {
      if (field.getValue().isNull()) {
        continue;
      }
      try {
        if (!read(builder, field.getKey(), field.getValue())) {
          ignored.add(field.getKey() + " = " + field.getValue());
        }
      } catch (IllegalArgumentException e) {
        throw new CheckpointException(source + ": " + e.getMessage(), e);
      }
    }
    if (builder.numBeams > 1 && builder.doSample) {
      ignored.add("do_sample = true, since num_beams = " + builder.numBeams);
      builder.doSample(false);
    }
    if (!ignored.isEmpty()) {
      log.warn(
          "{}: not supported here and without effect, though they may change what others generate:"
              + " {}",
          source,
          String.join("; ", ignored));
    }
    try {
      builder.unsupported.addAll(ignored);
      return builder.checked();
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(source + ": " + e.getMessage(), e);
    }
  }

  /**
   * Returns the text of a folder's file with other end tokens; everything else in it stays.
   *
   * @throws CheckpointException if the file cannot be read
   */
  static String jsonWithEnds(Path folder, List<Integer> ends) {
    Path file = folder.resolve(FILE_NAME);
    try {
      JsonNode json =
          Files.exists(file) ? JsonTree.parse(Files.readString(file)) : JsonTree.parse("{}");
      Map<String, @Nullable Object> fields = new LinkedHashMap<>(JsonTree.fields(json));
      fields.put("eos_token_id", ends.size() == 1 ? ends.get(0) : ends);
      return JsonTree.writer().writerWithDefaultPrettyPrinter().writeValueAsString(fields) + "\n";
    } catch (IOException e) {
      throw new CheckpointException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  /** Sets what an option says; returns false if it is not supported and left out. */
  private static boolean read(Builder builder, String name, JsonNode value) {
    switch (name) {
      case "max_new_tokens" -> builder.maxNewTokens(integer(name, value));
      case "max_length" -> builder.maxLength(integer(name, value));
      case "min_new_tokens" -> builder.minNewTokens(integer(name, value));
      case "do_sample" -> builder.doSample(flag(name, value));
      case "temperature" -> builder.temperature(number(name, value));
      case "top_k" -> builder.topK(Math.max(0, integer(name, value))); // some write -1 for "all"
      case "top_p" -> builder.topP(number(name, value));
      case "min_p" -> builder.minP(number(name, value));
      case "repetition_penalty" -> builder.repetitionPenalty(number(name, value));
      case "no_repeat_ngram_size" -> builder.noRepeatNgramSize(integer(name, value));
      case "num_beams" -> builder.numBeams(integer(name, value));
      case "length_penalty" -> builder.lengthPenalty(number(name, value));
      case "early_stopping" -> builder.earlyStopping(earlyStopping(name, value));
      case "eos_token_id" -> builder.eosTokenIds(integers(name, value));
      case "pad_token_id" -> builder.padTokenId(integer(name, value));
      case "stop_strings" -> builder.stopStrings(strings(name, value));
      case "output_scores" -> builder.outputScores(flag(name, value));
      default -> {
        return isOff(name, value);
      }
    }
    return true;
  }

  private static boolean isOff(String name, JsonNode value) {
    Object off = UNSUPPORTED.get(name);
    return WITHOUT_EFFECT.contains(name)
        || value.isNumber() && Double.valueOf(value.doubleValue()).equals(off)
        || value.isBoolean() && Boolean.valueOf(value.booleanValue()).equals(off)
        || value.isContainerNode() && value.isEmpty();
  }

  private static EarlyStopping earlyStopping(String name, JsonNode value) {
    if (value.isTextual() && value.textValue().equals("never")) {
      return EarlyStopping.NEVER;
    }
    return flag(name, value) ? EarlyStopping.TRUE : EarlyStopping.FALSE;
  }

  private static int integer(String name, JsonNode value) {
    if (!value.isNumber() || value.doubleValue() != value.intValue()) {
      throw new IllegalArgumentException(name + " = " + value + ", but must be an integer");
    }
    return value.intValue();
  }

  private static double number(String name, JsonNode value) {
    if (!value.isNumber()) {
      throw new IllegalArgumentException(name + " = " + value + ", but must be a number");
    }
    return value.doubleValue();
  }

  private static boolean flag(String name, JsonNode value) {
    if (!value.isBoolean()) {
      throw new IllegalArgumentException(name + " = " + value + ", but must be true or false");
    }
    return value.booleanValue();
  }

  private static List<Integer> integers(String name, JsonNode value) {
    if (!value.isArray()) {
      return List.of(integer(name, value));
    }
    List<Integer> result = new ArrayList<>();
    value.forEach(element -> result.add(integer(name, element)));
    return result;
  }

  private static List<String> strings(String name, JsonNode value) {
    List<String> result = new ArrayList<>();
    for (JsonNode element : value.isArray() ? value : List.of(value)) {
      if (!element.isTextual()) {
        throw new IllegalArgumentException(name + " = " + value + ", but must be strings");
      }
      result.add(element.textValue());
    }
    return result;
  }

  /** Returns the largest number of new tokens; default 512. */
  public int maxNewTokens() {
    return values.maxNewTokens == null ? Builder.DEFAULT_MAX_NEW_TOKENS : values.maxNewTokens;
  }

  /**
   * Returns the largest number of tokens with the prompt's, which counts only where {@link
   * Builder#maxNewTokens} was not set; default: none.
   */
  public OptionalInt maxLength() {
    return values.maxLength == null || values.maxNewTokens != null
        ? OptionalInt.empty()
        : OptionalInt.of(values.maxLength);
  }

  /** Returns the number of new tokens before which no eos token may come; default 0. */
  public int minNewTokens() {
    return values.minNewTokens;
  }

  /** Returns whether tokens are drawn at random, instead of the best being taken; default false. */
  public boolean doSample() {
    return values.doSample;
  }

  /** Returns what scores are divided by before sampling; default 1. */
  public double temperature() {
    return values.temperature;
  }

  /** Returns how many of the best tokens are kept for sampling; default 50; 0 for all. */
  public int topK() {
    return values.topK;
  }

  /** Returns the probability that the tokens kept for sampling must reach; default 1. */
  public double topP() {
    return values.topP;
  }

  /** Returns the least probability, relative to the best token's, for sampling; default 0. */
  public double minP() {
    return values.minP;
  }

  /** Returns by how much the scores of tokens seen before are made worse; default 1: not at all. */
  public double repetitionPenalty() {
    return values.repetitionPenalty;
  }

  /** Returns the size of the n-grams that may come only once; default 0: any may come again. */
  public int noRepeatNgramSize() {
    return values.noRepeatNgramSize;
  }

  /** Returns the number of beams; default 1: no beam search. */
  public int numBeams() {
    return values.numBeams;
  }

  /** Returns the power of the length by which beam scores are divided; default 1. */
  public double lengthPenalty() {
    return values.lengthPenalty;
  }

  /** Returns when beam search stops; default {@link EarlyStopping#FALSE}. */
  public EarlyStopping earlyStopping() {
    return values.earlyStopping;
  }

  /**
   * Returns the tokens that end a sequence. Not set (the default) means the model's own; an empty
   * list means none.
   */
  public Optional<List<Integer>> eosTokenIds() {
    return Optional.ofNullable(values.eosTokenIds);
  }

  /**
   * Returns the id that transformers fills finished rows of a batch with. Results here have no
   * filling: it is kept for writing the file again.
   */
  public OptionalInt padTokenId() {
    return values.padTokenId == null ? OptionalInt.empty() : OptionalInt.of(values.padTokenId);
  }

  /** Returns the texts that end a sequence; default none. */
  public List<String> stopStrings() {
    return values.stopStrings;
  }

  /** Returns the seed of sampling; default: another one each time. */
  public OptionalLong seed() {
    return values.seed == null ? OptionalLong.empty() : OptionalLong.of(values.seed);
  }

  /** Returns the options of the file, with their values, that are not supported and left out. */
  public List<String> unsupported() {
    return List.copyOf(values.unsupported);
  }

  /** Returns whether results have every step's scores; default false. */
  public boolean outputScores() {
    return values.outputScores;
  }

  /** Values to be checked and put together by {@link #build}. Not thread-safe. */
  public static final class Builder {
    private static final int DEFAULT_MAX_NEW_TOKENS = 512;

    private @Nullable Integer maxNewTokens;
    private @Nullable Integer maxLength;
    private int minNewTokens;
    private boolean doSample;
    private double temperature = 1;
    private int topK = 50;
    private double topP = 1;
    private double minP;
    private double repetitionPenalty = 1;
    private int noRepeatNgramSize;
    private int numBeams = 1;
    private double lengthPenalty = 1;
    private EarlyStopping earlyStopping = EarlyStopping.FALSE;
    private @Nullable List<Integer> eosTokenIds;
    private @Nullable Integer padTokenId;
    private List<String> stopStrings = List.of();
    private @Nullable Long seed;
    private boolean outputScores;
    private final List<String> unsupported = new ArrayList<>();
    private final Set<String> setForSampling = new LinkedHashSet<>();
    private final Set<String> setForBeams = new LinkedHashSet<>();

    private Builder() {}

    private Builder(Builder other) {
      maxNewTokens = other.maxNewTokens;
      maxLength = other.maxLength;
      minNewTokens = other.minNewTokens;
      doSample = other.doSample;
      temperature = other.temperature;
      topK = other.topK;
      topP = other.topP;
      minP = other.minP;
      repetitionPenalty = other.repetitionPenalty;
      noRepeatNgramSize = other.noRepeatNgramSize;
      numBeams = other.numBeams;
      lengthPenalty = other.lengthPenalty;
      earlyStopping = other.earlyStopping;
      eosTokenIds = other.eosTokenIds;
      padTokenId = other.padTokenId;
      stopStrings = other.stopStrings;
      seed = other.seed;
      outputScores = other.outputScores;
      unsupported.addAll(other.unsupported);
    }

    /** Sets {@link GenerationConfig#maxNewTokens}: at least 1. */
    public Builder maxNewTokens(int value) {
      maxNewTokens = value;
      return this;
    }

    /** Sets {@link GenerationConfig#maxLength}: at least 1. */
    public Builder maxLength(int value) {
      maxLength = value;
      return this;
    }

    /** Sets {@link GenerationConfig#minNewTokens}: not negative. */
    public Builder minNewTokens(int value) {
      minNewTokens = value;
      return this;
    }

    /** Sets {@link GenerationConfig#doSample}. */
    public Builder doSample(boolean value) {
      doSample = value;
      return this;
    }

    /** Sets {@link GenerationConfig#temperature}: positive; 0 only without {@link #doSample}. */
    public Builder temperature(double value) {
      setForSampling.add("temperature");
      temperature = value;
      return this;
    }

    /** Sets {@link GenerationConfig#topK}: not negative. */
    public Builder topK(int value) {
      setForSampling.add("topK");
      topK = value;
      return this;
    }

    /** Sets {@link GenerationConfig#topP}: from 0 to 1. */
    public Builder topP(double value) {
      setForSampling.add("topP");
      topP = value;
      return this;
    }

    /** Sets {@link GenerationConfig#minP}: from 0 to 1. */
    public Builder minP(double value) {
      setForSampling.add("minP");
      minP = value;
      return this;
    }

    /** Sets {@link GenerationConfig#repetitionPenalty}: positive. */
    public Builder repetitionPenalty(double value) {
      repetitionPenalty = value;
      return this;
    }

    /** Sets {@link GenerationConfig#noRepeatNgramSize}: not negative. */
    public Builder noRepeatNgramSize(int value) {
      noRepeatNgramSize = value;
      return this;
    }

    /** Sets {@link GenerationConfig#numBeams}: at least 1; more exclude {@link #doSample}. */
    public Builder numBeams(int value) {
      numBeams = value;
      return this;
    }

    /** Sets {@link GenerationConfig#lengthPenalty}: above 0 for long, below for short sequences. */
    public Builder lengthPenalty(double value) {
      setForBeams.add("lengthPenalty");
      lengthPenalty = value;
      return this;
    }

    /** Sets {@link GenerationConfig#earlyStopping}. */
    public Builder earlyStopping(EarlyStopping value) {
      Objects.requireNonNull(value, "earlyStopping is null");
      setForBeams.add("earlyStopping");
      earlyStopping = value;
      return this;
    }

    /** Sets {@link GenerationConfig#eosTokenIds}; an empty list for none. */
    public Builder eosTokenIds(List<Integer> values) {
      Objects.requireNonNull(values, "values is null");
      eosTokenIds = List.copyOf(values);
      return this;
    }

    /** Sets {@link GenerationConfig#padTokenId}. */
    public Builder padTokenId(int value) {
      padTokenId = value;
      return this;
    }

    /** Sets {@link GenerationConfig#stopStrings}: none of them empty. */
    public Builder stopStrings(List<String> values) {
      Objects.requireNonNull(values, "values is null");
      stopStrings = List.copyOf(values);
      return this;
    }

    /** Sets {@link GenerationConfig#seed}. */
    public Builder seed(long value) {
      setForSampling.add("seed");
      seed = value;
      return this;
    }

    /** Sets {@link GenerationConfig#outputScores}; not with beams. */
    public Builder outputScores(boolean value) {
      outputScores = value;
      return this;
    }

    /**
     * Checks the values and puts them together. Options set here that have no effect without {@link
     * #doSample}, or without {@link #numBeams}, are named in a warning.
     *
     * @throws IllegalArgumentException if a value is out of its range, or two exclude each other
     */
    public GenerationConfig build() {
      GenerationConfig config = checked();
      if (!doSample && !setForSampling.isEmpty()) {
        log.warn("{} without effect: set doSample(true) as well", setForSampling);
      }
      if (numBeams == 1 && !setForBeams.isEmpty()) {
        log.warn("{} without effect: set numBeams as well", setForBeams);
      }
      return config;
    }

    private GenerationConfig checked() {
      require(maxNewTokens == null || maxNewTokens >= 1, "maxNewTokens", maxNewTokens, "≥ 1");
      require(maxLength == null || maxLength >= 1, "maxLength", maxLength, "≥ 1");
      require(minNewTokens >= 0, "minNewTokens", minNewTokens, "≥ 0");
      require(
          (temperature > 0 || temperature == 0 && !doSample) && Double.isFinite(temperature),
          "temperature",
          temperature,
          "positive; for no randomness set doSample(false)");
      require(topK >= 0, "topK", topK, "≥ 0, where 0 means all");
      require(topP >= 0 && topP <= 1, "topP", topP, "from 0 to 1");
      require(minP >= 0 && minP <= 1, "minP", minP, "from 0 to 1");
      require(
          repetitionPenalty > 0 && Double.isFinite(repetitionPenalty),
          "repetitionPenalty",
          repetitionPenalty,
          "positive");
      require(noRepeatNgramSize >= 0, "noRepeatNgramSize", noRepeatNgramSize, "≥ 0");
      require(numBeams >= 1, "numBeams", numBeams, "≥ 1");
      require(Double.isFinite(lengthPenalty), "lengthPenalty", lengthPenalty, "finite");
      require(
          stopStrings.stream().noneMatch(String::isEmpty), "stopStrings", stopStrings, "not empty");
      if (numBeams > 1 && doSample) {
        throw new IllegalArgumentException(
            "numBeams = " + numBeams + " with doSample: sampling beams is not supported; set one");
      }
      if (numBeams > 1 && outputScores) {
        throw new IllegalArgumentException(
            "numBeams = " + numBeams + " with outputScores: beams have a score of the sequence");
      }
      return new GenerationConfig(new Builder(this));
    }

    private static void require(boolean ok, String name, @Nullable Object value, String must) {
      if (!ok) {
        throw new IllegalArgumentException(name + " is " + value + ", but must be " + must);
      }
    }
  }
}
