package org.alpaca4j.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

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

  private static final Logger log = LoggerFactory.getLogger(SupervisedDataset.class);

  /** Records handed to the cores at a time, and how many one task tokenises. */
  private static final int BLOCK = 16_384;

  private static final int CHUNK = 256;

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
    /** Cut it at the end, as is usual; {@link DataReport#truncated} counts it. */
    TRUNCATE,
    /** Leave it out; {@link DataReport#tooLong} lists it. */
    DROP,
    /** Refuse the data, naming its index. */
    ERROR
  }

  private final List<TokenPage> pages;
  private final int[] pageStarts;
  private final int @Nullable [] selection;
  private final DataReport report;

  private SupervisedDataset(List<TokenPage> pages, int @Nullable [] selection, DataReport report) {
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

  /**
   * Returns a dataset of examples that are tokenised already.
   *
   * @throws DataException if there is no example, or one without a supervised token
   */
  public static SupervisedDataset of(List<SupervisedExample> examples) {
    Options options = new Options();
    options.onFullyMasked = OnFullyMasked.ERROR;
    options.maxLength = Integer.MAX_VALUE;
    return build("examples", examples.iterator(), Made::whole, options);
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

  /** Returns the number of tokens of an example, without copying it. */
  public int length(int index) {
    int i = storedIndex(index);
    int page = page(i);
    return pages.get(page).length(i - pageStarts[page]);
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
    int[] stored = new int[indexes.length];
    long tokens = 0;
    long supervised = 0;
    int longest = 0;
    for (int k = 0; k < indexes.length; k++) {
      stored[k] = storedIndex(indexes[k]);
      tokens += length(indexes[k]);
      supervised += supervisedTokens(indexes[k]);
      longest = Math.max(longest, length(indexes[k]));
    }
    return new SupervisedDataset(
        pages,
        stored,
        new DataReport(
            indexes.length, indexes.length, tokens, supervised, longest, 0, List.of(), List.of()));
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

  /** Makes an example of a record. */
  interface ExampleMaker<R> {
    Made make(R record);
  }

  /**
   * An example as it was made of a record.
   *
   * @param example ids and labels
   * @param cut whether it was cut at the maximal length already
   */
  record Made(SupervisedExample example, boolean cut) {

    static Made whole(SupervisedExample example) {
      return new Made(example, false);
    }
  }

  /** What the builders have in common. */
  static final class Options {
    int maxLength = 512;
    OnFullyMasked onFullyMasked = OnFullyMasked.DROP;
    OnTooLong onTooLong = OnTooLong.TRUNCATE;
    int limit = Integer.MAX_VALUE;
  }

  private record Chunk(
      TokenPage page,
      int truncated,
      List<Integer> fullyMasked,
      List<Integer> tooLong,
      @Nullable AlpacaException failure) {}

  /** Tokenises records block by block on all cores; the examples keep the records' order. */
  static <R> SupervisedDataset build(
      String origin, Iterator<R> records, ExampleMaker<R> maker, Options options) {
    List<TokenPage> pages = new ArrayList<>();
    List<Integer> fullyMasked = new ArrayList<>();
    List<Integer> tooLong = new ArrayList<>();
    int read = 0;
    int examples = 0;
    int truncated = 0;
    int longest = 0;
    long tokens = 0;
    long supervised = 0;
    while (read < options.limit && records.hasNext()) {
      List<R> block = new ArrayList<>();
      while (block.size() < BLOCK && read + block.size() < options.limit && records.hasNext()) {
        block.add(records.next());
      }
      int first = read;
      List<Chunk> chunks =
          IntStream.range(0, (block.size() + CHUNK - 1) / CHUNK)
              .parallel()
              .mapToObj(
                  c -> {
                    int from = c * CHUNK;
                    int to = Math.min(block.size(), from + CHUNK);
                    return chunk(block.subList(from, to), first + from, maker, options, origin);
                  })
              .toList();
      for (Chunk chunk : chunks) {
        if (chunk.failure() != null) {
          throw chunk.failure();
        }
        fullyMasked.addAll(chunk.fullyMasked());
        tooLong.addAll(chunk.tooLong());
        truncated += chunk.truncated();
        TokenPage page = chunk.page();
        if (page.size() > 0) {
          pages.add(page);
        }
        examples += page.size();
        for (int i = 0; i < page.size(); i++) {
          tokens += page.length(i);
          supervised += page.supervisedTokens(i);
          longest = Math.max(longest, page.length(i));
        }
      }
      read += block.size();
    }
    if (read == 0) {
      throw new DataException(origin + ": holds no record");
    }
    if (!fullyMasked.isEmpty()) {
      log.warn(
          "{}: {} of {} records {}, since none of their tokens is supervised: {}{}",
          origin,
          fullyMasked.size(),
          read,
          options.onFullyMasked == OnFullyMasked.KEEP ? "teach nothing" : "left out",
          fullyMasked.subList(0, Math.min(10, fullyMasked.size())),
          fullyMasked.size() > 10 ? " ..." : "");
    }
    if (!tooLong.isEmpty()) {
      log.warn(
          "{}: {} of {} records left out, since they are longer than {} tokens",
          origin,
          tooLong.size(),
          read,
          options.maxLength);
    }
    if (truncated > 0) {
      log.warn(
          "{}: {} of {} examples cut at {} tokens; they lost their closing EOS",
          origin,
          truncated,
          examples,
          options.maxLength);
    }
    if (supervised == 0) {
      throw new DataException(
          origin
              + ": no example is left of "
              + read
              + " records ("
              + fullyMasked.size()
              + " without a supervised token, "
              + tooLong.size()
              + " too long); maxLength is "
              + options.maxLength
              + ", raise it or check the data");
    }
    DataReport report =
        new DataReport(
            read, examples, tokens, supervised, longest, truncated, fullyMasked, tooLong);
    log.info(
        "{}: {} examples, {} tokens, {} % supervised",
        origin, examples, tokens, Math.round(1000 * report.supervisedShare()) / 10.0);
    return new SupervisedDataset(List.copyOf(pages), null, report);
  }

  private static <R> Chunk chunk(
      List<R> records, int firstIndex, ExampleMaker<R> maker, Options options, String origin) {
    TokenPage.Builder page = new TokenPage.Builder();
    List<Integer> fullyMasked = new ArrayList<>();
    List<Integer> tooLong = new ArrayList<>();
    int truncated = 0;
    for (int i = 0; i < records.size(); i++) {
      int index = firstIndex + i;
      try {
        Made made = maker.make(records.get(i));
        SupervisedExample example = made.example();
        boolean cut = made.cut() || example.length() > options.maxLength;
        if (cut && options.onTooLong == OnTooLong.ERROR) {
          throw new DataException(
              "has "
                  + example.length()
                  + " tokens, more than maxLength "
                  + options.maxLength
                  + "; raise it, or choose onTooLong TRUNCATE or DROP");
        }
        if (cut && options.onTooLong == OnTooLong.DROP) {
          tooLong.add(index);
          continue;
        }
        if (example.length() > options.maxLength) {
          example =
              new SupervisedExample(
                  Arrays.copyOf(example.ids(), options.maxLength),
                  Arrays.copyOf(example.labels(), options.maxLength));
        }
        if (example.supervisedTokens() == 0) {
          if (options.onFullyMasked == OnFullyMasked.ERROR) {
            throw new DataException(
                "has no supervised token"
                    + (cut ? " within maxLength " + options.maxLength : "")
                    + "; raise maxLength, mend the record, or choose onFullyMasked DROP");
          }
          fullyMasked.add(index);
          if (options.onFullyMasked == OnFullyMasked.DROP) {
            continue;
          }
        }
        if (cut) {
          truncated++;
        }
        page.add(index, example.ids(), example.labels());
      } catch (AlpacaException e) {
        return new Chunk(
            page.build(),
            0,
            List.of(),
            List.of(),
            new DataException(origin + ", record " + index + ": " + e.getMessage(), e));
      }
    }
    return new Chunk(page.build(), truncated, fullyMasked, tooLong, null);
  }

  /** Builds a dataset of instruction records. Each setter can be called once. Not thread-safe. */
  public static final class Builder {
    private final Options options = new Options();
    private final OneCall calls = new OneCall();
    private @Nullable Tokenizer tokenizer;
    private PromptTemplate template = PromptTemplate.ALPACA;
    private Mode mode = Mode.SEGMENTS;
    private @Nullable Path json;
    private @Nullable Path jsonl;
    private @Nullable List<InstructionRecord> records;

    private Builder() {}

    /** Sets the tokenizer; required. The dataset does not close it, and does not need it later. */
    public Builder tokenizer(Tokenizer value) {
      calls.first("tokenizer");
      tokenizer = value;
      return this;
    }

    /** Sets the prompt template; {@link PromptTemplate#ALPACA} by default. */
    public Builder template(PromptTemplate value) {
      calls.first("template");
      template = value;
      return this;
    }

    /** Reads the records from one JSON array. */
    public Builder json(Path file) {
      calls.firstOf("json", "json, jsonl or records");
      json = file;
      return this;
    }

    /** Reads the records from a file with one JSON object per line. */
    public Builder jsonl(Path file) {
      calls.firstOf("jsonl", "json, jsonl or records");
      jsonl = file;
      return this;
    }

    /** Takes the records from memory. */
    public Builder records(List<InstructionRecord> value) {
      calls.firstOf("records", "json, jsonl or records");
      records = List.copyOf(value);
      return this;
    }

    /** Sets the maximal number of tokens of an example, EOS included; 512 by default. */
    public Builder maxLength(int tokens) {
      calls.first("maxLength");
      options.maxLength = requireMaxLength(tokens);
      return this;
    }

    /** Sets how source and target are tokenised; {@link Mode#SEGMENTS} by default. */
    public Builder mode(Mode value) {
      calls.first("mode");
      mode = value;
      return this;
    }

    /** Sets what to do without a supervised token; {@link OnFullyMasked#DROP} by default. */
    public Builder onFullyMasked(OnFullyMasked value) {
      calls.first("onFullyMasked");
      options.onFullyMasked = value;
      return this;
    }

    /** Sets what to do with too long examples; {@link OnTooLong#TRUNCATE} by default. */
    public Builder onTooLong(OnTooLong value) {
      calls.first("onTooLong");
      options.onTooLong = value;
      return this;
    }

    /** Reads only the first records; all by default. */
    public Builder limit(int count) {
      calls.first("limit");
      options.limit = requireLimit(count);
      return this;
    }

    /**
     * Reads and tokenises the records, on all cores.
     *
     * @throws IllegalArgumentException if tokenizer or source is missing
     * @throws DataException if the data cannot be read, or leave no example
     */
    public SupervisedDataset build() {
      Tokenizer given = tokenizer;
      if (given == null) {
        throw new IllegalArgumentException("tokenizer is not set; call tokenizer(...)");
      }
      ExampleMaker<InstructionRecord> maker = maker(given);
      if (records != null) {
        return SupervisedDataset.build("records", records.iterator(), maker, options);
      }
      Path file = json != null ? json : jsonl;
      if (file == null) {
        throw new IllegalArgumentException(
            "the data is not set; call json(...), jsonl(...) or records(...)");
      }
      try (JsonRecords source = json != null ? JsonRecords.array(file) : JsonRecords.lines(file)) {
        return SupervisedDataset.build(
            file.toString(), InstructionReader.toRecords(source), maker, options);
      }
    }

    private ExampleMaker<InstructionRecord> maker(Tokenizer given) {
      SegmentTokenizer segments = new SegmentTokenizer(given);
      PromptTemplate prompts = template;
      if (mode == Mode.SEGMENTS) {
        return record ->
            Made.whole(
                segments.segments(
                    prompts.render(record.instruction(), record.input()), record.output()));
      }
      OptionalInt pad = given.padId();
      if (pad.isEmpty()) {
        throw new DataException(
            "mode COMPATIBLE needs a pad token, as train.py does; use"
                + " tokenizer.withMissingSpecialTokens()");
      }
      String eosText = given.eosToken().orElseThrow();
      // train.py cuts by the tokenizer, and knows no other way.
      int cutAt = options.onTooLong == OnTooLong.TRUNCATE ? options.maxLength : Integer.MAX_VALUE;
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
  public static final class ConversationsBuilder {
    private final Options options = new Options();
    private final OneCall calls = new OneCall();
    private @Nullable Tokenizer tokenizer;
    private ChatMlPreprocessor.@Nullable LabelMask chatMl;
    private @Nullable ChatTemplate chatTemplate;
    private @Nullable Path json;
    private @Nullable Path jsonl;
    private @Nullable List<Conversation> records;

    private ConversationsBuilder() {}

    /** Sets the tokenizer; required. The dataset does not close it, and does not need it later. */
    public ConversationsBuilder tokenizer(Tokenizer value) {
      calls.first("tokenizer");
      tokenizer = value;
      return this;
    }

    /**
     * Renders with this chat template instead of the tokenizer's own. What the assistant says is
     * supervised: by the template's generation blocks if it has any, else by what each assistant
     * message adds to the prompt before it, closing token included.
     */
    public ConversationsBuilder chatTemplate(ChatTemplate value) {
      calls.firstOf("chatTemplate", "chatMl or chatTemplate");
      chatTemplate = value;
      return this;
    }

    /** Builds ChatML by hand with {@link ChatMlPreprocessor} and this label mask. */
    public ConversationsBuilder chatMl(ChatMlPreprocessor.LabelMask mask) {
      calls.firstOf("chatMl", "chatMl or chatTemplate");
      chatMl = mask;
      return this;
    }

    /** Reads the conversations from one JSON array. */
    public ConversationsBuilder json(Path file) {
      calls.firstOf("json", "json, jsonl or records");
      json = file;
      return this;
    }

    /** Reads the conversations from a file with one JSON object per line. */
    public ConversationsBuilder jsonl(Path file) {
      calls.firstOf("jsonl", "json, jsonl or records");
      jsonl = file;
      return this;
    }

    /** Takes the conversations from memory. */
    public ConversationsBuilder records(List<Conversation> value) {
      calls.firstOf("records", "json, jsonl or records");
      records = List.copyOf(value);
      return this;
    }

    /** Sets the maximal number of tokens of an example; 512 by default. */
    public ConversationsBuilder maxLength(int tokens) {
      calls.first("maxLength");
      options.maxLength = requireMaxLength(tokens);
      return this;
    }

    /** Sets what to do without a supervised token; {@link OnFullyMasked#DROP} by default. */
    public ConversationsBuilder onFullyMasked(OnFullyMasked value) {
      calls.first("onFullyMasked");
      options.onFullyMasked = value;
      return this;
    }

    /** Sets what to do with too long examples; {@link OnTooLong#TRUNCATE} by default. */
    public ConversationsBuilder onTooLong(OnTooLong value) {
      calls.first("onTooLong");
      options.onTooLong = value;
      return this;
    }

    /** Reads only the first conversations; all by default. */
    public ConversationsBuilder limit(int count) {
      calls.first("limit");
      options.limit = requireLimit(count);
      return this;
    }

    /**
     * Reads and tokenises the conversations, on all cores.
     *
     * @throws IllegalArgumentException if tokenizer or source is missing
     * @throws DataException if the data cannot be read, or leave no example
     */
    public SupervisedDataset build() {
      Tokenizer given = tokenizer;
      if (given == null) {
        throw new IllegalArgumentException("tokenizer is not set; call tokenizer(...)");
      }
      ExampleMaker<Conversation> maker = maker(given);
      if (records != null) {
        return SupervisedDataset.build("records", records.iterator(), maker, options);
      }
      Path file = json != null ? json : jsonl;
      if (file == null) {
        throw new IllegalArgumentException(
            "the data is not set; call json(...), jsonl(...) or records(...)");
      }
      try (JsonRecords source = json != null ? JsonRecords.array(file) : JsonRecords.lines(file)) {
        return SupervisedDataset.build(
            file.toString(), ConversationReader.toConversations(source), maker, options);
      }
    }

    private ExampleMaker<Conversation> maker(Tokenizer given) {
      if (chatMl != null) {
        ChatMlPreprocessor preprocessor = ChatMlPreprocessor.of(given, chatMl);
        return conversation -> Made.whole(preprocessor.example(conversation.messages()));
      }
      ChatTemplate template =
          Optional.ofNullable(chatTemplate)
              .or(given::chatTemplate)
              .orElseThrow(
                  () ->
                      new DataException(
                          "the tokenizer has no default chat template; set one with"
                              + " chatTemplate(...), or use chatMl(...)"));
      ConversationTokenizer conversations = new ConversationTokenizer(given, template);
      return conversation -> Made.whole(conversations.example(conversation));
    }
  }

  static int requireMaxLength(int tokens) {
    if (tokens < 2) {
      throw new IllegalArgumentException(
          "maxLength must be at least 2 (a token and the one it predicts), found " + tokens);
    }
    return tokens;
  }

  static int requireLimit(int count) {
    if (count < 1) {
      throw new IllegalArgumentException("limit must be at least 1, found " + count);
    }
    return count;
  }
}
