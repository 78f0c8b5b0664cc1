package org.alpaca4j.core.internal.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.ShortBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.List;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.torch.Tensors;
import org.jspecify.annotations.Nullable;

/**
 * Tensors in the layout of one unit: its parameters, their gradients, or an optimizer's moments.
 *
 * <p>Owns its arrays; not thread-safe for writing.
 */
public final class UnitTensors implements AutoCloseable {
  private static final long WRITTEN_ELEMENTS = 1 << 22;
  private static final int F16_INFINITY = 0x7c00;

  private final UnitLayout layout;
  private final DType matrices;
  private final DType vectors;
  private final NDManager manager;
  private final NDArray[] flats;
  private final NDArray[] arguments;

  private final boolean ownsMatrices;

  private UnitTensors(
      UnitLayout layout,
      DType matrices,
      DType vectors,
      NDArray[] flats,
      NDManager manager,
      boolean ownsMatrices) {
    this.layout = layout;
    this.matrices = matrices;
    this.ownsMatrices = ownsMatrices;
    this.vectors = vectors;
    this.manager = manager;
    this.flats = flats;
    arguments =
        Tensors.views(
            manager,
            flats,
            layout.arguments().stream()
                .map(a -> new Tensors.View(a.flat(), a.offset(), a.shapeArray()))
                .toList());
  }

  /** Allocates zeros on the parent's device; freed by {@link #close} or with the parent. */
  public static UnitTensors zeros(NDManager parent, UnitLayout layout, DType dtype) {
    return allocate(parent, layout, dtype, dtype, true);
  }

  /**
   * Allocates without setting values on the parent's device; freed by {@link #close} or with the
   * parent.
   *
   * @param matrices dtype of the flat {@link UnitLayout#DECAYED}
   * @param vectors dtype of the other flats
   */
  public static UnitTensors empty(
      NDManager parent, UnitLayout layout, DType matrices, DType vectors) {
    return allocate(parent, layout, matrices, vectors, false);
  }

  private static UnitTensors allocate(
      NDManager parent, UnitLayout layout, DType matrices, DType vectors, boolean zero) {
    NDManager manager = parent.newSubManager();
    try {
      NDArray[] flats = new NDArray[UnitLayout.FLATS];
      for (int flat = 0; flat < flats.length; flat++) {
        DType dtype = flat == UnitLayout.DECAYED ? matrices : vectors;
        long elements = layout.elements().get(flat);
        flats[flat] =
            zero
                ? Tensors.zeros(manager, elements, dtype)
                : Tensors.empty(manager, elements, dtype);
      }
      return new UnitTensors(layout, matrices, vectors, flats, manager, true);
    } catch (RuntimeException | Error e) {
      manager.close();
      throw e;
    }
  }

  /**
   * Returns a unit with an adapter: the matrices and vectors of one without, in the same memory,
   * and room for the adapter's matrices, of the vectors' dtype and arbitrary value.
   *
   * @param layout the unit's, with the adapter
   */
  static UnitTensors adapted(NDManager parent, UnitTensors base, UnitLayout layout) {
    NDManager manager = parent.newSubManager();
    try {
      NDArray[] flats = new NDArray[UnitLayout.FLATS];
      for (int flat = 0; flat < flats.length; flat++) {
        long elements = layout.elements().get(flat);
        flats[flat] =
            flat == UnitLayout.ADAPTER
                ? Tensors.empty(manager, elements, base.vectors)
                : Tensors.view(manager, base.flats[flat], 0, elements);
      }
      return new UnitTensors(layout, base.matrices, base.vectors, flats, manager, true);
    } catch (RuntimeException | Error e) {
      manager.close();
      throw e;
    }
  }

  /**
   * Lays a unit's matrices out in the beginning of a tensor that is there already; its other
   * parameters are allocated, of fp32.
   *
   * @param room one-dimensional, as long as the flat {@link UnitLayout#DECAYED} or longer
   * @param dtype of the room
   */
  public static UnitTensors over(NDManager parent, UnitLayout layout, NDArray room, DType dtype) {
    return over(parent, layout, room, dtype, DType.F32);
  }

  /**
   * Allocates what a unit's weights are converted to by {@link #copyFrom}. Matrices that are of
   * that dtype already stay where they are, and are seen from here as well.
   *
   * @param dtype of the activations
   */
  static UnitTensors forComputing(NDManager parent, UnitTensors weights, DType dtype) {
    return weights.matrices == dtype
        ? over(parent, weights.layout, weights.flats[UnitLayout.DECAYED], dtype, dtype)
        : empty(parent, weights.layout, dtype, dtype);
  }

  /**
   * Returns a unit's values rounded to a dtype: matrices of that dtype, vectors of the dtype that
   * they had. Matrices that are of it already stay where they are.
   */
  static UnitTensors rounded(NDManager parent, UnitTensors unit, DType dtype) {
    DType vectors = unit.vectors;
    UnitTensors rounded =
        unit.matrices == dtype
            ? over(parent, unit.layout, unit.flats[UnitLayout.DECAYED], dtype, vectors)
            : empty(parent, unit.layout, dtype, vectors);
    rounded.copyFrom(unit);
    try (NDManager step = parent.newSubManager()) {
      NDArray plain = rounded.flats[UnitLayout.PLAIN];
      Tensors.copy(plain, Tensors.cast(step, plain, dtype));
    }
    return rounded;
  }

