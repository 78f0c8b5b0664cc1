package org.alpaca4j.weights;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.FloatCodec;
import org.alpaca4j.weights.WeightFolder.Weight;
import org.jspecify.annotations.Nullable;

/**
 * Reads, converts and hands on tensors piece by piece, so that memory is a few pieces per thread
 * whatever the model's size. Thread-safe.
 */
final class ConvertedWeights implements CheckpointWriter.TensorSource {
  private static final int PIECE_ELEMENTS = 1 << 18;

  private final WeightFolder folder;
  private final @Nullable DType dtype;
  private final TensorTransform transform;
  private final boolean allowOverflow;
  private final Map<String, Weight> weights = new LinkedHashMap<>();
  private long totalBytes;

  ConvertedWeights(
      WeightFolder folder,
      @Nullable DType dtype,
      TensorTransform transform,
      boolean allowOverflow) {
    this.folder = folder;
    this.dtype = dtype;
    this.transform = transform;
    this.allowOverflow = allowOverflow;
  }

  /** Declares all tensors as they will be written. */
  void declare(CheckpointWriter.Builder writer) {
    for (Weight weight : folder.weights()) {
      weights.put(weight.name(), weight);
      DType type = target(weight);
      totalBytes += weight.elements() * type.bytes();
      writer.tensor(weight.name(), type, weight.shape());
    }
  }

  /** Returns the number of a declared tensor's elements. */
  long elements(String name) {
    return Objects.requireNonNull(weights.get(name)).elements();
  }

  /** Returns the number of all declared tensors' elements. */
  long totalElements() {
    return weights.values().stream().mapToLong(Weight::elements).sum();
  }

  /** Returns the bytes of all declared tensors, as they will be written. */
  long totalBytes() {
    return totalBytes;
  }

  /** Whole numbers and truth values stay what they are. */
  private DType target(Weight weight) {
    DType wanted = dtype;
    return switch (weight.dtype()) {
      case F32, BF16, F16, F64 -> wanted == null ? weight.dtype() : wanted;
      case F8_E5M2, F8_E4M3, F8_E8M0, C64 -> {
        if (wanted != null) {
          throw new CheckpointException(
              "tensor '"
                  + weight.name()
                  + "' is "
                  + weight.dtype()
                  + ", which is not converted to "
                  + wanted
                  + "; convert without a dtype, which keeps every type");
        }
        yield weight.dtype();
      }
      default -> weight.dtype();
    };
  }

  @Override
  public void write(String name, WritableByteChannel out) throws IOException {
    Weight weight = Objects.requireNonNull(weights.get(name));
    DType type = target(weight);
    boolean changed = transform.changes(weight);
    if (changed && !type.isWeight()) {
      throw new CheckpointException(
          "tensor '" + name + "' is " + type + "; only F32, BF16 and F16 can be changed");
    }
    if (!changed && type == weight.dtype()) {
      copy(weight, out);
    } else {
      convert(weight, type, changed, out);
    }
  }

  private void copy(Weight weight, WritableByteChannel out) throws IOException {
    long length = weight.byteLength();
    ByteBuffer bytes = ByteBuffer.allocate((int) Math.min(length, 4L * PIECE_ELEMENTS));
    for (long offset = 0; offset < length; offset += bytes.limit()) {
      bytes.clear().limit((int) Math.min(bytes.capacity(), length - offset));
      folder.read(weight, bytes, offset);
      writeFully(bytes.flip(), out);
    }
  }

  private void convert(Weight weight, DType type, boolean changed, WritableByteChannel out)
      throws IOException {
    long elements = weight.elements();
    int size = (int) Math.min(elements, PIECE_ELEMENTS);
    ByteBuffer stored = ByteBuffer.allocate(size * weight.dtype().bytes());
    ByteBuffer converted = ByteBuffer.allocate(size * type.bytes());
    float[] values = new float[size];
    for (long offset = 0; offset < elements; offset += size) {
      int count = (int) Math.min(size, elements - offset);
      stored.clear().limit(count * weight.dtype().bytes());
      folder.read(weight, stored, offset * weight.dtype().bytes());
      decode(weight, stored.flip(), values, offset, count);
      if (changed) {
        transform.apply(weight, offset, values, count);
      }
      requireRepresentable(weight, type, values, offset, count);
      FloatCodec.encode(type, values, 0, count, converted.clear());
      writeFully(converted.flip(), out);
    }
  }

  private void decode(Weight weight, ByteBuffer stored, float[] values, long offset, int count) {
    if (weight.dtype() != DType.F64) {
      FloatCodec.decode(weight.dtype(), stored, values, 0, count);
      return;
    }
    // As PyTorch: any type's way from fp64 leads through fp32.
    DoubleBuffer doubles = stored.order(ByteOrder.LITTLE_ENDIAN).asDoubleBuffer();
    for (int i = 0; i < count; i++) {
      double value = doubles.get(i);
      values[i] = (float) value;
      if (Float.isInfinite(values[i]) && !Double.isInfinite(value) && !allowOverflow) {
        throw overflow(weight, DType.F32, value, offset + i);
      }
    }
  }

  private void requireRepresentable(
      Weight weight, DType type, float[] values, long offset, int count) {
    if (allowOverflow || type == DType.F32) {
      return;
    }
    float limit = FloatCodec.overflowFrom(type);
    for (int i = 0; i < count; i++) {
      if (Math.abs(values[i]) >= limit && !Float.isInfinite(values[i])) {
        throw overflow(weight, type, values[i], offset + i);
      }
    }
  }

  private static CheckpointException overflow(
      Weight weight, DType type, double value, long element) {
    long[] shape = weight.shape();
    long[] position = new long[shape.length];
    long rest = element;
    for (int i = shape.length - 1; i >= 0; i--) {
      position[i] = rest % shape[i];
      rest /= shape[i];
    }
    return new CheckpointException(
        "tensor '"
            + weight.name()
            + "' has "
            + value
            + " at "
            + Arrays.toString(position)
            + ", which "
            + type
            + " makes infinite; choose another dtype, or allow it with allowOverflow(true)");
  }

  private static void writeFully(ByteBuffer bytes, WritableByteChannel out) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }
}
