package org.alpaca4j.weights.gguf;

/**
 * ggml's blocks of 256 weights ("k-quants"), as in {@code ggml-common.h} and {@code ggml-quants.c}
 * ({@code dequantize_row_*}), {@code d} and {@code dmin} in half precision:
 *
 * <pre>
 * Q4_K  d, dmin, 12 bytes with eight 6-bit scales s and minima m, 128 bytes: 32 of them hold 64
 *       weights, the first 32 in the low halves          (d * s) * q - (dmin * m)
 * Q5_K  d, dmin, 12 bytes likewise, 32 bytes whose bit j is the fifth bit of the weights of
 *       group j, 128 bytes likewise                      (d * s) * q - (dmin * m)
 * Q6_K  128 bytes with the low 4 bits, 64 bytes with the high 2 bits, 16 signed scales s, d
 *                                                        (d * s) * (q - 32)
 * </pre>
 *
 * All arithmetic is in single precision, so that results are those of ggml bit for bit.
 */
final class GgufKBlocks {
  private static final int GROUPS = 8; // of 32 weights, in Q4_K and Q5_K
  private static final int GROUP = 32;

  private GgufKBlocks() {}

  /** Decodes one block at {@code from} to 256 floats at {@code to}. */
  static void decode(GgufType type, byte[] source, int from, float[] target, int to) {
    switch (type) {
      case Q4_K -> groups(source, from, -1, from + 16, target, to);
      case Q5_K -> groups(source, from, from + 16, from + 48, target, to);
      case Q6_K -> sixBits(source, from, target, to);
      default -> throw new IllegalArgumentException(type + " has no blocks of 256");
    }
  }

  /** Q4_K and, with the place of the fifth bits, Q5_K. */
  private static void groups(
      byte[] source, int from, int fifthBits, int quants, float[] target, int to) {
    float d = GgufBlocks.half(source, from);
    float dmin = GgufBlocks.half(source, from + 2);
    int packed = from + 4;
    for (int group = 0; group < GROUPS; group++) {
      float scale = d * scale(source, packed, group);
      float minimum = dmin * minimum(source, packed, group);
      int shift = (group & 1) * 4;
      int bytes = quants + group / 2 * GROUP;
      for (int i = 0; i < GROUP; i++) {
        int quant = source[bytes + i] >>> shift & 0xf;
        if (fifthBits >= 0) {
          quant |= (source[fifthBits + i] >>> group & 1) << 4;
        }
        target[to + group * GROUP + i] = scale * quant - minimum;
      }
    }
  }

  // get_scale_min_k4: of bytes 0 to 11, the low six bits of 0 to 3 are the first four scales, those
  // of 4 to 7 the first four minima. The others have their low four bits in the halves of bytes 8
  // to 11, and their high two bits above the first ones.

  private static int scale(byte[] source, int packed, int group) {
    return group < 4
        ? source[packed + group] & 0x3f
        : source[packed + group + 4] & 0xf | (source[packed + group - 4] >>> 6 & 3) << 4;
  }

  private static int minimum(byte[] source, int packed, int group) {
    return group < 4
        ? source[packed + group + 4] & 0x3f
        : source[packed + group + 4] >>> 4 & 0xf | (source[packed + group] >>> 6 & 3) << 4;
  }

  private static void sixBits(byte[] source, int from, float[] target, int to) {
    int scales = from + 192;
    float d = GgufBlocks.half(source, from + 208);
    for (int part = 0; part < 2; part++) { // 128 weights each
      int low = from + part * 64;
      int high = from + 128 + part * 32;
      for (int quarter = 0; quarter < 4; quarter++) {
        int lowBytes = low + (quarter & 1) * 32;
        int lowShift = quarter / 2 * 4;
        int out = to + part * 128 + quarter * 32;
        for (int i = 0; i < 32; i++) {
          int quant =
              source[lowBytes + i] >>> lowShift & 0xf | (source[high + i] >>> 2 * quarter & 3) << 4;
          float scale = d * source[scales + part * 8 + quarter * 2 + i / 16];
          target[out + i] = scale * (quant - 32);
        }
      }
    }
  }
}
