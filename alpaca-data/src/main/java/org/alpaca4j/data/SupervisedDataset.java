package org.alpaca4j.data;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.Function;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.Conformance.Prompt;
import org.alpaca4j.core.PromptForm;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.jspecify.annotations.Nullable;

/**
 * Tokenised training examples with their label masks, held compactly in memory.
 *
 * <pre>{@code
 * SupervisedDataset train = SupervisedDataset.builder()
 *     .tokenizer(tokenizer)
 *     .json(Path.of("alpaca_data.json"))
 *     .maxLength(512)
 *     .build();
 * }</pre>
 *
 * <p>Immutable and thread-safe.
 */
public final class SupervisedDataset {
  private static final int MAX_PROMPT_CHARACTERS = 4096;

  /** How source and target become ids and labels. */
  public enum Mode {
    /**
     * Source and target are tokenised apart, so that the mask is exactly the border between them,
     * and the ids of the source are those that the model will see when it is asked.
     */
    SEGMENTS,
    /**
     * Exactly Stanford Alpaca's train.py, to reproduce published results: one string, mask counted
     * from the source tokenised alone. Where a merge crosses the border, the first word of the
     * answer is masked too. Needs a tokenizer with a pad token.
     */
    COMPATIBLE
  }

  /** What to do with an example that has no supervised token. */
  public enum OnFullyMasked {
    /** Leave it out, with a warning that names its index. */
    DROP,
    /** Refuse the data, naming its index. */
    ERROR,
    /**
     * Keep it, as train.py does. It adds nothing to the loss, and a batch of nothing else has none;
     * {@link DataReport#fullyMasked} still lists it.
     */
    KEEP
  }

  /** What to do with an example that is longer than the maximal length. */
  public enum OnTooLong {
    /**
     * Cut it at the end, as is usual, which takes the end of the answer; {@link
     * DataReport#truncated} counts it. Each sequence of an example is cut, and left out if nothing
     * of it is supervised then.
     */
    TRUNCATE,
    /**
     * Cut the prompt from the left, so that the answer stays whole; {@link DataReport#shortened}
     * counts it. Where the answer alone is too long, as {@link #DROP}. For instructions in mode
     * {@link Mode#SEGMENTS}.
     */
    TRUNCATE_PROMPT,
    /**
     * Leave out the oldest turns with their answers, as few as needed; the system's message and the
     * last answer stay whole. {@link DataReport#shortened} counts it. Where that is not enough, as
     * {@link #DROP}. For conversations.
     */
    DROP_TURNS,
    /** Leave it out; {@link DataReport#tooLong} lists it. */
    DROP,
    /** Refuse the data, naming its index. */
    ERROR
  }

  /**
   * Which of the assistant's messages in a conversation are learnt. Those that are, weigh in the
   * loss as their {@link Conversation#WEIGHT} says; none with the weight 0 is learnt.
   */
  public enum Turns {
    /** All. */
    ALL,
    /** The last one. */
    LAST;

    /** What each message weighs: 0 if it is not learnt, 1 if it is not the assistant's. */
    float[] weights(List<ChatMessage> messages) {
      float[] weights = new float[messages.size()];
      boolean later = false;
      for (int i = messages.size() - 1; i >= 0; i--) {
        weights[i] = 1;
        if (messages.get(i).role().equals("assistant")) {
          float weight = Conversation.weight(messages.get(i), i);
          weights[i] = this == LAST && later ? 0 : weight;
          later = true;
        }
      }
      return weights;
    }
  }

  /**
   * What becomes of what the assistant thinks before it answers: {@code reasoning_content} (or
   * {@code thinking}, {@code reasoning}), or a text that begins with {@code <think>...</think>}.
   * Whether an answer's thoughts are in the text at all is the chat template's affair; those of
   * earlier turns are in the prompts that follow only if it leaves them there.
   */
  public enum Thinking {
    /** Learnt as a part of each answer, where the chat template renders it. */
    KEEP,
    /** Left out of all messages: the model learns to answer without thinking. */
    DROP,
    /** Left out of all answers but those behind the last question, tool calls included. */
    LAST
  }

  private final List<TokenPage> pages;
  private final int[] pageStarts;
  private final int @Nullable [] selection;
  private final DataReport report;
  private final @Nullable PromptForm promptForm;
  private final List<Prompt> promptSample;

