package org.alpaca4j.core;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.alpaca4j.core.ConformanceFile.Entry;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.ModelUse;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether a model is asked, and answers, as it was when it was saved. A saved model carries {@value
 * #FILE_NAME}: a few prompts with their rendered text, token ids, first greedy ids and the
 * log-probabilities of these. Any engine that runs the model can be checked against it; {@link
 * #verify(Path)} checks this library and the files of a folder.
 *
 * <pre>{@code
 * Conformance.verify(Path.of("my-model")).requirePassed();
 * }</pre>
 *
 * <p>{@code docs/conformance.md} explains the file and shows how to check other engines.
 * Thread-safe.
 */
public final class Conformance {
  private static final Logger log = LoggerFactory.getLogger(Conformance.class);

  /** Name of the file in a model's folder. */
  public static final String FILE_NAME = "alpaca4j_conformance.json";

  /** The most tokens of a prompt; longer ones are left out. */
  private static final int MAX_PROMPT_TOKENS = 512;

  /** The most tokens of an answer; it ends earlier at an end token. */
  private static final int ANSWER_TOKENS = 16;

  private static final int TOP_TOKENS = 5;

  /** By how much a log-probability may differ where layers compute in fp32. */
  private static final double TOLERANCE = 2e-3;

  /** The same where they compute in bf16. */
  private static final double TOLERANCE_16 = 0.5;

  private Conformance() {}

  /**
   * What a model is asked.
   *
   * @param messages of the conversation up to where the model answers; with a {@link
   *     PromptTemplate}, the instruction as one message of the user; empty if the prompt is {@code
   *     ids}
   * @param tools that the assistant may call, as JSON schemas
   * @param input what an instruction is about, for a {@link PromptTemplate}; mostly empty
   * @param ids the prompt's tokens, where it has no messages
   */
  public record Prompt(
      List<ChatMessage> messages,
      List<Map<String, @Nullable Object>> tools,
      String input,
      List<Integer> ids) {

    /**
     * Copies the lists.
     *
     * @throws IllegalArgumentException if there are both messages and ids, or neither
     */
    public Prompt {
      messages = List.copyOf(messages);
      tools = List.copyOf(tools);
      ids = List.copyOf(ids);
      if (messages.isEmpty() == ids.isEmpty()) {
        throw new IllegalArgumentException(
            "a prompt needs either messages or ids, but has "
                + messages.size()
                + " messages and "
                + ids.size()
                + " ids");
      }
    }

    /** Returns a conversation up to where the model answers. */
    public static Prompt of(List<ChatMessage> messages) {
      Objects.requireNonNull(messages, "messages is null");
      return new Prompt(messages, List.of(), "", List.of());
    }

    /** Returns an instruction and what it is about, which may be empty. */
    public static Prompt instruction(String instruction, String input) {
      Objects.requireNonNull(instruction, "instruction is null");
      Objects.requireNonNull(input, "input is null");
      return new Prompt(List.of(ChatMessage.user(instruction)), List.of(), input, List.of());
    }

    /** Returns a prompt of token ids. */
    public static Prompt ofIds(int[] ids) {
      Objects.requireNonNull(ids, "ids is null");
      return new Prompt(List.of(), List.of(), "", Arrays.stream(ids).boxed().toList());
    }
  }

  /**
   * Loads a model and checks it against the file in its folder: that its prompts are rendered and
   * tokenised as recorded, exactly; that the recorded tokens have the recorded log-probabilities,
   * within a tolerance; and that the most likely tokens are those recorded, but where two were
   * nearly as likely. The tolerance is 0.002; it is larger where the weights were converted since,
   * to a coarser type or in GGUF, by what the rounding does.
   *
   * @throws CheckpointException if the folder has no such file, the file is malformed, of a later
   *     version or of a model with another vocabulary, or the model cannot be loaded
   * @throws UnsupportedModelException see {@link CausalLm#load(Path)}
   */
  public static ConformanceReport verify(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    ConformanceFile file = ConformanceFile.load(folder); // before the weights are read
    Path weighted = AdapterFolder.isOne(folder) ? AdapterFolder.open(folder).baseFolder() : folder;
    DType stored = ModelConfig.load(weighted.resolve("config.json")).dtype().orElse(DType.F32);
    Precision weights =
        switch (stored) {
          case BF16 -> Precision.BFLOAT16;
          case F16 -> Precision.FLOAT16;
          default -> Precision.FLOAT32;
        };
    try (CausalLm model = CausalLm.builder(folder).weights(weights).load()) {
      return verify(model, file);
    }
  }

  /**
   * As {@link #verify(Path)}, of a model in memory as it is now, against the file in the folder
   * that it was loaded from. The tolerance is 0.5 if it computes in bf16.
   *
   * @throws IllegalStateException if the model is closed or in training by another thread
   */
  public static ConformanceReport verify(CausalLm model) {
    Objects.requireNonNull(model, "model is null");
    try (ModelUse.Use reading = Internals.use(model).read()) {
      return verify(model, ConformanceFile.load(model.folder()));
    }
  }

  private static ConformanceReport verify(CausalLm model, ConformanceFile file) {
    LoadedModel loaded = Internals.loaded(model);
    StoredWeights stored =
        file.convertedTo()
            .coarser(StoredWeights.of(model.config().dtype().orElse(DType.F32)))
            .coarser(StoredWeights.of(loaded.storage()));
    double tolerance = loaded.activations() == DType.F32 ? TOLERANCE : TOLERANCE_16;
    if (stored != file.weights()) {
      tolerance = Math.max(tolerance, stored.roundingTolerance());
    }
    List<Fingerprint.Answered> answered = new ArrayList<>();
    for (Entry entry : file.prompts()) {
      requireInVocabulary(model, entry);
      answered.add(new Fingerprint.Answered(entry.ids(), entry.greedyIds()));
    }
    List<Fingerprint> found = Fingerprint.of(model, answered, loaded.storage());
    List<ConformanceReport.PromptResult> results = new ArrayList<>();
    for (int i = 0; i < found.size(); i++) {
      results.add(compare(model, file, file.prompts().get(i), found.get(i), tolerance));
    }
    return new ConformanceReport(model.folder().toString(), stored.text(), tolerance, results);
  }

  private static void requireInVocabulary(CausalLm model, Entry entry) {
    int vocabulary = model.config().vocabSize();
    for (int[] ids : List.of(entry.ids(), entry.greedyIds())) {
      int largest = Arrays.stream(ids).max().orElseThrow();
      if (largest >= vocabulary) {
        throw new CheckpointException(
            model.folder()
                + ": "
                + FILE_NAME
                + " has the token id "
                + largest
                + ", but the model's vocabulary has "
                + vocabulary
                + ": the file is of another model; take the one that belongs to these weights");
      }
    }
  }

  private static ConformanceReport.PromptResult compare(
      CausalLm model, ConformanceFile file, Entry entry, Fingerprint found, double tolerance) {
    boolean textEqual = true;
    boolean idsEqual = true;
    String explanation = "";
    if (entry.text() != null) {
      try {
        RenderedPrompt asked = ask(model, entry.prompt(), file.renderedAt());
        textEqual = asked.text().equals(entry.text());
        idsEqual = Arrays.equals(asked.ids(), entry.ids());
        explanation =
            !textEqual
                ? difference(entry.text(), asked.text())
                : idsEqual ? "" : difference(entry.ids(), asked.ids());
      } catch (AlpacaException e) {
        textEqual = false;
        idsEqual = false;
        explanation = "it cannot be rendered: " + e.getMessage();
      }
    }
    int[] answer = entry.greedyIds();
    double largest = 0;
    OptionalInt different = OptionalInt.empty();
    for (int i = 0; i < answer.length; i++) {
      Fingerprint.Step step = found.steps().get(i);
      double now = step.logProbabilities()[answer[i]];
      largest = Math.max(largest, Math.abs(now - entry.logProbabilities()[i]));
      boolean clear = entry.margins()[i] > 2 * tolerance;
      if (clear && different.isEmpty() && step.best() != answer[i]) {
        different = OptionalInt.of(i);
      }
    }
    float[] first = found.steps().get(0).logProbabilities();
    for (Map.Entry<Integer, Double> top : entry.top().entrySet()) {
      largest = Math.max(largest, Math.abs(first[top.getKey()] - top.getValue()));
    }
    return new ConformanceReport.PromptResult(textEqual, idsEqual, largest, different, explanation);
  }

  private static String difference(String recorded, String rendered) {
    int at = 0;
    while (at < Math.min(recorded.length(), rendered.length())
        && recorded.charAt(at) == rendered.charAt(at)) {
      at++;
    }
    return "its text differs from character "
        + at
        + " on: recorded is \""
        + excerpt(recorded, at)
        + "\", rendered was \""
        + excerpt(rendered, at)
        + "\"";
  }

  private static String excerpt(String text, int from) {
    String part = text.substring(from, Math.min(text.length(), from + 40));
    return part.replace("\n", "\\n") + (from + 40 < text.length() ? "…" : "");
  }

  private static String difference(int[] recorded, int[] tokenized) {
    int at = Arrays.mismatch(recorded, tokenized);
    return "its text is the same, but its ids differ from token "
        + at
        + " on: recorded are "
        + excerpt(recorded, at)
        + ", found were "
        + excerpt(tokenized, at);
  }

  private static String excerpt(int[] ids, int from) {
    return Arrays.toString(Arrays.copyOfRange(ids, from, Math.min(ids.length, from + 5)));
  }

  /**
   * Returns the prompt as the model is given it.
   *
   * @throws AlpacaException if the model has no form in which it is asked, no tokenizer, or its
   *     form cannot render the prompt
   */
  private static RenderedPrompt ask(CausalLm model, Prompt prompt, OffsetDateTime time) {
    PromptForm form =
        model
            .promptForm()
            .orElseThrow(
                () -> new ChatTemplateException("neither a chat template nor a prompt template"));
    Clock clock = Clock.fixed(time.toInstant(), time.getOffset());
    return RenderedPrompt.of(
        form, model.tokenizer(), prompt.messages(), prompt.tools(), prompt.input(), clock);
  }

  /**
   * Returns the text of a conformance file of a model as it is now, with the numbers of its weights
   * rounded to the type that they are saved in. Prompts that the model's form cannot render, that
   * have the texts of special tokens in them, that are longer than 512 tokens or that leave no room
   * for an answer are left out.
   *
   * @param weights the type that the model is or will be saved in
   * @param prompts candidates, the best first
   * @param limit how many of them to take at most
   * @return empty if none of the prompts could be taken
   * @throws CheckpointException if the model's scores are no numbers
   * @throws IllegalStateException if the model is closed or in training by another thread
   */
  public static Optional<String> make(
      CausalLm model, DType weights, List<Prompt> prompts, int limit) {
    Objects.requireNonNull(model, "model is null");
    Objects.requireNonNull(weights, "weights is null");
    Objects.requireNonNull(prompts, "prompts is null");
    try (ModelUse.Use reading = Internals.use(model).read()) {
      OffsetDateTime now = OffsetDateTime.now(ZoneId.systemDefault());
      List<Asked> asked = new ArrayList<>();
      for (Prompt prompt : prompts) {
        if (asked.size() < limit) {
          asked(model, prompt, now).ifPresent(asked::add);
        }
      }
      if (asked.isEmpty()) {
        return Optional.empty();
      }
      LoadedModel loaded = Internals.loaded(model);
      StoredWeights stored = StoredWeights.of(weights).coarser(StoredWeights.of(loaded.storage()));
      ConformanceFile file =
          new ConformanceFile(
              stored,
              stored,
              loaded.activations().torchName(),
              model.config().vocabSize(),
              promptForm(model),
              now,
              answered(model, asked, weights));
      return Optional.of(file.toJson());
    }
  }

  private static String promptForm(CausalLm model) {
    return model
        .promptForm()
        .map(form -> form instanceof PromptTemplate ? "prompt_template" : "chat_template")
        .orElse("none");
  }

  private record Asked(Prompt prompt, @Nullable String text, int[] ids) {}

  private static Optional<Asked> asked(CausalLm model, Prompt prompt, OffsetDateTime time) {
    Asked asked;
    if (prompt.messages().isEmpty()) {
      asked = new Asked(prompt, null, prompt.ids().stream().mapToInt(Integer::intValue).toArray());
    } else if (!model.hasTokenizer() || hasSpecialTokens(model.tokenizer(), prompt)) {
      return Optional.empty();
    } else {
      try {
        RenderedPrompt rendered = ask(model, prompt, time);
        asked = new Asked(prompt, rendered.text(), rendered.ids());
      } catch (ChatTemplateException e) {
        log.debug("a prompt is left out of the conformance file", e);
        return Optional.empty();
      }
    }
    int room = model.config().maxPositionEmbeddings() - ANSWER_TOKENS;
    return asked.ids().length > 0 && asked.ids().length <= Math.min(MAX_PROMPT_TOKENS, room)
        ? Optional.of(asked)
        : Optional.empty();
  }

  /** Other engines take such a text for the token. */
  private static boolean hasSpecialTokens(Tokenizer tokenizer, Prompt prompt) {
    return !tokenizer.withoutSpecialTokens(prompt.messages()).equals(prompt.messages())
        || !tokenizer.withoutSpecialTokens(prompt.input()).equals(prompt.input());
  }

  private static List<Entry> answered(CausalLm model, List<Asked> asked, DType weights) {
    List<Fingerprint.Answered> drafts = drafts(model, asked);
    List<Fingerprint> fingerprints = Fingerprint.of(model, drafts, weights);
    List<Entry> entries = new ArrayList<>();
    for (int i = 0; i < asked.size(); i++) {
      Asked one = asked.get(i);
      Fingerprint found = fingerprints.get(i);
      int[] greedy = found.greedy(drafts.get(i).answer());
      entries.add(Entry.of(one.prompt(), one.text(), one.ids(), greedy, found, TOP_TOKENS));
    }
    return entries;
  }

  /** Answers as the model in memory gives them; what is saved may be rounded. */
  private static List<Fingerprint.Answered> drafts(CausalLm model, List<Asked> asked) {
    GenerationConfig greedy =
        GenerationConfig.builder()
            .maxNewTokens(ANSWER_TOKENS)
            .eosTokenIds(model.endTokenIds())
            .build();
    List<Fingerprint.Answered> drafts = new ArrayList<>();
    for (int from = 0; from < asked.size(); ) {
      int to = from;
      int longest = 0;
      do {
        longest = Math.max(longest, asked.get(to++).ids().length);
      } while (to < asked.size()
          && (to + 1 - from) * Math.max(longest, asked.get(to).ids().length)
              <= Fingerprint.BATCH_TOKENS);
      List<int[]> prompts = asked.subList(from, to).stream().map(Asked::ids).toList();
      List<GenerationResult> answers = model.generator().generate(prompts, greedy);
      for (int i = 0; i < prompts.size(); i++) {
        drafts.add(new Fingerprint.Answered(prompts.get(i), answers.get(i).ids()));
      }
      from = to;
    }
    return drafts;
  }

  /**
   * Returns the text of a folder's file, for the same weights stored in another way.
   *
   * @param weights {@code float32}, {@code float16}, {@code bfloat16}, or a quantisation of GGUF
   *     such as {@code Q4_K_M}; null for as in the folder
   * @return empty if the folder has no such file
   * @throws CheckpointException if the file is malformed or of a later version
   * @throws IllegalArgumentException if there are no such weights
   */
  public static Optional<String> forWeights(Path folder, @Nullable String weights) {
    Objects.requireNonNull(folder, "folder is null");
    if (!Files.isRegularFile(folder.resolve(FILE_NAME))) {
      return Optional.empty();
    }
    ConformanceFile file = ConformanceFile.load(folder);
    if (weights == null) {
      return Optional.of(file.toJson());
    }
    StoredWeights stored =
        StoredWeights.of(weights)
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "weights " + weights + " are none of " + StoredWeights.names()));
    return Optional.of(file.convertedTo(stored).toJson());
  }

  /**
   * Returns the file that a loaded model is saved with: that of its folder, unless the model was
   * trained since, or is asked otherwise.
   *
   * @param saved the type that the weights are saved in
   */
  static Optional<String> carried(CausalLm model, DType saved) {
    if (Internals.use(model).isChanged()
        || !Files.isRegularFile(model.folder().resolve(FILE_NAME))) {
      return Optional.empty();
    }
    try {
      ConformanceFile file = ConformanceFile.load(model.folder());
      if (file.vocabSize() == model.config().vocabSize()
          && file.prompts().stream().allMatch(entry -> isAskedAlike(model, file, entry))) {
        StoredWeights held = StoredWeights.of(Internals.loaded(model).storage());
        return Optional.of(file.convertedTo(held.coarser(StoredWeights.of(saved))).toJson());
      }
      log.warn(
          "{}: {} is not saved with the model, which is asked in another form or tokenised"
              + " otherwise than recorded there",
          model.folder(),
          FILE_NAME);
    } catch (AlpacaException e) {
      log.warn("{} is not saved with the model: {}", FILE_NAME, e.getMessage());
    }
    return Optional.empty();
  }

  private static boolean isAskedAlike(CausalLm model, ConformanceFile file, Entry entry) {
    if (entry.text() == null) {
      return true;
    }
    RenderedPrompt asked = ask(model, entry.prompt(), file.renderedAt());
    return asked.text().equals(entry.text()) && Arrays.equals(asked.ids(), entry.ids());
  }
}
