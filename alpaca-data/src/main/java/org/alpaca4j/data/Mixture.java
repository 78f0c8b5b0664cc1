package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * Several sources as one: each record comes from a source drawn by weight. Which one depends on the
 * seed and on how many records came before, so the mixture is the same whenever it is read.
 *
 * <pre>{@code
 * RecordSource<InstructionRecord> data =
 *     Mixture.<InstructionRecord>builder().add(alpaca, 0.8).add(gsm8k, 0.2).seed(42).build();
 * }</pre>
 *
 * @param <R> the records
 */
public final class Mixture<R> implements RecordSource<R> {

  /** When a mixture ends. */
  public enum Until {
    /** When a source that is drawn has no more records: the shares are as the weights say. */
    FIRST_EXHAUSTED,
    /** When every record was given once; sources without records are drawn no more. */
    ALL_ONCE,
    /**
     * When every source was exhausted at least once; sources that are exhausted earlier start
     * again, so the shares are as the weights say and no record is left out.
     */
    ALL_EXHAUSTED
  }

  private record Weighted<R>(RecordSource<R> source, double weight) {}

  private final List<Weighted<R>> sources;
  private final Until until;
  private final long seed;

  private Mixture(List<Weighted<R>> sources, Until until, long seed) {
    this.sources = List.copyOf(sources);
    this.until = until;
    this.seed = seed;
  }

  /** Returns a builder without sources. */
  public static <R> Builder<R> builder() {
    return new Builder<>();
  }

  @Override
  public String name() {
    return "mixture of " + String.join(", ", sources.stream().map(s -> s.source().name()).toList());
  }

  @Override
  public Stream<R> stream() {
    return stream(ReadingLog.REFUSING);
  }

  Stream<R> stream(ReadingLog log) {
    Draws draws = new Draws(log);
    return StreamSupport.stream(
            Spliterators.spliteratorUnknownSize(draws, Spliterator.ORDERED), false)
        .onClose(draws::close);
  }

  /** One pass: the open streams, and how many draws there were. */
  private final class Draws implements Iterator<R> {
    private final ReadingLog log;
    private final List<@Nullable Stream<R>> streams = new ArrayList<>();
    private final List<Iterator<R>> iterators = new ArrayList<>();
    private final boolean[] exhausted = new boolean[sources.size()];
    private long draw;
    private boolean ended;
    private @Nullable R next;

    Draws(ReadingLog log) {
      this.log = log;
      for (int i = 0; i < sources.size(); i++) {
        streams.add(null);
        iterators.add(List.<R>of().iterator());
      }
      for (int i = 0; i < sources.size(); i++) {
        open(i);
      }
    }

    private void open(int i) {
      Stream<R> earlier = streams.get(i);
      if (earlier != null) {
        earlier.close();
      }
      Stream<R> stream = ReportingSource.open(sources.get(i).source(), log);
      streams.set(i, stream);
      iterators.set(i, stream.iterator());
    }

    @Override
    public boolean hasNext() {
      while (next == null && !ended) {
        int i = drawn();
        if (iterators.get(i).hasNext()) {
          next = iterators.get(i).next();
        } else {
          exhaust(i);
        }
      }
      return next != null;
    }

    @Override
    public R next() {
      if (!hasNext() || next == null) {
        throw new NoSuchElementException();
      }
      R record = next;
      next = null;
      return record;
    }

    private void exhaust(int i) {
      exhausted[i] = true;
      boolean all = true;
      for (boolean one : exhausted) {
        all &= one;
      }
      ended = all || until == Until.FIRST_EXHAUSTED;
      if (!ended && until == Until.ALL_EXHAUSTED) {
        open(i);
        if (!iterators.get(i).hasNext()) {
          throw new DataException(sources.get(i).source().name() + ": holds no record");
        }
      }
    }

    private int drawn() {
      boolean skip = until == Until.ALL_ONCE;
      double total = 0;
      for (int i = 0; i < sources.size(); i++) {
        total += skip && exhausted[i] ? 0 : sources.get(i).weight();
      }
      double left = SplitMix64.uniform(seed, draw++) * total;
      int last = -1;
      for (int i = 0; i < sources.size(); i++) {
        if (skip && exhausted[i]) {
          continue;
        }
        last = i;
        left -= sources.get(i).weight();
        if (left < 0) {
          return i;
        }
      }
      return last;
    }

    void close() {
      for (Stream<R> stream : streams) {
        if (stream != null) {
          stream.close();
        }
      }
    }
  }

  /**
   * Builds a mixture. Not thread-safe.
   *
   * @param <R> the records
   */
  public static final class Builder<R> {
    private final OneCall calls = new OneCall();
    private final List<Weighted<R>> sources = new ArrayList<>();
    private Until until = Until.FIRST_EXHAUSTED;
    private long seed = 42;

    private Builder() {}

    /**
     * Adds a source.
     *
     * @param weight how often it is drawn, relative to the sum of all weights; more than 0
     */
    public Builder<R> add(RecordSource<R> source, double weight) {
      Objects.requireNonNull(source, "source is null");
      if (!(weight > 0 && weight < Double.POSITIVE_INFINITY)) {
        throw new IllegalArgumentException(
            "the weight of " + source.name() + " must be more than 0, found " + weight);
      }
      sources.add(new Weighted<>(source, weight));
      return this;
    }

    /** Sets when the mixture ends; {@link Until#FIRST_EXHAUSTED} by default. */
    public Builder<R> until(Until value) {
      Objects.requireNonNull(value, "until is null");
      calls.first("until");
      until = value;
      return this;
    }

    /** Sets the seed of the draws; 42 by default. */
    public Builder<R> seed(long value) {
      calls.first("seed");
      seed = value;
      return this;
    }

    /**
     * Returns the mixture.
     *
     * @throws IllegalArgumentException if there is no source
     */
    public Mixture<R> build() {
      if (sources.isEmpty()) {
        throw new IllegalArgumentException("a mixture needs a source; call add(...)");
      }
      return new Mixture<>(sources, until, seed);
    }
  }
}
