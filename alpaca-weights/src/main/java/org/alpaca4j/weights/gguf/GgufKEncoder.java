package org.alpaca4j.weights.gguf;

import java.util.Arrays;
import org.alpaca4j.core.internal.FloatCodec;

/**
 * Encodes {@link GgufKBlocks blocks of 256 weights} as llama.cpp does without an importance matrix
 * ({@code quantize_row_q4_K_ref} and its siblings in {@code ggml-quants.c}): the same search for
 * scales and minima, in single precision and in the same order, so that blocks differ from
 * llama.cpp's only where its compiler fused a multiplication with an addition.
 *
 * <p>Not thread-safe: it keeps its work space from block to block.
 */
final class GgufKEncoder {
  private static final int BLOCK = 256;
  private static final int GROUP = 32; // weights with one scale and minimum in Q4_K and Q5_K
  private static final int GROUPS = BLOCK / GROUP;
  private static final int SIX_BIT_GROUP = 16; // weights with one scale in Q6_K
  private static final int SIX_BIT_GROUPS = BLOCK / SIX_BIT_GROUP;
  private static final int HALF_RANGE = 32; // Q6_K has -32 to 31
  private static final float TINY = 1e-15f; // groups below this are zero
  private static final float ROUNDER = 12_582_912f; // 1.5 * 2^23: a sum with it has no fraction

  private final int[] quants = new int[BLOCK];
  private final int[] trial = new int[GROUP];
  private final float[] importance = new float[GROUP];
  private final float[] scales = new float[SIX_BIT_GROUPS];
  private final float[] minima = new float[GROUPS];
  private float minimum; // of the group that fitGroup saw last

  /** Encodes 256 floats at {@code from} as one block at {@code to}. */
  void encode(GgufType type, float[] source, int from, byte[] target, int to) {
    switch (type) {
      case Q4_K -> {
        encodeGroups(source, from, target, to, 15, -1f, 20);
        packFourBits(target, to + 16);
      }
      case Q5_K -> {
        encodeGroups(source, from, target, to, 31, -0.5f, 15);
        packFifthBits(target, to + 16);
        packFourBits(target, to + 48);
      }
      case Q6_K -> encodeSixBits(source, from, target, to);
      default -> throw new IllegalArgumentException(type + " has no blocks of " + BLOCK);
    }
  }

  /**
   * Writes scales and minima of Q4_K or Q5_K, and leaves the quants in {@link #quants}.
   *
   * @param most the largest quant
   * @param firstShift how much more than {@code most} the first trial divides a group's range into
   * @param trials how often 0.1 is added to that
   */
  private void encodeGroups(
      float[] source, int from, byte[] target, int to, int most, float firstShift, int trials) {
    float largestScale = 0;
    float largestMinimum = 0;
    for (int group = 0; group < GROUPS; group++) {
      int at = from + group * GROUP;
      weighGroup(source, at);
      scales[group] = fitGroup(source, at, group * GROUP, most, firstShift, trials);
      minima[group] = minimum;
      largestScale = Math.max(largestScale, scales[group]);
      largestMinimum = Math.max(largestMinimum, minimum);
    }
    float perScale = largestScale > 0 ? 63f / largestScale : 0;
    float perMinimum = largestMinimum > 0 ? 63f / largestMinimum : 0;
    float d = putHalf(largestScale / 63f, target, to);
    float dmin = putHalf(largestMinimum / 63f, target, to + 2);
    Arrays.fill(target, to + 4, to + 16, (byte) 0);
    for (int group = 0; group < GROUPS; group++) {
      int scale = Math.min(63, nearest(perScale * scales[group]));
      int least = Math.min(63, nearest(perMinimum * minima[group]));
      packScales(target, to + 4, group, scale, least);
      float step = d * scale;
      if (step != 0) {
        float offset = dmin * least;
        for (int i = group * GROUP; i < (group + 1) * GROUP; i++) {
          quants[i] = clamp(nearest((source[from + i] + offset) / step), 0, most);
        }
      }
    }
  }

  /** Large weights count more: |x| plus the root mean square of the group. */
  private void weighGroup(float[] source, int from) {
    float squares = 0;
    for (int i = 0; i < GROUP; i++) {
      squares += source[from + i] * source[from + i];
    }
    float mean = (float) Math.sqrt(squares / GROUP);
    for (int i = 0; i < GROUP; i++) {
      importance[i] = mean + Math.abs(source[from + i]);
    }
  }

