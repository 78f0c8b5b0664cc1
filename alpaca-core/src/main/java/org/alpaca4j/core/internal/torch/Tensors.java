package org.alpaca4j.core.internal.torch;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;
import org.alpaca4j.core.DType;

/**
 * Makes, views, converts and copies tensors of any dtype.
 *
 * <p>DJL's native layer ends the process when it is asked to create or convert bfloat16; everything
 * here goes through a torch program instead. An array of that dtype passes through Java unharmed,
 * as a handle: call no operator of DJL on it.
 */
public final class Tensors {
  private Tensors() {}

  private static final class Holder {
    static final TorchProgram PROGRAM =
        TorchProgram.load(Device.cpu(), Tensors.class, Map.of(), "tensors.py");
  }

  /** Returns zeros [elements] on the manager's device, owned by the manager. */
  public static NDArray zeros(NDManager manager, long elements, DType dtype) {
    return allocate("zeros", manager, elements, dtype);
  }

  /** As {@link #zeros}, with arbitrary values. */
  public static NDArray empty(NDManager manager, long elements, DType dtype) {
    return allocate("empty", manager, elements, dtype);
  }

  private static NDArray allocate(String method, NDManager manager, long elements, DType dtype) {
    try (NDManager scope = manager.newSubManager()) {
      return Holder.PROGRAM.callForOne(
          manager,
          method,
          scope.create(0f),
          number(scope, elements),
          number(scope, dtype.torchScalarType()));
    }
  }

  /**
   * Returns a view of a one-dimensional tensor's elements from {@code offset} on, in the given
   * shape; owned by {@code manager}.
   */
  public static NDArray view(NDManager manager, NDArray flat, long offset, long... shape) {
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      long[] spec = new long[shape.length + 1];
      spec[0] = offset;
      System.arraycopy(shape, 0, spec, 1, shape.length);
      return Holder.PROGRAM.callForOne(manager, "view", flat, scope.create(spec));
    }
  }

  /**
   * Maps a file; the result [bytes] of uint8 is owned by {@code manager}. No size limit; pages are
   * read when used. The mapping lives as long as the array or any view of it.
   */
  public static NDArray map(NDManager manager, Path file, long bytes) {
    Torch.initialize();
    Map<String, Object> constants = Map.of("path", file.toAbsolutePath().toString(), "size", bytes);
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
        TorchProgram program =
            TorchProgram.load(Device.cpu(), Tensors.class, constants, "map.py")) {
      return program.callForOne(manager, "map", scope.create(0f));
    }
  }

  /** Returns bytes {@code [offset, offset + length)} of a mapped file as a tensor; no copy. */
  public static NDArray interpret(
      NDManager manager, NDArray file, long offset, long length, DType dtype, long... shape) {
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      long[] spec = new long[shape.length + 4];
      spec[0] = offset;
      spec[1] = length;
      spec[2] = dtype.torchScalarType();
      spec[3] = dtype.bytes();
      System.arraycopy(shape, 0, spec, 4, shape.length);
      return Holder.PROGRAM.callForOne(manager, "interpret", file, scope.create(spec));
    }
  }

  /** Copies values, converting dtype and device; shapes are equal. */
  public static void copy(NDArray target, NDArray source) {
    Holder.PROGRAM.run("copy", target, source);
  }

  /** Returns a converted copy owned by {@code manager}. */
  public static NDArray cast(NDManager manager, NDArray source, DType dtype) {
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      return Holder.PROGRAM.callForOne(
          manager, "cast", source, number(scope, dtype.torchScalarType()));
    }
  }

  /** Sets all elements to 0. */
  public static void zero(NDArray array) {
    Holder.PROGRAM.run("zero", array);
  }

  /** Sets all elements to a value. */
  public static void fill(NDArray array, double value) {
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      Holder.PROGRAM.run("fill", array, scope.create((float) value));
    }
  }

  /** Fills with normal values of mean 0; the same seed gives the same values on every device. */
  public static void fillNormal(NDArray array, double standardDeviation, long seed) {
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      Holder.PROGRAM.run(
          "normal", array, scope.create((float) standardDeviation), number(scope, seed));
    }
  }

  /**
   * Copies a matrix into one with more rows, converting the dtype; each further row becomes the
   * mean of the copied ones.
   */
  public static void copyGrowing(NDArray target, NDArray source) {
    Holder.PROGRAM.run("copy_growing", target, source);
  }

  /**
   * Hands elements {@code [from, to)} of a contiguous array, converted to a dtype, to a reader as
   * little-endian bytes; the buffer is valid during the call only. At most 2 GiB.
   */
  public static <E extends Exception> void read(
      NDArray array, long from, long to, DType as, BytesReader<E> reader) throws E {
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      NDArray bytes =
          Holder.PROGRAM.callForOne(
              scope, "bytes", array, scope.create(new long[] {from, to, as.torchScalarType()}));
      reader.read(bytes.toByteBuffer(true));
    }
  }

  /** Receives a tensor's bytes. */
  @FunctionalInterface
  public interface BytesReader<E extends Exception> {
    /** Uses the bytes between position and limit. */
    void read(ByteBuffer bytes) throws E;
  }

  private static NDArray number(NDManager manager, long value) {
    return manager.create(new long[] {value});
  }
}
