package org.alpaca4j.core.internal.pytorch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.alpaca4j.core.DType;

/**
 * A tensor read in order from bytes that are not: transposed, sliced, repeated, or big-endian. What
 * is read is row-major and little-endian. Immutable.
 */
public final class StridedView {
  private final long offset;
  private final int valueBytes;
  private final long[] shape;
  private final long[] stepBytes;

  /**
   * Makes a view.
   *
   * @param storageOffset where the tensor's storage begins in the bytes that are read
   */
  public StridedView(TorchTensor tensor, long storageOffset) {
    boolean complex = tensor.dtype() == DType.C64; // two values, each with its own byte order
    int elementBytes = tensor.dtype().bytes();
    long[] sizes = Arrays.copyOf(tensor.shape(), tensor.shape().length + 1);
    long[] steps = Arrays.copyOf(tensor.strides(), sizes.length);
    for (int d = 0; d < steps.length; d++) {
      steps[d] *= elementBytes;
    }
    this.valueBytes = complex ? elementBytes / 2 : elementBytes;
    sizes[sizes.length - 1] = complex ? 2 : 1;
    steps[steps.length - 1] = valueBytes;
    int kept = merge(sizes, steps);
    this.shape = Arrays.copyOf(sizes, kept);
    this.stepBytes = Arrays.copyOf(steps, kept);
    this.offset = storageOffset + tensor.offset() * elementBytes;
  }

  /** Returns whether a tensor's elements lie in its storage one behind the other, in order. */
  public static boolean isContiguous(TorchTensor tensor) {
    long expected = 1;
    for (int d = tensor.shape().length - 1; d >= 0; d--) {
      if (tensor.shape()[d] != 1 && tensor.strides()[d] != expected) {
        return tensor.elements() == 0;
      }
      expected *= tensor.shape()[d];
    }
    return true;
  }

  /** Joins dimensions that one step leads through; returns how many remain, in front. */
  private static int merge(long[] sizes, long[] steps) {
    int kept = 0;
    for (int d = 0; d < sizes.length; d++) {
      if (sizes[d] == 1 && d < sizes.length - 1) {
        continue;
      }
      if (kept > 0 && sizes[d] != 1 && steps[kept - 1] == sizes[d] * steps[d]) {
        sizes[kept - 1] *= sizes[d];
        steps[kept - 1] = steps[d];
      } else if (kept == 0 || sizes[d] != 1) {
        sizes[kept] = sizes[d];
        steps[kept++] = steps[d];
      }
    }
    return kept;
  }

  /**
   * Fills a buffer from byte {@code from} of the tensor on; the caller has checked that so many
   * belong to it.
   */
  public void read(Windows source, ByteBuffer destination, long from) throws IOException {
    ByteBuffer out = destination.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer value = ByteBuffer.allocate(valueBytes).order(ByteOrder.LITTLE_ENDIAN);
    long next = from / valueBytes;
    int skipped = (int) (from % valueBytes);
    if (skipped > 0) {
      gather(source, value, next++, 1);
      put(out, value.flip().position(skipped));
    }
    long whole = out.remaining() / valueBytes;
    gather(source, out, next, whole);
    if (out.hasRemaining()) {
      gather(source, value.clear(), next + whole, 1);
      put(out, value.flip());
    }
    destination.position(destination.limit());
  }

  private static void put(ByteBuffer out, ByteBuffer value) {
    out.put(value.limit(Math.min(value.limit(), value.position() + out.remaining())));
  }

  /** Copies values from the {@code first} on, counted in row-major order. */
  private void gather(Windows source, ByteBuffer out, long first, long count) throws IOException {
    int inner = shape.length - 1;
    long[] index = new long[shape.length];
    long rest = first;
    for (int d = inner; d >= 0 && count > 0; d--) {
      index[d] = rest % shape[d];
      rest /= shape[d];
    }
    for (long left = count; left > 0; ) {
      long position = offset;
      for (int d = 0; d <= inner; d++) {
        position += index[d] * stepBytes[d];
      }
      long run = Math.min(left, shape[inner] - index[inner]);
      copyRun(source, out, position, run);
      left -= run;
      index[inner] += run;
      for (int d = inner; d > 0 && index[d] == shape[d]; d--) {
        index[d] = 0;
        index[d - 1]++;
      }
    }
  }

  /** Copies values that are one step apart. */
  private void copyRun(Windows source, ByteBuffer out, long position, long count)
      throws IOException {
    long step = stepBytes[stepBytes.length - 1];
    for (long left = count; left > 0; ) {
      ByteBuffer window = source.containing(position);
      int at = (int) (position - Windows.begin(position));
      int length = (int) Math.min(left, Windows.inWindow(position, step));
      if (step == valueBytes && (valueBytes == 1 || source.order() == ByteOrder.LITTLE_ENDIAN)) {
        out.put(out.position(), window, at, length * valueBytes);
        out.position(out.position() + length * valueBytes);
      } else {
        copyValues(window, at, step, out, length);
      }
      left -= length;
      position += length * step;
    }
  }

  private void copyValues(ByteBuffer window, int at, long step, ByteBuffer out, int count) {
    switch (valueBytes) {
      case 1 -> {
        for (int i = 0; i < count; i++) {
          out.put(window.get((int) (at + i * step)));
        }
      }
      case 2 -> {
        for (int i = 0; i < count; i++) {
          out.putShort(window.getShort((int) (at + i * step)));
        }
      }
      case 4 -> {
        for (int i = 0; i < count; i++) {
          out.putInt(window.getInt((int) (at + i * step)));
        }
      }
      default -> {
        for (int i = 0; i < count; i++) {
          out.putLong(window.getLong((int) (at + i * step)));
        }
      }
    }
  }
}
