package org.alpaca4j.weights.gguf;

import java.util.List;

/**
 * A tensor of a GGUF file.
 *
 * @param name its name, such as {@code blk.0.attn_q.weight}
 * @param type its element type
 * @param shape its dimensions, rows before columns as in a checkpoint; the file has them reversed
 * @param offset the position of its first byte in the file
 * @param byteLength its length in bytes
 */
record GgufTensor(String name, GgufType type, List<Long> shape, long offset, long byteLength) {

  /** A tensor that has no place yet. */
  static GgufTensor of(String name, GgufType type, List<Long> shape) {
    return new GgufTensor(name, type, shape, 0, type.bytes(elements(shape)));
  }

  GgufTensor at(long position) {
    return new GgufTensor(name, type, shape, position, byteLength);
  }

  long elements() {
    return elements(shape);
  }

  private static long elements(List<Long> shape) {
    return shape.stream().reduce(1L, Math::multiplyExact);
  }
}