  /**
   * Finds scale and minimum of a group, {@code make_qkx2_quants} there: for several divisions of
   * the range, the least-squares line through the quants that it gives; the best one is kept.
   *
   * @return the scale; the minimum, negated and not negative, is in {@link #minimum}
   */
  private float fitGroup(
      float[] source, int from, int quant, int most, float firstShift, int trials) {
    float least = source[from];
    float largest = source[from];
    float sumWeights = importance[0];
    float sumX = sumWeights * source[from];
    for (int i = 1; i < GROUP; i++) {
      float x = source[from + i];
      least = Math.min(least, x);
      largest = Math.max(largest, x);
      sumWeights += importance[i];
      sumX += importance[i] * x;
    }
    least = Math.min(least, 0f);
    if (largest == least) {
      Arrays.fill(quants, quant, quant + GROUP, 0);
      minimum = -least;
      return 0;
    }
    float range = largest - least;
    float perStep = most / range;
    float scale = 1 / perStep;
    float bestMinimum = least;
    divide(source, from, perStep, least, most, quants, quant);
    float bestError = error(source, from, quants, quant, scale, least);
    for (int step = 0; step <= trials; step++) {
      // As in llama.cpp, a trial counts from the best minimum so far.
      float span = largest - bestMinimum;
      divide(source, from, (firstShift + 0.1f * step + most) / span, bestMinimum, most, trial, 0);
      float sumL = 0;
      float sumL2 = 0;
      float sumXl = 0;
      for (int i = 0; i < GROUP; i++) {
        float weighted = importance[i] * trial[i];
        sumL += weighted;
        sumL2 += weighted * trial[i];
        sumXl += weighted * source[from + i];
      }
      float determinant = sumWeights * sumL2 - sumL * sumL;
      if (determinant > 0) {
        float trialScale = (sumWeights * sumXl - sumX * sumL) / determinant;
        float trialMinimum = (sumL2 * sumX - sumL * sumXl) / determinant;
        if (trialMinimum > 0) {
          trialMinimum = 0;
          trialScale = sumXl / sumL2;
        }
        float trialError = error(source, from, trial, 0, trialScale, trialMinimum);
        if (trialError < bestError) {
          System.arraycopy(trial, 0, quants, quant, GROUP);
          bestError = trialError;
          scale = trialScale;
          bestMinimum = trialMinimum;
        }
      }
    }
    minimum = -bestMinimum;
    return scale;
  }

  private static void divide(
      float[] source, int from, float perStep, float least, int most, int[] into, int at) {
    for (int i = 0; i < GROUP; i++) {
      into[at + i] = clamp(nearest(perStep * (source[from + i] - least)), 0, most);
    }
  }

  private float error(float[] source, int from, int[] quantised, int at, float scale, float least) {
    float error = 0;
    for (int i = 0; i < GROUP; i++) {
      float difference = scale * quantised[at + i] + least - source[from + i];
      error += importance[i] * (difference * difference);
    }
    return error;
  }

  /** The inverse of {@code GgufKBlocks.scale} and {@code minimum}; the bytes were zero. */
  private static void packScales(byte[] target, int at, int group, int scale, int least) {
    if (group < GROUPS / 2) {
      target[at + group] = (byte) scale;
      target[at + group + 4] = (byte) least;
    } else {
      target[at + group + 4] = (byte) (scale & 0xf | (least & 0xf) << 4);
      target[at + group - 4] |= (byte) (scale >>> 4 << 6);
      target[at + group] |= (byte) (least >>> 4 << 6);
    }
  }

  private void packFourBits(byte[] target, int at) {
    for (int pair = 0; pair < GROUPS / 2; pair++) {
      for (int i = 0; i < GROUP; i++) {
        int low = quants[pair * 2 * GROUP + i] & 0xf;
        int high = quants[(pair * 2 + 1) * GROUP + i] & 0xf;
        target[at + pair * GROUP + i] = (byte) (low | high << 4);
      }
    }
  }

  private void packFifthBits(byte[] target, int at) {
    for (int i = 0; i < GROUP; i++) {
      int bits = 0;
      for (int group = 0; group < GROUPS; group++) {
        bits |= (quants[group * GROUP + i] >>> 4) << group;
      }
      target[at + i] = (byte) bits;
    }
  }

