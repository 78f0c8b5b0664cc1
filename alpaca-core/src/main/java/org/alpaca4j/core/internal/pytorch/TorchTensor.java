package org.alpaca4j.core.internal.pytorch;

import java.util.Arrays;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.pickle.PickleException;

/**
 * A view of a storage: element {@code i} along dimension {@code d} is {@code strides[d]} elements
 * behind element {@code i - 1}. Checked on creation: it lies within what the storage claims to
 * have.
 *
 * @param storage whose elements it views
 * @param dtype how it interprets the bytes
 * @param offset its first element, counted in its own dtype from the storage's begin
 * @param shape its dimensions
 * @param strides of each dimension, in elements, 0 or more
 */
public record TorchTensor(
    TorchStorage storage, DType dtype, long offset, long[] shape, long[] strides) {
  /** What torch can handle. */
  static final int MAX_DIMENSIONS = 64;

  /** Checks the bounds. */
  static TorchTensor of(
      TorchStorage storage, DType dtype, long offset, long[] shape, long[] strides)
      throws PickleException {
    if (shape.length != strides.length) {
      throw new PickleException(
          "a tensor has " + shape.length + " sizes but " + strides.length + " strides");
    }
    long elementBytes = storage.dtype().bytes();
    long visible = storage.viewElements() * elementBytes / dtype.bytes();
    long first = storage.viewOffset() * elementBytes / dtype.bytes();
    try {
      long elements = 1;
      long last = offset;
      for (int d = 0; d < shape.length; d++) {
        if (shape[d] < 0 || strides[d] < 0) {
          throw outside(offset, shape, strides, visible);
        }
        elements = Math.multiplyExact(elements, shape[d]);
        last = Math.addExact(last, Math.multiplyExact(Math.max(0, shape[d] - 1), strides[d]));
      }
      Math.multiplyExact(elements, (long) dtype.bytes());
      if (offset < 0 || offset > visible || (elements > 0 && last >= visible)) {
        throw outside(offset, shape, strides, visible);
      }
    } catch (ArithmeticException e) {
      throw outside(offset, shape, strides, visible);
    }
    return new TorchTensor(storage, dtype, first + offset, shape, strides);
  }

  private static PickleException outside(long offset, long[] shape, long[] strides, long elements) {
    return new PickleException(
        "a tensor of sizes "
            + Arrays.toString(shape)
            + " and strides "
            + Arrays.toString(strides)
            + " from element "
            + offset
            + " on does not lie within its storage of "
            + elements
            + " elements");
  }

  /** Returns the number of elements. */
  public long elements() {
    long elements = 1;
    for (long size : shape) {
      elements *= size;
    }
    return elements;
  }
}
