package org.alpaca4j.weights;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.nio.ShortBuffer;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.FloatCodec;

/** The inner loops: fp32 differences and sums, and residuals of bit patterns. Stateless. */
final class DiffArithmetic {
  private static final int MAGNITUDE = 0x7fffffff;
  private static final int INFINITY = 0x7f800000;

  private DiffArithmetic() {}

  /** {@code result = left - right}. */
  static void subtract(float[] left, float[] right, float[] result, int count) {
    for (int i = 0; i < count; i++) {
      result[i] = left[i] - right[i];
    }
  }

  /** {@code result = left + right}. */
  static void add(float[] left, float[] right, float[] result, int count) {
    for (int i = 0; i < count; i++) {
      result[i] = left[i] + right[i];
    }
  }

  /**
   * Makes results fit to be stored: NaN gets one bit pattern, since that of an operation's NaN is
   * up to the processor. Returns the index of the first value that would become infinite though
   * both operands are finite, or -1.
   */
  static int settle(float[] result, float[] left, float[] right, int count, DType type) {
    int limit = Float.floatToRawIntBits(FloatCodec.overflowFrom(type));
    int largest = 0;
    for (int i = 0; i < count; i++) {
      largest = Math.max(largest, Float.floatToRawIntBits(result[i]) & MAGNITUDE);
    }
    if (largest < limit) {
      return -1;
    }
    for (int i = 0; i < count; i++) {
      if (Float.isNaN(result[i])) {
        result[i] = Float.NaN;
      } else if ((Float.floatToRawIntBits(result[i]) & MAGNITUDE) >= limit
          && Float.isFinite(left[i])
          && Float.isFinite(right[i])) {
        return i;
      }
    }
    return -1;
  }

  /**
   * Returns the largest absolute difference; equal infinities and NaN beside NaN count as 0, NaN
   * beside a number as infinite.
   */
  static double deviation(float[] left, float[] right, int count) {
    int largest = 0;
    for (int i = 0; i < count; i++) {
      largest = Math.max(largest, Float.floatToRawIntBits(left[i] - right[i]) & MAGNITUDE);
    }
    if (largest < INFINITY) {
      return Float.intBitsToFloat(largest);
    }
    double deviation = 0;
    for (int i = 0; i < count; i++) {
      boolean same = left[i] == right[i] || Float.isNaN(left[i]) && Float.isNaN(right[i]);
      double distance = same ? 0 : Math.abs((double) left[i] - right[i]);
      deviation = Math.max(deviation, Double.isNaN(distance) ? Double.POSITIVE_INFINITY : distance);
    }
    return deviation;
  }

  /** Returns the sum in fp64. Four partial sums keep the processor busy; their order is fixed. */
  static double sum(float[] values, int count) {
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    int i = 0;
    for (; i + 3 < count; i += 4) {
      a += values[i];
      b += values[i + 1];
      c += values[i + 2];
      d += values[i + 3];
    }
    for (; i < count; i++) {
      a += values[i];
    }
    return a + b + c + d;
  }

  /**
   * Subtracts bit patterns, as integers modulo 2^16 or 2^32: {@code result = left - right}. All
   * three are filled from their begin; their positions and limits are not used.
   */
  static void subtractBits(
      ByteBuffer left, ByteBuffer right, ByteBuffer result, int count, int width) {
    if (width == Short.BYTES) {
      ShortBuffer l = whole(left).asShortBuffer();
      ShortBuffer r = whole(right).asShortBuffer();
      ShortBuffer out = whole(result).asShortBuffer();
      for (int i = 0; i < count; i++) {
        out.put(i, (short) (l.get(i) - r.get(i)));
      }
    } else {
      IntBuffer l = whole(left).asIntBuffer();
      IntBuffer r = whole(right).asIntBuffer();
      IntBuffer out = whole(result).asIntBuffer();
      for (int i = 0; i < count; i++) {
        out.put(i, l.get(i) - r.get(i));
      }
    }
  }

  /** Adds bit patterns, the inverse of {@link #subtractBits}: {@code result = left + right}. */
  static void addBits(ByteBuffer left, ByteBuffer right, ByteBuffer result, int count, int width) {
    if (width == Short.BYTES) {
      ShortBuffer l = whole(left).asShortBuffer();
      ShortBuffer r = whole(right).asShortBuffer();
      ShortBuffer out = whole(result).asShortBuffer();
      for (int i = 0; i < count; i++) {
        out.put(i, (short) (l.get(i) + r.get(i)));
      }
    } else {
      IntBuffer l = whole(left).asIntBuffer();
      IntBuffer r = whole(right).asIntBuffer();
      IntBuffer out = whole(result).asIntBuffer();
      for (int i = 0; i < count; i++) {
        out.put(i, l.get(i) + r.get(i));
      }
    }
  }

  private static ByteBuffer whole(ByteBuffer buffer) {
    return buffer.duplicate().clear().order(ByteOrder.LITTLE_ENDIAN);
  }
}