  /** Takes all examples of the pages; the report is about them. */
  SupervisedDataset(List<TokenPage> pages, DataReport report) {
    this(pages, null, report, null, List.of());
  }

  private SupervisedDataset(
      List<TokenPage> pages,
      int @Nullable [] selection,
      DataReport report,
      @Nullable PromptForm promptForm,
      List<Prompt> promptSample) {
    this.promptForm = promptForm;
    this.promptSample = promptSample;
    this.pages = pages;
    this.pageStarts = new int[pages.size()];
    for (int p = 1; p < pageStarts.length; p++) {
      pageStarts[p] = pageStarts[p - 1] + pages.get(p - 1).size();
    }
    this.selection = selection;
    this.report = report;
  }

  /** Returns a builder for instruction records. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns a builder for conversations. */
  public static ConversationsBuilder conversations() {
    return new ConversationsBuilder();
  }

  /** Returns a builder for records in the form of ADGEN. */
  public static AdgenBuilder adgen() {
    return new AdgenBuilder();
  }

  /**
   * Returns a dataset of examples that are tokenised already.
   *
   * @throws DataException if there is no example, or one without a supervised token
   */
  public static SupervisedDataset of(List<SupervisedExample> examples) {
    Objects.requireNonNull(examples, "examples is null");
    DatasetAssembler.Options asTheyAre =
        new DatasetAssembler.Options(
            Integer.MAX_VALUE,
            OnFullyMasked.ERROR,
            OnTooLong.TRUNCATE,
            OnBadRecord.refuse(),
            Integer.MAX_VALUE);
    return new DatasetAssembler<>(
            "examples",
            ExampleMaker.Made::whole,
            asTheyAre,
            SupervisedExample::length,
            PageSink.inMemory(),
            ReadingLog.REFUSING)
        .assemble(examples.iterator());
  }

  /** Returns these examples with the form in which their prompts ask, and a few of these. */
  SupervisedDataset askedBy(PromptForm form, List<Prompt> sample) {
    return new SupervisedDataset(pages, selection, report, form, sample);
  }

  /**
   * Returns the form in which the examples' prompts ask, and in which a model trained on them is to
   * be asked; empty for examples that came as tokens.
   */
  public Optional<PromptForm> promptForm() {
    return Optional.ofNullable(promptForm);
  }

  /**
   * Returns the prompts of up to 64 of the records that this dataset, or the one that it is a
   * subset of, was made from: always the same ones, chosen so that any first few are spread over
   * all. Empty for examples that came as tokens.
   */
  public List<Prompt> promptSample() {
    return promptSample;
  }

  /** Returns the number of examples. */
  public int size() {
    return selection != null ? selection.length : report.examples();
  }

  /** Returns an example; the arrays are the caller's own. */
  public SupervisedExample get(int index) {
    int i = storedIndex(index);
    int page = page(i);
    return pages.get(page).example(i - pageStarts[page]);
  }

  /**
   * Returns the number of tokens of an example, without copying it. Of an example of several {@link
   * SupervisedExample#sequences}, the tokens that a sequence and the one before begin with alike
   * count once, as they are computed once.
   */
  public int length(int index) {
    int i = storedIndex(index);
    int page = page(i);
    return pages.get(page).length(i - pageStarts[page]);
  }

  /** Returns the number of sequences of an example, mostly one, without copying it. */
  public int sequences(int index) {
    int i = storedIndex(index);
    int page = page(i);
    return pages.get(page).sequences(i - pageStarts[page]);
  }

  /** Returns the number of tokens of an example's longest sequence, without copying it. */
  public int longestSequence(int index) {
    int i = storedIndex(index);
    int page = page(i);
    return pages.get(page).longestSequence(i - pageStarts[page]);
  }

  /** Returns the number of tokens of an example that the loss is computed on. */
  public int supervisedTokens(int index) {
    int i = storedIndex(index);
    int page = page(i);
    return pages.get(page).supervisedTokens(i - pageStarts[page]);
  }

  /** Returns the index, in the source, of the record that an example was made from. */
  public int recordIndex(int index) {
    int i = storedIndex(index);
    int page = page(i);
    return pages.get(page).recordIndex(i - pageStarts[page]);
  }

  /**
   * Returns what became of the records. Of a subset, counts and sizes are the subset's own, and
   * nothing was left out.
   */
  public DataReport report() {
    return report;
  }

