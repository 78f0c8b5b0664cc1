package org.alpaca4j.core;

import java.nio.file.Path;
import java.util.Arrays;

/**
 * Where and how a tensor is stored. Immutable.
 *
 * @param name its full name, such as {@code model.layers.0.self_attn.q_proj.weight}
 * @param dtype its element type
 * @param shape its dimensions; empty for a scalar
 * @param file the file that holds it
 * @param offset the position of its first byte in the file. Not necessarily a multiple of the
 *     element size: the formats do not promise it. The others follow it in order only where {@link
 *     Checkpoint#isInPlace} says so; of a compressed tensor, it is where its storage begins
 * @param byteLength its length in bytes when it is read: elements times element size, row-major,
 *     little-endian
 */
public record TensorInfo(
    String name, DType dtype, long[] shape, Path file, long offset, long byteLength) {

  /** Copies the shape. */
  public TensorInfo {
    shape = shape.clone();
  }

  /** Returns a copy of the dimensions. */
  @Override
  public long[] shape() {
    return shape.clone();
  }

  /** Returns the number of elements. */
  public long elements() {
    return byteLength / dtype.bytes();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof TensorInfo that
        && name.equals(that.name)
        && dtype == that.dtype
        && Arrays.equals(shape, that.shape)
        && file.equals(that.file)
        && offset == that.offset
        && byteLength == that.byteLength;
  }

  @Override
  public int hashCode() {
    return 31 * name.hashCode() + file.hashCode();
  }

  @Override
  public String toString() {
    return name + " " + dtype + Arrays.toString(shape) + " in " + file + " at " + offset;
  }
}
