package org.alpaca4j.data.selfinstruct;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.alpaca4j.data.DataException;
import org.alpaca4j.data.ExampleOrder;
import org.jspecify.annotations.Nullable;

/**
 * Lets a model write new instruction data after the example of seed tasks, as Stanford Alpaca's
 * {@code generate_instruction.py} does: in rounds of several prompts, each with some seed tasks
 * drawn at random; replies are cut into records, filtered, and kept if their instruction is not too
 * similar to any other one.
 *
 * <pre>{@code
 * SelfInstructReport report =
 *     SelfInstruct.builder()
 *         .seedTasks(Path.of("seed_tasks.jsonl"))
 *         .model(OpenAiModel.builder().model("gpt-4o-mini").build())
 *         .outputDirectory(Path.of("out"))
 *         .numInstructions(300)
 *         .build()
 *         .run();
 * }</pre>
 *
 * <p>The result is {@code regen.json}, rewritten after each round, in the original's format. Beside
 * it, {@code replies.jsonl} has every reply as it came, on the disk before it is used. A run in a
 * folder with replies uses these first, and asks only for what is missing: however often a run is
 * interrupted, no reply is asked for again once it was saved, and the result is that of an
 * undisturbed run with the same replies. A {@code regen.json} without replies beside it, such as
 * one of the original's, is continued.
 *
 * <p>Immutable; one run at a time in a folder.
 */
public final class SelfInstruct {
  private static final int DEFAULT_SEED = 42;
  private static final double DEFAULT_THRESHOLD = 0.7;

  private final Builder options;
  private final List<SeedTask> seedTasks;
  private final InstructionModel model;
  private final Path folder;
  private final ExampleOrder order;

  private SelfInstruct(
      Builder options, List<SeedTask> seedTasks, InstructionModel model, Path folder) {
    this.options = options;
    this.seedTasks = seedTasks;
    this.model = model;
    this.folder = folder;
    order = ExampleOrder.shuffled(options.seed);
  }

  /** Returns a builder with the original's defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Generates until there are enough instructions.
   *
   * @return what became of the replies
   * @throws InstructionModelException if the model fails for good; what came before is saved, and
   *     another run goes on from there
   * @throws DataException if the folder cannot be written, is in use, or has replies that belong to
   *     other options; the message names them
   */
  public SelfInstructReport run() {
    try (ReplyJournal journal = ReplyJournal.open(folder)) {
      RegenFile regen = RegenFile.open(folder, start(journal));
      return new SelfInstructRun(options, model, this::prompt, journal, regen).run();
    }
  }

  /** Returns how many records of an earlier file the folder's first run found. */
  private int start(ReplyJournal journal) {
    JsonNode saved = journal.header().orElse(null);
    if (saved == null) {
      ObjectNode header = header();
      header.put("start", RegenFile.count(folder));
      journal.begin(header);
      return header.get("start").intValue();
    }
    header()
        .properties()
        .forEach(
            field -> {
              JsonNode found = saved.path(field.getKey());
              if (!found.toString().equals(field.getValue().toString())) {
                throw new DataException(
                    folder.resolve(ReplyJournal.NAME)
                        + ", line 1: the replies here were asked for with "
                        + field.getKey()
                        + " = "
                        + found
                        + ", not "
                        + field.getValue()
                        + "; go on with the same one, or choose another output folder");
              }
            });
    return saved.path("start").intValue();
  }

  /** Everything that prompts, and what is kept of the replies, depend on. */
  private ObjectNode header() {
    ObjectNode header = new ObjectMapper().createObjectNode();
    header.put("format", "alpaca4j-self-instruct");
    header.put("version", 1);
    header.put("seed", options.seed);
    header.put("num_prompt_instructions", options.numPromptInstructions);
    header.put("request_batch_size", options.requestBatchSize);
    header.put("similarity_threshold", options.similarityThreshold);
    header.put("any_script", options.anyScript);
    header.put("prompt_sha256", sha256(List.of(options.prompt.header())));
    List<String> texts = new ArrayList<>();
    for (SeedTask task : seedTasks) {
      texts.addAll(List.of(task.instruction(), task.input(), task.output()));
    }
    header.put("seed_tasks_sha256", sha256(texts));
    return header;
  }

