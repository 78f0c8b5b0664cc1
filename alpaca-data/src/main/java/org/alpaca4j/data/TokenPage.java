package org.alpaca4j.data;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Some hundred examples as packed ints, in the heap or in a mapped file: a million examples as
 * objects of their own would cost more memory than their tokens.
 *
 * <p>All numbers are little-endian ints: how many examples, stored tokens, spans and further
 * sequences there are and, as two shorts, how many bytes an id takes (2 or 4) and the weight of a
 * span (0 if all are 1, or 4); per example where its tokens end, the index of its record, and where
 * its spans end; per span of supervised tokens of one weight its start and end within the example;
 * per further sequence of an example where its own tokens begin, and how many tokens of the
 * sequence before it come first; the weights of the spans, as floats; then the ids, end to end.
 */
final class TokenPage {

  private static final int HEADER_BYTES = 20;

  private final ByteBuffer bytes;
  private final int size;
  private final int further;
  private final int idBytes;
  private final int spansAt;
  private final int furtherAt;
  private final int weightsAt;
  private final int idsAt;

  /**
   * Takes a page as {@link #bytes} gave it.
   *
   * @throws IllegalArgumentException if the lengths in it do not add up
   */
  TokenPage(ByteBuffer page) {
    this.bytes = page.slice().order(ByteOrder.LITTLE_ENDIAN);
    if (bytes.limit() < HEADER_BYTES) {
      throw new IllegalArgumentException("a page of " + bytes.limit() + " bytes");
    }
    this.size = bytes.getInt(0);
    long tokens = bytes.getInt(4);
    long spans = bytes.getInt(8);
    this.further = bytes.getInt(12);
    this.idBytes = bytes.getShort(16);
    int weightBytes = bytes.getShort(18);
    if (size < 0
        || tokens < 0
        || spans < 0
        || further < 0
        || (idBytes != 2 && idBytes != 4)
        || (weightBytes != 0 && weightBytes != 4)
        || HEADER_BYTES
                + 12L * size
                + 8 * (spans + further)
                + weightBytes * spans
                + tokens * idBytes
            != bytes.limit()) {
      throw new IllegalArgumentException("the lengths in a page do not add up");
    }
    this.spansAt = HEADER_BYTES + 12 * size;
    this.furtherAt = (int) (spansAt + 8 * spans);
    this.weightsAt = furtherAt + 8 * further;
    this.idsAt = (int) (weightsAt + weightBytes * spans);
  }

  /** The page as it can be stored. */
  ByteBuffer bytes() {
    return bytes.duplicate().clear();
  }

  int size() {
    return size;
  }

  /** Stored tokens: what a sequence has in common with the one before it is stored once. */
  int length(int i) {
    return end(i) - start(i);
  }

  int recordIndex(int i) {
    return bytes.getInt(HEADER_BYTES + 4 * (size + i));
  }

  private int end(int i) {
    return bytes.getInt(HEADER_BYTES + 4 * i);
  }

  private int start(int i) {
    return i == 0 ? 0 : end(i - 1);
  }

  private int spanEnd(int i) {
    return bytes.getInt(HEADER_BYTES + 4 * (2 * size + i));
  }

  private int firstSpan(int i) {
    return i == 0 ? 0 : spanEnd(i - 1);
  }

  /** Where the own tokens of a further sequence begin among the stored ones. */
  private int ownStart(int sequence) {
    return bytes.getInt(furtherAt + 8 * sequence);
  }

  /** How many tokens of the sequence before it a further sequence begins with. */
  private int shared(int sequence) {
    return bytes.getInt(furtherAt + 8 * sequence + 4);
  }