  /** Returns the examples at these indexes, in this order; shares this dataset's memory. */
  public SupervisedDataset subset(int[] indexes) {
    Objects.requireNonNull(indexes, "indexes is null");
    int[] stored = new int[indexes.length];
    long tokens = 0;
    long supervised = 0;
    int longest = 0;
    for (int k = 0; k < indexes.length; k++) {
      stored[k] = storedIndex(indexes[k]);
      tokens += length(indexes[k]);
      supervised += supervisedTokens(indexes[k]);
      longest = Math.max(longest, longestSequence(indexes[k]));
    }
    return new SupervisedDataset(
        pages,
        stored,
        new DataReport(
            indexes.length,
            indexes.length,
            tokens,
            supervised,
            longest,
            0,
            0,
            List.of(),
            List.of(),
            List.of(),
            List.of(),
            0,
            report.withoutThinking()),
        promptForm,
        promptSample);
  }

  /**
   * A dataset in two parts.
   *
   * @param train what to train on
   * @param eval what to evaluate on
   */
  public record Split(SupervisedDataset train, SupervisedDataset eval) {}

  /**
   * Splits off examples for evaluation, chosen at random by the seed alone; both parts keep the
   * order of the examples.
   *
   * @param evalRatio the share for evaluation, between 0 and 1; rounded to at least one example
   * @param seed chooses the examples
   */
  public Split splitByRatio(double evalRatio, long seed) {
    if (!(evalRatio > 0 && evalRatio < 1)) {
      throw new IllegalArgumentException("evalRatio must be between 0 and 1, found " + evalRatio);
    }
    return splitByCount((int) Math.max(1, Math.round(size() * evalRatio)), seed);
  }

  /**
   * Splits off a number of examples for evaluation, chosen at random by the seed alone; both parts
   * keep the order of the examples.
   *
   * @param evalExamples how many, at least 1 and fewer than there are
   * @param seed chooses the examples
   */
  public Split splitByCount(int evalExamples, long seed) {
    if (evalExamples < 1 || evalExamples >= size()) {
      throw new IllegalArgumentException(
          "evalExamples must be at least 1 and less than the "
              + size()
              + " examples, found "
              + evalExamples);
    }
    int[] shuffled = ExampleOrder.shuffled(seed).order(size(), 0);
    int[] eval = Arrays.copyOf(shuffled, evalExamples);
    int[] train = Arrays.copyOfRange(shuffled, evalExamples, shuffled.length);
    Arrays.sort(eval);
    Arrays.sort(train);
    return new Split(subset(train), subset(eval));
  }

  @Override
  public String toString() {
    return "SupervisedDataset[" + report + "]";
  }

  private int storedIndex(int index) {
    if (index < 0 || index >= size()) {
      throw new IndexOutOfBoundsException("index " + index + " of " + size() + " examples");
    }
    return selection != null ? selection[index] : index;
  }

  private int page(int stored) {
    int found = Arrays.binarySearch(pageStarts, stored);
    return found >= 0 ? found : -found - 2;
  }

  /** Builds a dataset of instruction records. Each setter can be called once. Not thread-safe. */
  public static final class Builder extends DatasetBuilder<InstructionRecord, Builder> {
    private PromptTemplate template = PromptTemplate.ALPACA;
    private Mode mode = Mode.SEGMENTS;

    private Builder() {}

    /** Sets the prompt template; {@link PromptTemplate#ALPACA} by default. */
    public Builder template(PromptTemplate value) {
      Objects.requireNonNull(value, "template is null");
      calls.first("template");
      template = value;
      return this;
    }

    /** Sets how source and target are tokenised; {@link Mode#SEGMENTS} by default. */
    public Builder mode(Mode value) {
      Objects.requireNonNull(value, "mode is null");
      calls.first("mode");
      mode = value;
      return this;
    }

    @Override
    Builder self() {
      return this;
    }

    @Override
    Function<DataRecord, InstructionRecord> reader() {
      return InstructionReader.alpaca();
    }

    @Override
    @Nullable Function<DataRecord, InstructionRecord> reader(RecordLayout layout) {
      return layout == RecordLayout.ALPACA ? reader() : null;
    }

    @Override
    Object content(InstructionRecord record) {
      return List.of(record.instruction(), record.input(), record.output());
    }