  private static String sha256(List<String> texts) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (String text : texts) {
        digest.update(text.getBytes(StandardCharsets.UTF_8));
        digest.update((byte) 0xFF); // ends a text: never a byte of UTF-8
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  /** Returns the prompt of a request: a pure function of its number and the options. */
  String prompt(long request) {
    int[] drawn = order.order(seedTasks.size(), Math.toIntExact(request));
    List<SeedTask> examples = new ArrayList<>();
    for (int i = 0; i < options.numPromptInstructions; i++) {
      examples.add(seedTasks.get(drawn[i]));
    }
    return options.prompt.encode(examples);
  }

  /** Options to be checked and put together by {@link #build}. Not thread-safe. */
  public static final class Builder {
    List<SeedTask> seedTasks = List.of();
    @Nullable InstructionModel model;
    @Nullable Path outputDirectory;
    InstructionPrompt prompt = InstructionPrompt.ofDefaults();
    DecodingOptions decoding = DecodingOptions.ofDefaults();
    int numInstructions = 100;
    int numPromptInstructions = 3;
    int requestBatchSize = 5;
    long seed = DEFAULT_SEED;
    double similarityThreshold = DEFAULT_THRESHOLD;
    boolean anyScript;
    long maxRequests = Integer.MAX_VALUE;
    int maxFruitlessRounds = 20;
    @Nullable Double promptPrice;
    @Nullable Double completionPrice;
    Consumer<SelfInstructReport> listener = report -> {};

    private Builder() {}

    private Builder(Builder other) {
      seedTasks = other.seedTasks;
      model = other.model;
      outputDirectory = other.outputDirectory;
      prompt = other.prompt;
      decoding = other.decoding;
      numInstructions = other.numInstructions;
      numPromptInstructions = other.numPromptInstructions;
      requestBatchSize = other.requestBatchSize;
      seed = other.seed;
      similarityThreshold = other.similarityThreshold;
      anyScript = other.anyScript;
      maxRequests = other.maxRequests;
      maxFruitlessRounds = other.maxFruitlessRounds;
      promptPrice = other.promptPrice;
      completionPrice = other.completionPrice;
      listener = other.listener;
    }

    /** Sets the tasks that examples are drawn from; required. */
    public Builder seedTasks(List<SeedTask> value) {
      Objects.requireNonNull(value, "seedTasks is null");
      seedTasks = List.copyOf(value);
      return this;
    }

    /**
     * Reads the tasks that examples are drawn from; see {@link SeedTask#readJsonl}.
     *
     * @throws DataException if the file cannot be read
     */
    public Builder seedTasks(Path file) {
      return seedTasks(SeedTask.readJsonl(file));
    }

    /** Sets the model that writes; required. It stays the caller's. */
    public Builder model(InstructionModel value) {
      Objects.requireNonNull(value, "model is null");
      model = value;
      return this;
    }

    /**
     * Sets the folder of {@code regen.json} and {@code replies.jsonl}; made if need be; required.
     */
    public Builder outputDirectory(Path value) {
      Objects.requireNonNull(value, "outputDirectory is null");
      outputDirectory = value;
      return this;
    }

    /** Sets the prompt's text; default: {@link InstructionPrompt#ofDefaults}. */
    public Builder prompt(InstructionPrompt value) {
      Objects.requireNonNull(value, "prompt is null");
      prompt = value;
      return this;
    }

    /** Sets how the model continues a prompt; default: {@link DecodingOptions#ofDefaults}. */
    public Builder decoding(DecodingOptions value) {
      Objects.requireNonNull(value, "decoding is null");
      decoding = value;
      return this;
    }

    /**
     * Sets how many records {@code regen.json} shall have; default 100. The last round may bring
     * more, which are kept.
     */
    public Builder numInstructions(int value) {
      numInstructions = value;
      return this;
    }

    /** Sets how many seed tasks a prompt shows; default 3. */
    public Builder numPromptInstructions(int value) {
      numPromptInstructions = value;
      return this;
    }

    /** Sets how many requests make a round and may run side by side; default 5. */
    public Builder requestBatchSize(int value) {
      requestBatchSize = value;
      return this;
    }

    /** Sets the seed of drawing seed tasks; default 42. */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /**
     * Sets the ROUGE-L F-measure with another instruction above which one is dropped; default 0.7.
     */
    public Builder similarityThreshold(double value) {
      similarityThreshold = value;
      return this;
    }

    /**
     * Sets whether similarity counts words of all scripts; default false, as in the original, where
     * texts without Latin letters and digits are never similar to anything.
     */
    public Builder anyScript(boolean value) {
      anyScript = value;
      return this;
    }

    /**
     * Sets how many requests the folder may have, those of earlier runs included; default: as many
     * as it takes.
     */
    public Builder maxRequests(long value) {
      maxRequests = value;
      return this;
    }

    /**
     * Sets after how many rounds in a row that brought nothing new the run ends; default 20. The
     * original would go on, and pay, for ever.
     */
    public Builder maxFruitlessRounds(int value) {
      maxFruitlessRounds = value;
      return this;
    }

    /** Sets what a million tokens cost, for the report; default: unknown. */
    public Builder prices(double perMillionPromptTokens, double perMillionCompletionTokens) {
      promptPrice = perMillionPromptTokens;
      completionPrice = perMillionCompletionTokens;
      return this;
    }

    /** Sets what is told of the state after each round; called by the running thread. */
    public Builder listener(Consumer<SelfInstructReport> value) {
      Objects.requireNonNull(value, "listener is null");
      listener = value;
      return this;
    }

    /**
     * Returns the pipeline; nothing is written yet.
     *
     * @throws IllegalArgumentException if a required option is missing or a value is out of range
     */
    public SelfInstruct build() {
      atLeastOne("numPromptInstructions", numPromptInstructions);
      atLeastOne("requestBatchSize", requestBatchSize);
      atLeastOne("maxFruitlessRounds", maxFruitlessRounds);
      if (seedTasks.size() < numPromptInstructions) {
        throw new IllegalArgumentException(
            "seedTasks has "
                + seedTasks.size()
                + " tasks, but each prompt shows numPromptInstructions = "
                + numPromptInstructions
                + "; give more tasks or show fewer");
      }
      if (!(similarityThreshold >= 0 && similarityThreshold <= 1)) {
        throw new IllegalArgumentException(
            "similarityThreshold = " + similarityThreshold + ", but must be from 0 to 1");
      }
      return new SelfInstruct(
          new Builder(this),
          seedTasks,
          Objects.requireNonNull(model, "model is not set"),
          Objects.requireNonNull(outputDirectory, "outputDirectory is not set"));
    }

    private static void atLeastOne(String name, int value) {
      if (value < 1) {
        throw new IllegalArgumentException(name + " = " + value + ", but must be at least 1");
      }
    }
  }
}
