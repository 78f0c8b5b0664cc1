package org.alpaca4j.data;

import java.util.Arrays;
import java.util.Iterator;
import java.util.stream.Stream;

/** Random choices among the records of a stream: pure functions of index and seed. */
final class Sampling {

  private Sampling() {}

  /** Vitter's algorithm R over the indexes, then a second pass that keeps those. */
  static <R> Stream<R> sample(RecordSource<R> source, int count, long seed, ReadingLog log) {
    int[] chosen = new int[Math.min(count, 1 << 12)];
    int seen = 0;
    try (Stream<R> records = ReportingSource.open(source, log)) {
      for (Iterator<R> it = records.iterator(); it.hasNext(); it.next()) {
        if (seen < count) {
          if (seen == chosen.length) {
            chosen = Arrays.copyOf(chosen, (int) Math.min(count, 2L * chosen.length));
          }
          chosen[seen] = seen;
        } else {
          int place = (int) (SplitMix64.uniform(seed, seen) * (seen + 1.0));
          if (place < count) {
            chosen[place] = seen;
          }
        }
        seen++;
      }
    }
    int[] sorted = Arrays.copyOf(chosen, Math.min(seen, count));
    Arrays.sort(sorted);
    int[] position = {0, 0};
    return ReportingSource.open(source, log)
        .filter(
            record -> {
              boolean kept = position[1] < sorted.length && sorted[position[1]] == position[0]++;
              if (kept) {
                position[1]++;
              }
              return kept;
            });
  }

  /** The records for evaluation, or those for training. */
  static <R> Stream<R> part(
      RecordSource<R> source, double evalRatio, long seed, boolean eval, ReadingLog log) {
    long[] index = {0};
    return ReportingSource.open(source, log)
        .filter(record -> SplitMix64.uniform(seed, index[0]++) < evalRatio == eval);
  }
}