    @Override
    List<? extends @Nullable Object> recipe(Tokenizer tokenizer) {
      return List.of(template.withInput(), template.withoutInput(), mode.name());
    }

    @Override
    PromptForm promptForm(Tokenizer tokenizer, DataReport report) {
      return template;
    }

    @Override
    Optional<Prompt> prompt(InstructionRecord record) {
      return shortPrompt(Prompt.instruction(record.instruction(), record.input()));
    }

    @Override
    InstructionRecord withoutSpecialTokens(InstructionRecord record, Tokenizer tokenizer) {
      if (mode == Mode.COMPATIBLE) {
        return record; // train.py knows no difference
      }
      InstructionRecord marked =
          new InstructionRecord(
              tokenizer.withoutSpecialTokens(record.instruction()),
              tokenizer.withoutSpecialTokens(record.input()),
              tokenizer.withoutSpecialTokens(record.output()));
      return marked.equals(record) ? record : marked;
    }

    @Override
    ExampleMaker<InstructionRecord> maker(Tokenizer tokenizer, DatasetAssembler.Options options) {
      SegmentTokenizer segments = new SegmentTokenizer(tokenizer);
      PromptTemplate prompts = template;
      refuse(options, OnTooLong.DROP_TURNS, "is for conversations; choose TRUNCATE_PROMPT");
      if (mode == Mode.SEGMENTS && options.onTooLong() == OnTooLong.TRUNCATE_PROMPT) {
        return record ->
            segments.promptFromLeft(
                prompts.render(record.instruction(), record.input()),
                record.output(),
                options.maxLength());
      }
      refuse(options, OnTooLong.TRUNCATE_PROMPT, "is for mode SEGMENTS; choose another one");
      if (mode == Mode.SEGMENTS) {
        return record ->
            ExampleMaker.Made.whole(
                segments.segments(
                    prompts.render(record.instruction(), record.input()), record.output()));
      }
      OptionalInt pad = tokenizer.padId();
      if (pad.isEmpty()) {
        throw new DataException(
            "mode COMPATIBLE needs a pad token, as train.py does; use"
                + " tokenizer.withMissingSpecialTokens()");
      }
      String eosText = tokenizer.eosToken().orElseThrow();
      // train.py cuts by the tokenizer, and knows no other way.
      int cutAt =
          options.onTooLong() == OnTooLong.TRUNCATE ? options.maxLength() : Integer.MAX_VALUE;
      return record ->
          segments.compatible(
              prompts.render(record.instruction(), record.input()),
              record.output() + eosText,
              cutAt,
              pad.getAsInt());
    }
  }

