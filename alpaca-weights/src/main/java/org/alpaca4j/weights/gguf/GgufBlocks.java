package org.alpaca4j.weights.gguf;

import org.alpaca4j.core.internal.FloatCodec;

/**
 * ggml's blocks of 32 weights, as in {@code ggml-common.h} and {@code ggml-quants.c} ({@code
 * dequantize_row_*}), little-endian, scales {@code d} and minima {@code m} in half precision:
 *
 * <pre>
 * Q4_0  d, 16 bytes: weight i in the low, i + 16 in the high half of byte i  (q - 8) * d
 * Q4_1  d, m, 16 bytes likewise                                              q * d + m
 * Q5_0  d, u32 with the fifth bit of weight i at bit i, 16 bytes             (q - 16) * d
 * Q5_1  d, m, u32 and 16 bytes likewise                                      q * d + m
 * Q8_0  d, 32 signed bytes                                                   q * d
 * </pre>
 *
 * All arithmetic is in single precision, so that results are those of ggml bit for bit.
 */
final class GgufBlocks {
  private static final int SIZE = 32;
  private static final int HALF = SIZE / 2;

  private GgufBlocks() {}

  /** Decodes one block at {@code from} to 32 floats at {@code to}. */
  static void decode(GgufType type, byte[] source, int from, float[] target, int to) {
    float d = half(source, from);
    switch (type) {
      case Q4_0 -> fourBits(source, from + 2, 0, target, to, d, -8, 0);
      case Q4_1 -> fourBits(source, from + 4, 0, target, to, d, 0, half(source, from + 2));
      case Q5_0 -> fiveBits(source, from + 2, target, to, d, -16, 0);
      case Q5_1 -> fiveBits(source, from + 4, target, to, d, 0, half(source, from + 2));
      case Q8_0 -> {
        for (int i = 0; i < SIZE; i++) {
          target[to + i] = source[from + 2 + i] * d;
        }
      }
      default -> throw new IllegalArgumentException(type + " has no blocks of " + SIZE);
    }
  }

  private static void fiveBits(
      byte[] source, int from, float[] target, int to, float d, int shift, float m) {
    fourBits(source, from + 4, int32(source, from), target, to, d, shift, m);
  }

  /** Bit i of {@code fifthBits} belongs to weight i. */
  private static void fourBits(
      byte[] source, int from, int fifthBits, float[] target, int to, float d, int shift, float m) {
    boolean withMinimum = shift == 0;
    for (int i = 0; i < HALF; i++) {
      int low = source[from + i] & 0xf | (fifthBits >>> i & 1) << 4;
      int high = source[from + i] >>> 4 & 0xf | (fifthBits >>> (i + HALF) & 1) << 4;
      float first = (low + shift) * d;
      float second = (high + shift) * d;
      // Adding a zero minimum would turn -0 into 0.
      target[to + i] = withMinimum ? first + m : first;
      target[to + i + HALF] = withMinimum ? second + m : second;
    }
  }

  /**
   * Encodes 32 floats as a Q8_0 block, as {@code quantize_row_q8_0_ref} does: the scale is the
   * largest magnitude / 127, weights are rounded to the nearest multiple, halves away from zero.
   */
  static void encodeQ8(float[] source, int from, byte[] target, int to) {
    float largest = 0;
    for (int i = 0; i < SIZE; i++) {
      largest = Math.max(largest, Math.abs(source[from + i]));
    }
    float d = largest / 127f;
    float inverse = d == 0 ? 0 : 1f / d;
    putHalf(d, target, to);
    for (int i = 0; i < SIZE; i++) {
      float scaled = source[from + i] * inverse;
      // Math.round takes halves up; roundf takes them away from zero. |scaled| is at most 127.
      int magnitude = (int) Math.floor(Math.abs(scaled) + 0.5);
      target[to + 2 + i] = (byte) (scaled < 0 ? -magnitude : magnitude);
    }
  }

  /**
   * Encodes 32 floats as a Q5_0 block, as {@code quantize_row_q5_0_ref} does: the weight of largest
   * magnitude becomes -16 steps.
   */
  static void encodeQ50(float[] source, int from, byte[] target, int to) {
    float largest = 0; // by magnitude, with its sign
    for (int i = 0; i < SIZE; i++) {
      float x = source[from + i];
      largest = Math.abs(x) > Math.abs(largest) ? x : largest;
    }
    float d = largest / -16;
    putHalf(d, target, to);
    encodeFiveBits(source, from, 0, d == 0 ? 0 : 1 / d, 16.5f, target, to + 2);
  }

  /**
   * Encodes 32 floats as a Q5_1 block, as {@code quantize_row_q5_1_ref} does: 31 equal steps from
   * the least weight to the largest.
   */
  static void encodeQ51(float[] source, int from, byte[] target, int to) {
    float least = source[from];
    float largest = source[from];
    for (int i = 1; i < SIZE; i++) {
      least = Math.min(least, source[from + i]);
      largest = Math.max(largest, source[from + i]);
    }
    float d = (largest - least) / 31;
    putHalf(d, target, to);
    putHalf(least, target, to + 2);
    encodeFiveBits(source, from, least, d == 0 ? 0 : 1 / d, 0.5f, target, to + 4);
  }

  private static void encodeFiveBits(
      float[] source, int from, float least, float perStep, float shift, byte[] target, int to) {
    int fifthBits = 0;
    for (int i = 0; i < HALF; i++) {
      int low = Math.min(31, (int) ((source[from + i] - least) * perStep + shift));
      int high = Math.min(31, (int) ((source[from + i + HALF] - least) * perStep + shift));
      target[to + 4 + i] = (byte) (low & 0xf | (high & 0xf) << 4);
      fifthBits |= low >>> 4 << i | high >>> 4 << (i + HALF);
    }
    for (int i = 0; i < 4; i++) {
      target[to + i] = (byte) (fifthBits >>> 8 * i);
    }
  }

  private static void putHalf(float value, byte[] target, int at) {
    short half = FloatCodec.floatToF16(value);
    target[at] = (byte) half;
    target[at + 1] = (byte) (half >>> 8);
  }

  static float half(byte[] source, int at) {
    return FloatCodec.f16ToFloat((short) (source[at] & 0xff | source[at + 1] << 8));
  }

  private static int int32(byte[] source, int at) {
    return source[at] & 0xff
        | (source[at + 1] & 0xff) << 8
        | (source[at + 2] & 0xff) << 16
        | source[at + 3] << 24;
  }
}
