package org.alpaca4j.weights.gguf;

import java.nio.ByteBuffer;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.FloatCodec;

/** Converts stored elements of every {@link GgufType} to floats, and floats to what we write. */
final class GgufCodec {
  private GgufCodec() {}

  /**
   * Decodes elements.
   *
   * @param count whole blocks
   */
  static void decode(GgufType type, byte[] source, float[] target, int count) {
    if (!type.isQuantised()) {
      DType plain = type.dtype().orElseThrow();
      FloatCodec.decode(plain, ByteBuffer.wrap(source), target, 0, count);
      return;
    }
    int from = 0;
    for (int to = 0; to < count; to += type.blockElements()) {
      if (type.blockElements() == 32) {
        GgufBlocks.decode(type, source, from, target, to);
      } else {
        GgufKBlocks.decode(type, source, from, target, to);
      }
      from += type.blockBytes();
    }
  }

  /** Returns whether floats can be encoded as this type. */
  static boolean encodes(GgufType type) {
    return type != GgufType.Q4_0 && type != GgufType.Q4_1;
  }

  /**
   * Encodes floats.
   *
   * @param type one that {@link #encodes} accepts
   * @param count whole blocks
   */
  static void encode(GgufType type, float[] source, byte[] target, int count) {
    if (!type.isQuantised()) {
      DType plain = type.dtype().orElseThrow();
      FloatCodec.encode(plain, source, 0, count, ByteBuffer.wrap(target));
      return;
    }
    GgufKEncoder encoder = new GgufKEncoder();
    int to = 0;
    for (int from = 0; from < count; from += type.blockElements()) {
      switch (type) {
        case Q5_0 -> GgufBlocks.encodeQ50(source, from, target, to);
        case Q5_1 -> GgufBlocks.encodeQ51(source, from, target, to);
        case Q8_0 -> GgufBlocks.encodeQ8(source, from, target, to);
        case Q4_K, Q5_K, Q6_K -> encoder.encode(type, source, from, target, to);
        default -> throw new IllegalArgumentException(type + " cannot be encoded");
      }
      to += type.blockBytes();
    }
  }
}