  /**
   * Builds a dataset of conversations, by default with the tokenizer's own chat template. Each
   * setter can be called once. Not thread-safe.
   */
  public static final class ConversationsBuilder
      extends DatasetBuilder<Conversation, ConversationsBuilder> {
    private ChatMlPreprocessor.@Nullable LabelMask chatMl;
    private @Nullable ChatTemplate chatTemplate;
    private Turns turns = Turns.ALL;
    private Thinking thinking = Thinking.KEEP;

    private ConversationsBuilder() {}

    /**
     * Renders with this chat template instead of the tokenizer's own.
     *
     * <p>Each answer is learnt behind exactly the prompt that inference gives for it: the messages
     * before it, rendered with the generation prompt. What follows the prompt is supervised, tool
     * calls included, up to and with the token that closes the turn. An empty block of thinking
     * that the template itself puts there, and into the prompt where {@code enable_thinking} is
     * false, belongs to the prompt. Where the template renders earlier turns otherwise once later
     * ones follow, the conversation has several {@link SupervisedExample#sequences}.
     *
     * <p>In a template with generation blocks, these say what is supervised, in one rendering of
     * the whole conversation.
     */
    public ConversationsBuilder chatTemplate(ChatTemplate value) {
      Objects.requireNonNull(value, "chatTemplate is null");
      calls.firstOf("chatTemplate", "chatMl or chatTemplate");
      chatTemplate = value;
      return this;
    }

    /** Builds ChatML by hand with {@link ChatMlPreprocessor} and this label mask. */
    public ConversationsBuilder chatMl(ChatMlPreprocessor.LabelMask mask) {
      Objects.requireNonNull(mask, "mask is null");
      calls.firstOf("chatMl", "chatMl or chatTemplate");
      chatMl = mask;
      return this;
    }

    /** Sets which of the assistant's messages are learnt; {@link Turns#ALL} by default. */
    public ConversationsBuilder turns(Turns value) {
      Objects.requireNonNull(value, "turns is null");
      calls.first("turns");
      turns = value;
      return this;
    }

    /** Sets what becomes of what the assistant thinks; {@link Thinking#KEEP} by default. */
    public ConversationsBuilder thinking(Thinking value) {
      Objects.requireNonNull(value, "thinking is null");
      calls.first("thinking");
      thinking = value;
      return this;
    }

    @Override
    ConversationsBuilder self() {
      return this;
    }

    @Override
    Function<DataRecord, Conversation> reader() {
      return ConversationReader.messages();
    }

    @Override
    @Nullable Function<DataRecord, Conversation> reader(RecordLayout layout) {
      return switch (layout) {
        case MESSAGES -> ConversationReader.messages();
        case SHARE_GPT -> ConversationReader.shareGpt();
        case ALPACA -> ConversationReader.alpaca();
        default -> null;
      };
    }

    @Override
    Object content(Conversation conversation) {
      return List.of(
          conversation.messages().stream().map(ChatMessage::toMap).toList(), conversation.tools());
    }

    @Override
    List<? extends @Nullable Object> recipe(Tokenizer tokenizer) {
      if (chatMl != null) {
        return List.of(turns.name(), thinking.name(), chatMl.name());
      }
      ChatTemplate template = template(tokenizer);
      return List.of(
          turns.name(),
          thinking.name(),
          template.source(),
          new TreeMap<>(template.specialTokens()));
    }

    @Override
    PromptForm promptForm(Tokenizer tokenizer, DataReport report) {
      if (chatMl != null) {
        return ChatMlPreprocessor.TEMPLATE;
      }
      ChatTemplate template = template(tokenizer);
      return report.withoutThinking() ? AnswerRenderer.withoutThinking(template) : template;
    }

    @Override
    Optional<Prompt> prompt(Conversation conversation) {
      List<ChatMessage> messages = Reasoning.kept(conversation, thinking).messages();
      Optional<Prompt> longest = Optional.empty();
      for (int i = 1; i < messages.size(); i++) {
        if (messages.get(i).role().equals("assistant")) {
          List<ChatMessage> asked =
              messages.subList(0, i).stream().map(Conversation::withoutWeight).toList();
          Optional<Prompt> prompt =
              shortPrompt(new Prompt(asked, conversation.tools(), "", List.of()));
          longest = prompt.isPresent() ? prompt : longest;
        }
      }
      return longest;
    }

    @Override
    Conversation withoutSpecialTokens(Conversation conversation, Tokenizer tokenizer) {
      Conversation marked =
          new Conversation(
              tokenizer.withoutSpecialTokens(conversation.messages()),
              withoutSpecialTokens(conversation.tools(), tokenizer));
      return marked.equals(conversation) ? conversation : marked;
    }

    @SuppressWarnings("unchecked") // the very tools, in which texts are marked
    private static List<Map<String, @Nullable Object>> withoutSpecialTokens(
        List<Map<String, @Nullable Object>> tools, Tokenizer tokenizer) {
      ChatMessage carrier = ChatMessage.ofMap(Map.of("role", "tool", "content", tools));
      return (List<Map<String, @Nullable Object>>)
          Objects.requireNonNull(
              tokenizer.withoutSpecialTokens(List.of(carrier)).get(0).toMap().get("content"));
    }

    @Override
    ExampleMaker<Conversation> maker(Tokenizer tokenizer, DatasetAssembler.Options options) {
      refuse(options, OnTooLong.TRUNCATE_PROMPT, "is for instructions; choose DROP_TURNS");
      if (chatMl != null) {
        Turns learnt = turns;
        Thinking kept = thinking;
        ChatMlPreprocessor preprocessor = ChatMlPreprocessor.of(tokenizer, chatMl);
        return ConversationMaker.of(
            conversation ->
                preprocessor.example(Reasoning.kept(conversation, kept).messages(), learnt),
            () -> false,
            options);
      }
      ConversationTokenizer conversations =
          new ConversationTokenizer(tokenizer, template(tokenizer), turns, thinking);
      return ConversationMaker.of(conversations::example, conversations::withoutThinking, options);
    }

    private ChatTemplate template(Tokenizer tokenizer) {
      return Optional.ofNullable(chatTemplate)
          .map(template -> template.withTokensOf(tokenizer))
          .or(tokenizer::chatTemplate)
          .orElseThrow(
              () ->
                  new DataException(
                      "the tokenizer has no default chat template; set one with"
                          + " chatTemplate(...), or use chatMl(...)"));
    }
  }