  /** The first further sequence whose own tokens begin at a stored token or later. */
  private int furtherFrom(int token) {
    int low = 0;
    int high = further;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (ownStart(middle) < token) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  int sequences(int i) {
    return further == 0 ? 1 : 1 + furtherFrom(end(i)) - furtherFrom(start(i));
  }

  /** Where the sequences of an example begin, one after the other, and how long all are. */
  private int[] starts(int i) {
    int count = sequences(i);
    int first = count == 1 ? 0 : furtherFrom(start(i));
    int[] starts = new int[count + 1];
    for (int k = 0; k < count; k++) {
      int own = k == 0 ? start(i) : ownStart(first + k - 1);
      int end = k + 1 < count ? ownStart(first + k) : end(i);
      int before = k == 0 ? 0 : shared(first + k - 1);
      starts[k + 1] = starts[k] + before + end - own;
    }
    return starts;
  }

  int longestSequence(int i) {
    int[] starts = starts(i);
    int longest = 0;
    for (int k = 1; k < starts.length; k++) {
      longest = Math.max(longest, starts[k] - starts[k - 1]);
    }
    return longest;
  }

  SupervisedExample example(int i) {
    int[] starts = starts(i);
    int count = starts.length - 1;
    int first = count == 1 ? 0 : furtherFrom(start(i));
    int[] ids = new int[starts[count]];
    int stored = start(i);
    for (int k = 0; k < count; k++) {
      int before = k == 0 ? 0 : shared(first + k - 1);
      System.arraycopy(ids, k == 0 ? 0 : starts[k - 1], ids, starts[k], before);
      for (int t = starts[k] + before; t < starts[k + 1]; t++) {
        int at = idsAt + stored++ * idBytes;
        ids[t] = idBytes == 2 ? bytes.getShort(at) & 0xFFFF : bytes.getInt(at);
      }
    }
    int[] labels = new int[ids.length];
    Arrays.fill(labels, SupervisedExample.IGNORE_INDEX);
    float[] weights = new float[weightsAt < idsAt ? ids.length : 0];
    for (int span = firstSpan(i); span < spanEnd(i); span++) {
      int from = bytes.getInt(spansAt + 8 * span);
      int to = bytes.getInt(spansAt + 8 * span + 4);
      System.arraycopy(ids, from, labels, from, to - from);
      if (weights.length > 0) {
        Arrays.fill(weights, from, to, bytes.getFloat(weightsAt + 4 * span));
      }
    }
    return new SupervisedExample(ids, labels, Arrays.copyOf(starts, count), weights);
  }

  int supervisedTokens(int i) {
    int[] starts = starts(i);
    int count = 0;
    for (int span = firstSpan(i); span < spanEnd(i); span++) {
      int from = bytes.getInt(spansAt + 8 * span);
      int to = bytes.getInt(spansAt + 8 * span + 4);
      count += to - from;
      for (int k = 0; k < starts.length - 1; k++) {
        if (from <= starts[k] && starts[k] < to) {
          count--; // nothing predicts the first token
        }
      }
    }
    return count;
  }

  /** Collects examples; not thread-safe. */
  static final class Builder {
    private int[] ids = new int[1 << 14];
    private int[] ends = new int[64];
    private int[] recordIndexes = new int[64];
    private int[] spanEnds = new int[64];
    private int[] spans = new int[128];
    private float[] weights = new float[64];
    private int[] further = new int[0];
    private int tokens;
    private int size;
    private int spanCount;
    private int furtherCount;
    private boolean weighted;

    void add(int recordIndex, SupervisedExample example) {
      int[] starts = example.starts();
      for (int k = 0; k < starts.length; k++) {
        int end = k + 1 < starts.length ? starts[k + 1] : example.length();
        int shared = k == 0 ? 0 : shared(example.ids(), starts[k - 1], starts[k], end);
        if (k > 0) {
          further = put(further, furtherCount++, tokens, shared);
        }
        append(example.ids(), starts[k] + shared, end);
      }
      addSpans(example);
      if (size == ends.length) {
        ends = Arrays.copyOf(ends, size * 2);
        recordIndexes = Arrays.copyOf(recordIndexes, size * 2);
        spanEnds = Arrays.copyOf(spanEnds, size * 2);
      }
      ends[size] = tokens;
      spanEnds[size] = spanCount;
      recordIndexes[size++] = recordIndex;
    }

    /** Tokens that a sequence and the one before it begin with; its last one is its own. */
    private static int shared(int[] ids, int before, int start, int end) {
      int different = Arrays.mismatch(ids, before, start, ids, start, end - 1);
      return different < 0 ? end - 1 - start : different;
    }

    private void append(int[] from, int start, int end) {
      int count = end - start;
      if (tokens + count > ids.length) {
        ids = Arrays.copyOf(ids, Math.max(ids.length * 2, tokens + count));
      }
      System.arraycopy(from, start, ids, tokens, count);
      tokens += count;
    }

    /** Adds the runs of supervised tokens of one weight. */
    private void addSpans(SupervisedExample example) {
      int[] labels = example.labels();
      float[] given = example.weights();
      weighted |= given.length > 0;
      int from = -1;
      for (int t = 0; t <= labels.length; t++) {
        boolean supervised = t < labels.length && labels[t] != SupervisedExample.IGNORE_INDEX;
        if (supervised && labels[t] != example.ids()[t]) {
          throw new IllegalArgumentException(
              "label "
                  + labels[t]
                  + " at position "
                  + t
                  + " differs from its id "
                  + example.ids()[t]);
        }
        if (from >= 0 && (!supervised || (given.length > 0 && given[t] != given[from]))) {
          addSpan(from, t, given.length > 0 ? given[from] : 1);
          from = -1;
        }
        if (supervised && from < 0) {
          from = t;
        }
      }
    }

    private void addSpan(int from, int to, float weight) {
      if (spanCount == weights.length) {
        weights = Arrays.copyOf(weights, spanCount * 2);
      }
      weights[spanCount] = weight;
      spans = put(spans, spanCount++, from, to);
    }

    /** Sets the pair at an index, in an array that grows if need be. */
    private static int[] put(int[] pairs, int index, int first, int second) {
      int[] grown =
          2 * index + 2 <= pairs.length ? pairs : Arrays.copyOf(pairs, Math.max(16, 4 * index));
      grown[2 * index] = first;
      grown[2 * index + 1] = second;
      return grown;
    }

    TokenPage build() {
      int idBytes = Arrays.stream(ids, 0, tokens).allMatch(id -> id >>> 16 == 0) ? 2 : 4;
      int weightBytes = weighted ? 4 : 0;
      ByteBuffer page =
          ByteBuffer.allocate(
                  Math.toIntExact(
                      HEADER_BYTES
                          + 12L * size
                          + 8L * (spanCount + furtherCount)
                          + (long) weightBytes * spanCount
                          + (long) tokens * idBytes))
              .order(ByteOrder.LITTLE_ENDIAN)
              .putInt(size)
              .putInt(tokens)
              .putInt(spanCount)
              .putInt(furtherCount)
              .putShort((short) idBytes)
              .putShort((short) weightBytes);
      put(page, ends, size);
      put(page, recordIndexes, size);
      put(page, spanEnds, size);
      put(page, spans, 2 * spanCount);
      put(page, further, 2 * furtherCount);
      for (int span = 0; weighted && span < spanCount; span++) {
        page.putFloat(weights[span]);
      }
      for (int t = 0; t < tokens; t++) {
        if (idBytes == 2) {
          page.putShort((short) ids[t]);
        } else {
          page.putInt(ids[t]);
        }
      }
      return new TokenPage(page.flip());
    }

    private static void put(ByteBuffer page, int[] values, int count) {
      for (int i = 0; i < count; i++) {
        page.putInt(values[i]);
      }
    }
  }
}
