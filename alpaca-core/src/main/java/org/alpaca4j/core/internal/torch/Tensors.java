package org.alpaca4j.core.internal.torch;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
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

    /** Owner of numbers that are passed to programs; making a manager for each is dear. */
    static final NDManager NUMBERS = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
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
    long[] spec = new long[shape.length + 1];
    spec[0] = offset;
    System.arraycopy(shape, 0, spec, 1, shape.length);
    try (NDArray numbers = numbers(spec)) {
      return Holder.PROGRAM.callForOne(manager, "view", flat, numbers);
    }
  }

  /** A view: which of several flats it is of, from which element on, in which shape. */
  public record View(int flat, long offset, long[] shape) {}

  /** As {@link #view}, several at once; of one or two dimensions. */
  public static NDArray[] views(NDManager manager, NDArray[] flats, List<View> views) {
    if (views.isEmpty()) {
      return new NDArray[0];
    }
    long[] spec = new long[4 * views.size()];
    for (int i = 0; i < views.size(); i++) {
      View view = views.get(i);
      spec[4 * i] = view.flat();
      spec[4 * i + 1] = view.offset();
      spec[4 * i + 2] = view.shape()[0];
      spec[4 * i + 3] = view.shape().length == 1 ? 0 : view.shape()[1];
    }
    try (NDArray numbers = numbers(spec)) {
      return Holder.PROGRAM.call(manager, "views", flats, numbers).toArray(new NDArray[0]);
    }
  }

  /** Where a part of a mapped file goes: an offset in elements in one of several flats. */
  public record Part(
      int flat, long flatOffset, long elements, int file, long offset, long length, DType dtype) {}

  /** Copies parts of mapped files into flats, converting the dtype, in one call. */
  public static void read(NDArray[] flats, NDArray[] files, List<Part> parts) {
    long[] spec = new long[8 * parts.size()];
    int at = 0;
    for (Part part : parts) {
      spec[at++] = part.flat();
      spec[at++] = part.flatOffset();
      spec[at++] = part.elements();
      spec[at++] = part.file();
      spec[at++] = part.offset();
      spec[at++] = part.length();
      spec[at++] = part.dtype().torchScalarType();
      spec[at++] = part.dtype().bytes();
    }
    if (at > 0) {
      try (NDArray numbers = numbers(spec)) {
        Holder.PROGRAM.run("read", flats, files, numbers);
      }
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

  /** Returns whether no element of a one-dimensional array is infinite or not a number. */
  public static boolean isFinite(NDArray array) {
    try (NDArray result = Holder.PROGRAM.callForOne(array.getManager(), "is_finite", array)) {
      return result.getFloat() != 0;
    }
  }

  /** Sets all elements to 0. */
  public static void zero(NDArray array) {
    Holder.PROGRAM.run("zero", array);
  }

  /** Fills with normal values of mean 0; the same seed gives the same values on every device. */
  public static void fillNormal(NDArray array, double standardDeviation, long seed) {
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      Holder.PROGRAM.run(
          "normal", array, scope.create((float) standardDeviation), number(scope, seed));
    }
  }

  /**
   * Copies a matrix into one with more rows, or a vector into a longer one, converting the dtype;
   * each further row or element becomes the mean of the copied ones.
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

  /** A tensor on the CPU, to be closed. */
  private static NDArray numbers(long[] values) {
    return Holder.NUMBERS.create(values);
  }

  private static NDArray number(NDManager manager, long value) {
    return manager.create(new long[] {value});
  }
}