  /**
   * Builds a dataset of records in the form of ADGEN, as {@link AdgenPreprocessor} makes them.
   * Records with an empty content or summary are left out and count as {@link
   * DataReport#fullyMasked}. Each setter can be called once. Not thread-safe.
   */
  public static final class AdgenBuilder extends DatasetBuilder<AdgenRecord, AdgenBuilder> {
    private AdgenPreprocessor.Prompt prompt = AdgenPreprocessor.Prompt.WRAPPED;
    private int maxSourceLength = 64;
    private int maxTargetLength = 64;

    private AdgenBuilder() {}

    /** Sets the prompt; {@link AdgenPreprocessor.Prompt#WRAPPED} by default. */
    public AdgenBuilder prompt(AdgenPreprocessor.Prompt value) {
      Objects.requireNonNull(value, "prompt is null");
      calls.first("prompt");
      prompt = value;
      return this;
    }

    /** Sets the maximal number of tokens of the prompt, BOS included; 64 by default. */
    public AdgenBuilder maxSourceLength(int tokens) {
      calls.first("maxSourceLength");
      maxSourceLength = tokens;
      return this;
    }

    /** Sets the maximal number of tokens of the answer, EOS included; 64 by default. */
    public AdgenBuilder maxTargetLength(int tokens) {
      calls.first("maxTargetLength");
      maxTargetLength = tokens;
      return this;
    }

    @Override
    AdgenBuilder self() {
      return this;
    }

    @Override
    Function<DataRecord, AdgenRecord> reader() {
      return AdgenReader.adgen();
    }

    @Override
    @Nullable Function<DataRecord, AdgenRecord> reader(RecordLayout layout) {
      return layout == RecordLayout.ADGEN ? reader() : null;
    }

    @Override
    Object content(AdgenRecord record) {
      return List.of(
          record.content(),
          record.summary(),
          record.history().stream().map(r -> List.of(r.question(), r.answer())).toList());
    }

    @Override
    List<? extends @Nullable Object> recipe(Tokenizer tokenizer) {
      return List.of(prompt.name(), maxSourceLength, maxTargetLength);
    }

    @Override
    PromptForm promptForm(Tokenizer tokenizer, DataReport report) {
      return prompt.template();
    }

    @Override
    Optional<Prompt> prompt(AdgenRecord record) {
      return record.history().isEmpty() && !record.content().isEmpty()
          ? shortPrompt(Prompt.instruction(record.content(), ""))
          : Optional.empty();
    }

    @Override
    AdgenRecord withoutSpecialTokens(AdgenRecord record, Tokenizer tokenizer) {
      return record; // as the original
    }

    @Override
    ExampleMaker<AdgenRecord> maker(Tokenizer tokenizer, DatasetAssembler.Options options) {
      refuse(options, OnTooLong.DROP_TURNS, "is for conversations; choose TRUNCATE or DROP");
      refuse(options, OnTooLong.TRUNCATE_PROMPT, "is for instructions; choose TRUNCATE or DROP");
      return AdgenPreprocessor.of(tokenizer, prompt, maxSourceLength, maxTargetLength)::make;
    }
  }

  /** Returns a prompt unless it has more characters than a sample should hold in memory. */
  private static Optional<Prompt> shortPrompt(Prompt prompt) {
    List<Object> texts =
        List.of(
            prompt.messages().stream().map(ChatMessage::toMap).toList(),
            prompt.tools(),
            prompt.input());
    return PlainValue.characters(texts) <= MAX_PROMPT_CHARACTERS
        ? Optional.of(prompt)
        : Optional.empty();
  }

  private static void refuse(DatasetAssembler.Options options, OnTooLong policy, String why) {
    if (options.onTooLong() == policy) {
      throw new IllegalArgumentException("onTooLong " + policy + " " + why);
    }
  }
}
