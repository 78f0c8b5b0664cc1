package org.alpaca4j.data;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.PromptForm;
import org.alpaca4j.core.SpecialToken;
import org.alpaca4j.core.Tokenizer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the builders of a {@link SupervisedDataset} have in common: where the records come from, and
 * what becomes of those that do not fit.
 *
 * @param <R> the records
 * @param <B> the builder itself
 */
abstract sealed class DatasetBuilder<R, B extends DatasetBuilder<R, B>>
    permits SupervisedDataset.Builder,
        SupervisedDataset.ConversationsBuilder,
        SupervisedDataset.AdgenBuilder {
  private static final Logger log = LoggerFactory.getLogger(SupervisedDataset.class);

  final OneCall calls = new OneCall();
  private @Nullable Tokenizer tokenizer;
  private @Nullable RecordSource<R> source;
  private int maxLength = 512;
  private SupervisedDataset.OnFullyMasked onFullyMasked = SupervisedDataset.OnFullyMasked.DROP;
  private SupervisedDataset.OnTooLong onTooLong = SupervisedDataset.OnTooLong.TRUNCATE;
  private OnBadRecord onBadRecord = OnBadRecord.refuse();
  private int limit = Integer.MAX_VALUE;
  private @Nullable Path cache;
  private boolean splitSpecialTokens = true;

  abstract B self();

  /** Returns what reads a record of a file whose layout is not looked at. */
  abstract Function<DataRecord, R> reader();

  /** Returns what reads a record of a layout, or null if these are no records of this dataset. */
  abstract @Nullable Function<DataRecord, R> reader(RecordLayout layout);

  abstract ExampleMaker<R> maker(Tokenizer tokenizer, DatasetAssembler.Options options);

  /** Returns the form in which the prompts ask. */
  abstract PromptForm promptForm(Tokenizer tokenizer, DataReport report);

  /** Returns a record in whose texts no special token is one; the very same if none is there. */
  abstract R withoutSpecialTokens(R record, Tokenizer tokenizer);

  /** Returns what a model is asked to give a record's answer; empty if that is long. */
  abstract Optional<Conformance.Prompt> prompt(R record);

  /** Returns a record as plain values: all that its tokens depend on. */
  abstract Object content(R record);

  /** Returns this builder's own options as plain values, of which the tokens depend too. */
  abstract List<? extends @Nullable Object> recipe(Tokenizer tokenizer);

  /** Sets the tokenizer; required. The dataset does not close it, and does not need it later. */
  public B tokenizer(Tokenizer value) {
    calls.first("tokenizer");
    tokenizer = value;
    return self();
  }

  /** Reads the records from one JSON array. */
  public B json(Path file) {
    firstSource("json");
    source = DataFile.json(file).map(reader());
    return self();
  }

  /** Reads the records from a file with one JSON object per line. */
  public B jsonl(Path file) {
    firstSource("jsonl");
    source = DataFile.jsonl(file).map(reader());
    return self();
  }

  /**
   * Reads the records from a file of any known format and layout, as {@link DetectedFormat#of}
   * finds them; the log says what was found and why.
   *
   * @throws DataException if that cannot be told, or the layout is not one for this dataset
   */
  public B file(Path file) {
    firstSource("file");
    DetectedFormat found = DetectedFormat.of(file);
    Function<DataRecord, R> reader = reader(found.layout());
    if (reader == null) {
      throw new DataException(
          found.explanation() + ", which this dataset does not take; use " + found.layout().use());
    }
    log.info("{}", found.explanation());
    source = DataFile.of(file, found.format()).map(reader);
    return self();
  }

  /** Takes the records from any source: mapped fields, mixtures, subsets. */
  public B source(RecordSource<R> value) {
    firstSource("source");
    source = value;
    return self();
  }

  /** Takes the records from memory. */
  public B records(List<R> value) {
    firstSource("records");
    source = RecordSource.of(value);
    return self();
  }

  private void firstSource(String property) {
    calls.firstOf(property, "json, jsonl, file, source or records");
  }

  /**
   * Keeps the tokens in a file of this folder instead of in memory, and uses them again in later
   * runs: the file is mapped, so the dataset can be larger than the memory. Its name is a hash of
   * the records, the tokenizer and all options; another hash is another file, and files that are
   * not needed any more can be deleted. It is written as a whole or not at all, and made anew if it
   * is damaged; while a dataset is in use, its file must not be changed.
   *
   * <p>Each run reads the records once to compute the hash; only the first tokenises them, in a
   * second pass.
   */
  public B cache(Path folder) {
    calls.first("cache");
    cache = folder;
    return self();
  }

  /** Sets the maximal number of tokens of an example, its end token included; 512 by default. */
  public B maxLength(int tokens) {
    calls.first("maxLength");
    if (tokens < 2) {
      throw new IllegalArgumentException(
          "maxLength must be at least 2 (a token and the one it predicts), found " + tokens);
    }
    maxLength = tokens;
    return self();
  }

  /**
   * Sets what to do without a supervised token; {@link SupervisedDataset.OnFullyMasked#DROP} by
   * default.
   */
  public B onFullyMasked(SupervisedDataset.OnFullyMasked value) {
    calls.first("onFullyMasked");
    onFullyMasked = value;
    return self();
  }

  /**
   * Sets what to do with too long examples; {@link SupervisedDataset.OnTooLong#TRUNCATE} by
   * default.
   */
  public B onTooLong(SupervisedDataset.OnTooLong value) {
    calls.first("onTooLong");
    onTooLong = value;
    return self();
  }

  /**
   * Sets what to do with records that cannot be used; {@link OnBadRecord#refuse} by default. Those
   * that are left out count for no {@link #limit}, and {@link DataReport#badRecords} lists them.
   */
  public B onBadRecord(OnBadRecord value) {
    calls.first("onBadRecord");
    onBadRecord = Objects.requireNonNull(value, "onBadRecord is null");
    return self();
  }

  /**
   * Sets whether the texts of special tokens in the records are text, as in transformers' option of
   * that name; default true. {@link DataReport#specialTokensAsText} counts such records. With false
   * they become the tokens, as they do in any case in mode {@link
   * SupervisedDataset.Mode#COMPATIBLE} and in ADGEN's form, which follow their originals. The
   * template's own are tokens in any case.
   */
  public B splitSpecialTokens(boolean value) {
    calls.first("splitSpecialTokens");
    splitSpecialTokens = value;
    return self();
  }

  /** Reads only the first records; all by default. */
  public B limit(int count) {
    calls.first("limit");
    if (count < 1) {
      throw new IllegalArgumentException("limit must be at least 1, found " + count);
    }
    limit = count;
    return self();
  }

  /**
   * Reads and tokenises the records, on all cores.
   *
   * @throws IllegalArgumentException if tokenizer or source is missing
   * @throws DataException if the data cannot be read, or leave no example
   */
  public SupervisedDataset build() {
    if (tokenizer == null) {
      throw new IllegalArgumentException("tokenizer is not set; call tokenizer(...)");
    }
    RecordSource<R> from = source;
    if (from == null) {
      throw new IllegalArgumentException(
          "the data is not set; call json(...), jsonl(...), file(...), source(...) or records(...)");
    }
    DatasetAssembler.Options options =
        new DatasetAssembler.Options(maxLength, onFullyMasked, onTooLong, onBadRecord, limit);
    Tokenizer used = tokenizer;
    ExampleMaker<R> own = maker(used, options);
    ExampleMaker<R> maker =
        splitSpecialTokens
            ? new TextOnlyMaker<>(own, record -> withoutSpecialTokens(record, used))
            : own;
    PromptSample<R> sample = new PromptSample<>(this::prompt);
    SupervisedDataset dataset;
    if (cache == null) {
      dataset = assemble(from, maker, options, PageSink.inMemory(), sample::offer);
    } else {
      TokenCache tokens = new TokenCache(cache, key(used, from, sample::offer));
      dataset =
          tokens
              .open()
              .orElseGet(() -> assemble(from, maker, options, tokens.writer(), record -> {}));
    }
    return dataset.askedBy(promptForm(used, dataset.report()), sample.prompts());
  }

  private SupervisedDataset assemble(
      RecordSource<R> from,
      ExampleMaker<R> maker,
      DatasetAssembler.Options options,
      PageSink pages,
      Consumer<R> reader) {
    ReadingLog log = new ReadingLog(onBadRecord);
    try (pages;
        Stream<R> records = ReportingSource.open(from, log)) {
      return new DatasetAssembler<R>(
              from.name(),
              maker,
              options,
              record -> PlainValue.characters(content(record)),
              pages,
              log)
          .assemble(records.peek(reader).iterator());
    }
  }

  private byte[] key(Tokenizer used, RecordSource<R> from, Consumer<R> reader) {
    PlainValue.Hash hash = new PlainValue.Hash();
    hash.add(used.toJson());
    for (SpecialToken role : SpecialToken.values()) {
      hash.add(used.token(role).orElse(null));
    }
    hash.add(Arrays.toString(used.prefixIds())).add(Arrays.toString(used.suffixIds()));
    hash.add(getClass().getSimpleName()).add(recipe(used));
    hash.add(splitSpecialTokens).add(maxLength).add(onFullyMasked.name()).add(onTooLong.name());
    ReadingLog log = new ReadingLog(onBadRecord);
    try (Stream<R> records = ReportingSource.open(from, log)) {
      records.limit(limit).peek(reader).forEachOrdered(record -> hash.add(content(record)));
    }
    // The report is kept with the tokens, so it is a part of what they are.
    log.badRecords().forEach(bad -> hash.add(bad.toString()));
    return hash.add(log.unusedFields()).add(onBadRecord.maxShare()).digest();
  }
}
