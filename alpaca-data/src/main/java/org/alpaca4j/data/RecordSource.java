package org.alpaca4j.data;

import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * Records that can be read as a stream, again and again, always the same ones in the same order.
 * What files are made into by {@link DataFile}, and what can be mapped, filtered, cut, {@linkplain
 * Mixture mixed} and tokenised without being held in memory.
 *
 * <pre>{@code
 * RecordSource<InstructionRecord> data =
 *     DataFile.csv(Path.of("data.csv.gz")).map(InstructionReader.fields("prompt", "", "answer"));
 * }</pre>
 *
 * <p>Whatever is random depends on its seed alone. Sources are stateless and thread-safe; a stream
 * is for one thread.
 *
 * @param <R> the records
 */
@FunctionalInterface
public interface RecordSource<R> {

  /**
   * Starts to read. The records come one by one; memory does not grow with their number. To be
   * closed by the caller, since it may hold a file open.
   *
   * @throws DataException here or from the stream, if the records cannot be read; names file, line,
   *     record and field as far as they are known
   */
  Stream<R> stream();

  /** Returns what messages call this source, such as the file. */
  default String name() {
    return "records";
  }

  /** Returns a source of records in memory. */
  static <R> RecordSource<R> of(List<R> records) {
    Objects.requireNonNull(records, "records is null");
    List<R> copy = List.copyOf(records);
    return copy::stream;
  }

  /** Returns a source with another name. */
  default RecordSource<R> named(String name) {
    Objects.requireNonNull(name, "name is null");
    return new DerivedSource<>(name, log -> ReportingSource.open(this, log));
  }

  /**
   * Returns what a pure function makes of each record. What it refuses by {@link DataRecord#error}
   * ends the reading, unless a dataset's {@link OnBadRecord} leaves it out.
   */
  default <S> RecordSource<S> map(Function<? super R, ? extends S> function) {
    Objects.requireNonNull(function, "function is null");
    return DerivedSource.mapped(this, function);
  }

  /** Returns the records that a pure predicate accepts. */
  default RecordSource<R> filter(Predicate<? super R> predicate) {
    Objects.requireNonNull(predicate, "predicate is null");
    return new DerivedSource<>(name(), log -> ReportingSource.open(this, log).filter(predicate));
  }

  /**
   * Returns the first records, or all if there are fewer.
   *
   * @param count how many, at least 1
   */
  default RecordSource<R> limit(int count) {
    requirePositive(count);
    return new DerivedSource<>(name(), log -> ReportingSource.open(this, log).limit(count));
  }

  /**
   * Returns so many records, chosen at random by the seed alone and kept in their order; all if
   * there are fewer. Reads the records twice, and holds one int per record chosen.
   *
   * @param count how many, at least 1
   * @param seed chooses the records
   */
  default RecordSource<R> sample(int count, long seed) {
    requirePositive(count);
    return new DerivedSource<>(name(), log -> Sampling.sample(this, count, seed, log));
  }

  /**
   * Splits off records for evaluation: each by itself, by its index and the seed alone, so that
   * both parts can be streamed. Of n records, about n × evalRatio are for evaluation.
   *
   * @param evalRatio the share for evaluation, between 0 and 1
   * @param seed chooses the records
   */
  default Split<R> split(double evalRatio, long seed) {
    if (!(evalRatio > 0 && evalRatio < 1)) {
      throw new IllegalArgumentException("evalRatio must be between 0 and 1, found " + evalRatio);
    }
    return new Split<>(
        new DerivedSource<>(name(), log -> Sampling.part(this, evalRatio, seed, false, log)),
        new DerivedSource<>(name(), log -> Sampling.part(this, evalRatio, seed, true, log)));
  }

  /**
   * A source in two parts.
   *
   * @param <R> the records
   * @param train what to train on
   * @param eval what to evaluate on
   */
  record Split<R>(RecordSource<R> train, RecordSource<R> eval) {

    /** Checks that both parts are there. */
    public Split {
      Objects.requireNonNull(train, "train is null");
      Objects.requireNonNull(eval, "eval is null");
    }
  }

  private static void requirePositive(int count) {
    if (count < 1) {
      throw new IllegalArgumentException("count must be at least 1, found " + count);
    }
  }
}