  private static UnitTensors over(
      NDManager parent, UnitLayout layout, NDArray room, DType matrices, DType vectors) {
    NDManager manager = parent.newSubManager();
    try {
      NDArray[] flats = new NDArray[UnitLayout.FLATS];
      for (int flat = 0; flat < flats.length; flat++) {
        long elements = layout.elements().get(flat);
        flats[flat] =
            flat == UnitLayout.DECAYED
                ? Tensors.view(manager, room, 0, elements)
                : Tensors.empty(manager, elements, vectors);
      }
      return new UnitTensors(layout, matrices, vectors, flats, manager, false);
    } catch (RuntimeException | Error e) {
      manager.close();
      throw e;
    }
  }

  /** Returns the layout. */
  public UnitLayout layout() {
    return layout;
  }

  /** Returns a flat, such as {@link UnitLayout#DECAYED}; owned here. */
  public NDArray flat(int index) {
    return flats[index];
  }

  /** Returns the dtype of a flat. */
  public DType dtype(int flat) {
    return flat == UnitLayout.DECAYED ? matrices : vectors;
  }

  /** Returns elements of a flat side by side: a view, owned by {@code scope}. */
  public NDArray part(NDManager scope, int flat, long offset, long elements) {
    return Tensors.view(scope, flats[flat], offset, elements);
  }

  /** Returns the program's arguments, views of the flats; owned here. */
  public NDArray[] arguments() {
    return arguments;
  }

  /** Returns one of the program's arguments, owned here; null if there is none of this name. */
  public @Nullable NDArray argument(String name) {
    for (int i = 0; i < arguments.length; i++) {
      if (layout.arguments().get(i).name().equals(name)) {
        return arguments[i];
      }
    }
    return null;
  }

  /**
   * Returns the dtype of the activations that are computed with these weights: that of the vectors,
   * as matrices may be stored in fewer bits.
   */
  public DType activations() {
    return vectors;
  }

  /**
   * Returns a parameter in the checkpoint tensor's shape and order, owned by {@code scope}; a view
   * where it lies in that order.
   */
  public NDArray parameter(NDManager scope, UnitLayout.Parameter parameter) {
    NDArray flat = flats[parameter.flat()];
    return FileOrder.fromMemory(scope, flat, parameter);
  }

  /** Sets a parameter from a tensor in the checkpoint's shape and order, converting the dtype. */
  void set(UnitLayout.Parameter parameter, NDArray source) {
    FileOrder.toMemory(flats[parameter.flat()], parameter, source);
  }

  /**
   * Writes a parameter's bytes, converted to a dtype piece by piece.
   *
   * @throws CheckpointException if F16, whose largest value is 65,504, cannot hold one of them
   */
  public void write(UnitLayout.Parameter parameter, DType as, WritableByteChannel out)
      throws IOException {
    try (NDManager scope = manager.newSubManager()) {
      boolean inOrder = parameter.inOrder();
      NDArray flat = inOrder ? flats[parameter.flat()] : parameter(scope, parameter);
      write(
          parameter.name(), flat, inOrder ? parameter.offset() : 0, parameter.elements(), as, out);
    }
  }

  private static void write(
      String name, NDArray flat, long offset, long elements, DType as, WritableByteChannel out)
      throws IOException {
    long end = offset + elements;
    for (long from = offset; from < end; from += WRITTEN_ELEMENTS) {
      long to = Math.min(from + WRITTEN_ELEMENTS, end);
      Tensors.read(
          flat,
          from,
          to,
          as,
          bytes -> {
            if (as == DType.F16) {
              ByteBuffer halves = bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN);
              requireFinite(name, halves.asShortBuffer());
            }
            while (bytes.hasRemaining()) {
              out.write(bytes);
            }
          });
    }
  }

  private static void requireFinite(String name, ShortBuffer halves) {
    for (int i = 0; i < halves.remaining(); i++) {
      if ((halves.get(i) & 0x7fff) == F16_INFINITY) {
        throw new CheckpointException(
            "tensor '"
                + name
                + "' has a value beyond 65,504, the largest of float16; save it as bfloat16 or"
                + " float32");
      }
    }
  }

  /** Copies parts of mapped files to their places, in one call. */
  void read(NDArray[] files, List<Tensors.Part> parts) {
    Tensors.read(flats, files, parts);
  }

  /**
   * Copies all values of another set in the same layout, converting the dtype. Matrices that lie in
   * memory of others are left out.
   */
  public void copyFrom(UnitTensors source) {
    for (int flat = 0; flat < flats.length; flat++) {
      if (flat != UnitLayout.DECAYED || ownsMatrices) {
        Tensors.copy(flats[flat], source.flats[flat]);
      }
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
