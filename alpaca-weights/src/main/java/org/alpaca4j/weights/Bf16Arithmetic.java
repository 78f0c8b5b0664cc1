package org.alpaca4j.weights;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * Differences and sums of BF16 weights in fp32 arithmetic, rounded to BF16: the same bits as the
 * general way through {@link org.alpaca4j.core.internal.FloatCodec} and {@link DiffArithmetic}, but
 * several times quicker.
 *
 * <p>Java's compiler makes vector instructions of loops over ints and of loops over floats, but not
 * of loops over shorts that widen, nor of a change between an int and a float of the same bits. So
 * a word of two weights is split into a lower and an upper lane by int operations, and the lanes
 * become floats, and floats lanes, by copying memory. A block's floats are those of all lower lanes
 * and then those of all upper ones, which element by element arithmetic does not mind.
 *
 * <p>Takes finite values only, and says so if it met others. For one thread.
 */
final class Bf16Arithmetic {
  private static final int UPPER = 0xffff0000;
  private static final int EXPONENTS = 0x7f807f80; // of the two weights of a word
  private static final int EXPONENT_UNITS = 0x00800080;
  private static final int SIGNS = 0x80008000;

  /** Words worked on at a time: their lanes stay in the processor's first cache. */
  private static final int BLOCK = 512;

  private final int[] words = new int[BLOCK];
  private final int[] lower = new int[BLOCK];
  private final int[] upper = new int[BLOCK];
  private final IntBuffer laneBits;
  private final FloatBuffer laneValues;
  private final float[] left = new float[2 * BLOCK];
  private final float[] right = new float[2 * BLOCK];
  private final float[] result = new float[2 * BLOCK];
  private final float[] deviations = new float[2 * BLOCK];

  Bf16Arithmetic() {
    ByteBuffer lanes = ByteBuffer.allocate(2 * BLOCK * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    laneBits = lanes.asIntBuffer();
    laneValues = lanes.asFloatBuffer();
  }

  /**
   * Computes {@code difference = tuned - raw} and {@code recovered = raw + difference}, each
   * rounded. The buffers are used from their begin; positions and limits are not.
   *
   * @return false if the count is odd or a result is not finite; the results are then of no use
   */
  boolean make(
      ByteBuffer tuned, ByteBuffer raw, ByteBuffer difference, ByteBuffer recovered, int count) {
    if (count % 2 != 0) {
      return false;
    }
    for (int word = 0; word < count / 2; word += BLOCK) {
      int length = Math.min(BLOCK, count / 2 - word);
      decode(tuned, word, length, left);
      decode(raw, word, length, right);
      DiffArithmetic.subtract(left, right, result, 2 * length);
      if (!encode(result, length, difference, word)) {
        return false;
      }
      laneValues(result, length);
      DiffArithmetic.add(right, result, result, 2 * length);
      if (!encode(result, length, recovered, word)) {
        return false;
      }
      laneValues(result, length);
      widenDeviations(result, left, 2 * length);
    }
    return true;
  }

  /**
   * Computes {@code sum = raw + difference}, rounded. The buffers are used from their begin;
   * positions and limits are not.
   *
   * @return false if the count is odd or a result is not finite; the results are then of no use
   */
  boolean add(ByteBuffer raw, ByteBuffer difference, ByteBuffer sum, int count) {
    if (count % 2 != 0) {
      return false;
    }
    for (int word = 0; word < count / 2; word += BLOCK) {
      int length = Math.min(BLOCK, count / 2 - word);
      decode(raw, word, length, left);
      decode(difference, word, length, right);
      DiffArithmetic.add(left, right, result, 2 * length);
      if (!encode(result, length, sum, word)) {
        return false;
      }
    }
    return true;
  }

  /** Returns the largest absolute difference of a recovered weight from the tuned one so far. */
  float deviation() {
    float largest = 0;
    for (float deviation : deviations) {
      largest = Math.max(largest, deviation);
    }
    return largest;
  }

  private void widenDeviations(float[] recovered, float[] tuned, int count) {
    for (int i = 0; i < count; i++) {
      deviations[i] = Math.max(deviations[i], Math.abs(recovered[i] - tuned[i]));
    }
  }

  private void decode(ByteBuffer from, int word, int length, float[] to) {
    wordsOf(from).get(word, words, 0, length);
    for (int i = 0; i < length; i++) {
      lower[i] = words[i] << 16;
      upper[i] = words[i] & UPPER;
    }
    laneValues(to, length);
  }

  /** Copies the values of the lanes: of what was decoded or, rounded, encoded last. */
  private void laneValues(float[] to, int length) {
    laneBits.put(0, lower, 0, length).put(length, upper, 0, length);
    laneValues.get(0, to, 0, 2 * length);
  }

  private static IntBuffer wordsOf(ByteBuffer bytes) {
    return bytes.duplicate().clear().order(ByteOrder.LITTLE_ENDIAN).asIntBuffer();
  }

  /** Rounds values, which the lanes then hold, and stores them; returns whether all are finite. */
  private boolean encode(float[] values, int length, ByteBuffer to, int word) {
    laneValues.put(0, values, 0, 2 * length);
    laneBits.get(0, lower, 0, length).get(length, upper, 0, length);
    join(length);
    wordsOf(to).put(word, words, 0, length);
    return areFinite(length);
  }

  /** Rounds to nearest, ties to even. */
  private void join(int length) {
    for (int i = 0; i < length; i++) {
      lower[i] = lower[i] + 0x7fff + (lower[i] >>> 16 & 1) & UPPER;
      upper[i] = upper[i] + 0x7fff + (upper[i] >>> 16 & 1) & UPPER;
      words[i] = lower[i] >>> 16 | upper[i];
    }
  }

  /**
   * Returns whether no weight's exponent is that of infinity and NaN. Rounding leaves it to NaN:
   * one that arithmetic on BF16 values gives has no bits that would carry over.
   */
  private boolean areFinite(int length) {
    int carries = 0;
    for (int i = 0; i < length; i++) {
      carries |= (words[i] & EXPONENTS) + EXPONENT_UNITS;
    }
    return (carries & SIGNS) == 0;
  }
}
