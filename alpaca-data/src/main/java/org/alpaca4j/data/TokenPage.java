package org.alpaca4j.data;

import java.util.Arrays;
import java.util.BitSet;

/**
 * Some hundred examples in flat arrays: ids end to end, one bit per token for "supervised". A
 * million examples as objects of their own would cost more memory than their tokens.
 */
final class TokenPage {

  private final int[] ids;
  private final BitSet supervised;
  private final int[] ends;
  private final int[] recordIndexes;

  private TokenPage(int[] ids, BitSet supervised, int[] ends, int[] recordIndexes) {
    this.ids = ids;
    this.supervised = supervised;
    this.ends = ends;
    this.recordIndexes = recordIndexes;
  }

  int size() {
    return ends.length;
  }

  int length(int i) {
    return ends[i] - start(i);
  }

  int recordIndex(int i) {
    return recordIndexes[i];
  }

  private int start(int i) {
    return i == 0 ? 0 : ends[i - 1];
  }

  SupervisedExample example(int i) {
    int start = start(i);
    int[] exampleIds = Arrays.copyOfRange(ids, start, ends[i]);
    int[] labels = new int[exampleIds.length];
    for (int t = 0; t < labels.length; t++) {
      labels[t] = supervised.get(start + t) ? exampleIds[t] : SupervisedExample.IGNORE_INDEX;
    }
    return new SupervisedExample(exampleIds, labels);
  }

  int supervisedTokens(int i) {
    int from = start(i) + 1;
    int count = 0;
    for (int t = supervised.nextSetBit(from); t >= 0 && t < ends[i]; ) {
      int end = Math.min(supervised.nextClearBit(t), ends[i]);
      count += end - t;
      t = supervised.nextSetBit(end);
    }
    return count;
  }

  /** Collects examples; not thread-safe. */
  static final class Builder {
    private int[] ids = new int[1 << 14];
    private final BitSet supervised = new BitSet();
    private int[] ends = new int[64];
    private int[] recordIndexes = new int[64];
    private int tokens;
    private int size;

    void add(int recordIndex, int[] exampleIds, int[] labels) {
      if (tokens + exampleIds.length > ids.length) {
        ids = Arrays.copyOf(ids, Math.max(ids.length * 2, tokens + exampleIds.length));
      }
      System.arraycopy(exampleIds, 0, ids, tokens, exampleIds.length);
      for (int t = 0; t < labels.length; t++) {
        if (labels[t] != SupervisedExample.IGNORE_INDEX) {
          if (labels[t] != exampleIds[t]) {
            throw new IllegalArgumentException(
                "label "
                    + labels[t]
                    + " at position "
                    + t
                    + " differs from its id "
                    + exampleIds[t]);
          }
          supervised.set(tokens + t);
        }
      }
      tokens += exampleIds.length;
      if (size == ends.length) {
        ends = Arrays.copyOf(ends, size * 2);
        recordIndexes = Arrays.copyOf(recordIndexes, size * 2);
      }
      ends[size] = tokens;
      recordIndexes[size++] = recordIndex;
    }

    TokenPage build() {
      return new TokenPage(
          Arrays.copyOf(ids, tokens),
          supervised,
          Arrays.copyOf(ends, size),
          Arrays.copyOf(recordIndexes, size));
    }
  }
}
