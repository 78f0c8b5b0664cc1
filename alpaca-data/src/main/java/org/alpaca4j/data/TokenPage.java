package org.alpaca4j.data;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.BitSet;

/**
 * Some hundred examples as packed ints, in the heap or in a mapped file: a million examples as
 * objects of their own would cost more memory than their tokens.
 *
 * <p>All numbers are little-endian ints: how many examples, tokens and spans there are and how many
 * bytes an id takes (2 or 4); per example where its tokens end, the index of its record, and where
 * its spans end; per span of supervised tokens its start and end within the example; then the ids,
 * end to end.
 */
final class TokenPage {

  private static final int HEADER_BYTES = 16;

  private final ByteBuffer bytes;
  private final int size;
  private final int idBytes;
  private final int spansAt;
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
    this.idBytes = bytes.getInt(12);
    if (size < 0
        || tokens < 0
        || spans < 0
        || (idBytes != 2 && idBytes != 4)
        || HEADER_BYTES + 12L * size + 8 * spans + tokens * idBytes != bytes.limit()) {
      throw new IllegalArgumentException("the lengths in a page do not add up");
    }
    this.spansAt = HEADER_BYTES + 12 * size;
    this.idsAt = (int) (spansAt + 8 * spans);
  }

  /** The page as it can be stored. */
  ByteBuffer bytes() {
    return bytes.duplicate().clear();
  }

  int size() {
    return size;
  }

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

  SupervisedExample example(int i) {
    int start = start(i);
    int[] ids = new int[end(i) - start];
    for (int t = 0; t < ids.length; t++) {
      int at = idsAt + (start + t) * idBytes;
      ids[t] = idBytes == 2 ? bytes.getShort(at) & 0xFFFF : bytes.getInt(at);
    }
    int[] labels = new int[ids.length];
    Arrays.fill(labels, SupervisedExample.IGNORE_INDEX);
    for (int span = firstSpan(i); span < spanEnd(i); span++) {
      int from = bytes.getInt(spansAt + 8 * span);
      System.arraycopy(ids, from, labels, from, bytes.getInt(spansAt + 8 * span + 4) - from);
    }
    return new SupervisedExample(ids, labels);
  }

  int supervisedTokens(int i) {
    int count = 0;
    for (int span = firstSpan(i); span < spanEnd(i); span++) {
      // Nothing predicts the first token.
      int from = Math.max(1, bytes.getInt(spansAt + 8 * span));
      count += Math.max(0, bytes.getInt(spansAt + 8 * span + 4) - from);
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
      int[] spanEnds = new int[size];
      int[] spans = spans(spanEnds);
      int idBytes = Arrays.stream(ids, 0, tokens).allMatch(id -> id >>> 16 == 0) ? 2 : 4;
      ByteBuffer page =
          ByteBuffer.allocate(
                  Math.toIntExact(
                      HEADER_BYTES + 12L * size + 4L * spans.length + (long) tokens * idBytes))
              .order(ByteOrder.LITTLE_ENDIAN)
              .putInt(size)
              .putInt(tokens)
              .putInt(spans.length / 2)
              .putInt(idBytes);
      put(page, ends, size);
      put(page, recordIndexes, size);
      put(page, spanEnds, size);
      put(page, spans, spans.length);
      for (int t = 0; t < tokens; t++) {
        if (idBytes == 2) {
          page.putShort((short) ids[t]);
        } else {
          page.putInt(ids[t]);
        }
      }
      return new TokenPage(page.flip());
    }

    /** Starts and ends of runs of supervised tokens, example by example. */
    private int[] spans(int[] spanEnds) {
      int[] spans = new int[2 * size + 16];
      int count = 0;
      for (int i = 0; i < size; i++) {
        int start = i == 0 ? 0 : ends[i - 1];
        int from = supervised.nextSetBit(start);
        while (from >= 0 && from < ends[i]) {
          int to = Math.min(supervised.nextClearBit(from), ends[i]);
          if (2 * count + 2 > spans.length) {
            spans = Arrays.copyOf(spans, 2 * spans.length);
          }
          spans[2 * count] = from - start;
          spans[2 * count + 1] = to - start;
          count++;
          from = supervised.nextSetBit(to);
        }
        spanEnds[i] = count;
      }
      return Arrays.copyOf(spans, 2 * count);
    }

    private static void put(ByteBuffer page, int[] values, int count) {
      for (int i = 0; i < count; i++) {
        page.putInt(values[i]);
      }
    }
  }
}
