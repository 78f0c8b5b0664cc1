package org.alpaca4j.data;

import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import org.alpaca4j.core.Tokenizer;
import org.jspecify.annotations.Nullable;

/**
 * What the builders of a {@link SupervisedDataset} have in common: where the records come from, and
 * what becomes of those that do not fit.
 *
 * @param <R> the records
 * @param <B> the builder itself
 */
abstract sealed class DatasetBuilder<R, B extends DatasetBuilder<R, B>>
    permits SupervisedDataset.Builder, SupervisedDataset.ConversationsBuilder {
  final OneCall calls = new OneCall();
  private @Nullable Tokenizer tokenizer;
  private @Nullable Path json;
  private @Nullable Path jsonl;
  private @Nullable List<R> records;
  private int maxLength = 512;
  private SupervisedDataset.OnFullyMasked onFullyMasked = SupervisedDataset.OnFullyMasked.DROP;
  private SupervisedDataset.OnTooLong onTooLong = SupervisedDataset.OnTooLong.TRUNCATE;
  private int limit = Integer.MAX_VALUE;

  abstract B self();

  /** Returns the records of a file, one by one. */
  abstract Iterator<R> read(JsonRecords source);

  abstract ExampleMaker<R> maker(Tokenizer tokenizer, DatasetAssembler.Options options);

  /** Sets the tokenizer; required. The dataset does not close it, and does not need it later. */
  public B tokenizer(Tokenizer value) {
    calls.first("tokenizer");
    tokenizer = value;
    return self();
  }

  /** Reads the records from one JSON array. */
  public B json(Path file) {
    firstSource("json");
    json = file;
    return self();
  }

  /** Reads the records from a file with one JSON object per line. */
  public B jsonl(Path file) {
    firstSource("jsonl");
    jsonl = file;
    return self();
  }

  /** Takes the records from memory. */
  public B records(List<R> value) {
    firstSource("records");
    records = List.copyOf(value);
    return self();
  }

  private void firstSource(String property) {
    calls.firstOf(property, "json, jsonl or records");
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
    DatasetAssembler.Options options =
        new DatasetAssembler.Options(maxLength, onFullyMasked, onTooLong, limit);
    ExampleMaker<R> maker = maker(tokenizer, options);
    if (records != null) {
      return new DatasetAssembler<>("records", maker, options).assemble(records.iterator());
    }
    Path file = json != null ? json : jsonl;
    if (file == null) {
      throw new IllegalArgumentException(
          "the data is not set; call json(...), jsonl(...) or records(...)");
    }
    try (JsonRecords source = json != null ? JsonRecords.array(file) : JsonRecords.lines(file)) {
      return new DatasetAssembler<>(file.toString(), maker, options).assemble(read(source));
    }
  }
}