  private void encodeSixBits(float[] source, int from, byte[] target, int to) {
    float largest = 0; // by magnitude, with its sign
    for (int group = 0; group < SIX_BIT_GROUPS; group++) {
      int at = group * SIX_BIT_GROUP;
      scales[group] = fitSixBits(source, from + at, at);
      largest = Math.abs(scales[group]) > Math.abs(largest) ? scales[group] : largest;
    }
    if (Math.abs(largest) < TINY) {
      Arrays.fill(target, to, to + GgufType.Q6_K.blockBytes(), (byte) 0);
      return;
    }
    float perScale = -128f / largest;
    float d = putHalf(1 / perScale, target, to + 208);
    for (int group = 0; group < SIX_BIT_GROUPS; group++) {
      int scale = Math.min(127, nearest(perScale * scales[group]));
      target[to + 192 + group] = (byte) scale;
      float step = d * scale;
      if (step != 0) {
        for (int i = group * SIX_BIT_GROUP; i < (group + 1) * SIX_BIT_GROUP; i++) {
          quants[i] =
              HALF_RANGE + clamp(nearest(source[from + i] / step), -HALF_RANGE, HALF_RANGE - 1);
        }
      }
    }
    packSixBits(target, to);
  }

  /**
   * Finds the scale of a group, {@code make_qx_quants} there: of several divisions of the largest
   * magnitude the one with the least error, where a weight counts by its square.
   */
  private float fitSixBits(float[] source, int from, int quant) {
    float largest = 0;
    for (int i = 0; i < SIX_BIT_GROUP; i++) {
      float x = source[from + i];
      largest = Math.abs(x) > Math.abs(largest) ? x : largest;
    }
    if (Math.abs(largest) < TINY) {
      Arrays.fill(quants, quant, quant + SIX_BIT_GROUP, 0);
      return 0;
    }
    float scale = 0;
    float best = 0;
    for (int trialNumber = 0; trialNumber < 19; trialNumber++) {
      // 0 comes first, then -9 to 9 without it.
      int shift = trialNumber == 0 ? 0 : trialNumber <= 9 ? trialNumber - 10 : trialNumber - 9;
      float perStep = -(HALF_RANGE + 0.1f * shift) / largest;
      float sumLx = 0;
      float sumL2 = 0;
      for (int i = 0; i < SIX_BIT_GROUP; i++) {
        float x = source[from + i];
        int l = clamp(nearest(perStep * x), -HALF_RANGE, HALF_RANGE - 1);
        trial[i] = l + HALF_RANGE;
        float square = x * x;
        sumLx += square * x * l;
        sumL2 += square * l * l;
      }
      if (shift == 0 || (sumL2 > 0 && sumLx * sumLx > best * sumL2)) {
        System.arraycopy(trial, 0, quants, quant, SIX_BIT_GROUP);
        scale = sumL2 == 0 ? 0 : sumLx / sumL2;
        best = scale * sumLx;
      }
    }
    return scale;
  }

  private void packSixBits(byte[] target, int to) {
    for (int part = 0; part < 2; part++) { // 128 weights each
      int at = part * 128;
      for (int i = 0; i < 32; i++) {
        int first = quants[at + i];
        int second = quants[at + i + 32];
        int third = quants[at + i + 64];
        int fourth = quants[at + i + 96];
        target[to + part * 64 + i] = (byte) (first & 0xf | (third & 0xf) << 4);
        target[to + part * 64 + i + 32] = (byte) (second & 0xf | (fourth & 0xf) << 4);
        target[to + 128 + part * 32 + i] =
            (byte) (first >>> 4 | second >>> 4 << 2 | third >>> 4 << 4 | fourth >>> 4 << 6);
      }
    }
  }

  /** Writes a scale in half precision and returns what it became. */
  private static float putHalf(float value, byte[] target, int at) {
    short half = FloatCodec.floatToF16(value);
    target[at] = (byte) half;
    target[at + 1] = (byte) (half >>> 8);
    return FloatCodec.f16ToFloat(half);
  }

  /** The nearest integer, halves to even, of what is less than 2^22 in magnitude. */
  private static int nearest(float value) {
    return (Float.floatToRawIntBits(value + ROUNDER) & 0x7f_ffff) - 0x40_0000;
  }

  private static int clamp(int value, int least, int most) {
    return Math.max(least, Math.min(most, value));
  }
}
