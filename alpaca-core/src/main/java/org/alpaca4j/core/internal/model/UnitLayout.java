package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Predicate;
import org.alpaca4j.core.internal.model.DecoderDescription.FileTensor;
import org.alpaca4j.core.internal.model.DecoderDescription.Order;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.jspecify.annotations.Nullable;

/**
 * Where the parameters of one unit of a model lie: the embedding, one decoder layer, or the head.
 *
 * <p>A unit's parameters fill three one-dimensional tensors, the <em>flats</em>: {@link #DECAYED}
 * has the matrices, {@link #ADAPTER} those of an adapter, {@link #PLAIN} the norm weights and
 * biases, which weight decay spares. An optimizer step, a reduction over ranks or a copy to another
 * dtype then is one operation per flat. A torch program wants <em>arguments</em>: a parameter, or
 * several that lie side by side and are seen as one (q, k and v as qkv). Gradients, moments and
 * working copies have the same layout.
 *
 * @param name of the unit, for messages
 * @param parameters in order of the flats
 * @param arguments in the order the program takes them
 * @param elements number of elements of each flat
 */
public record UnitLayout(
    String name, List<Parameter> parameters, List<Argument> arguments, List<Long> elements) {
  /** Index of the flat of matrices. */
  public static final int DECAYED = 0;

  /** Index of the flat of an adapter's matrices, which mostly is empty. */
  public static final int ADAPTER = 1;

  /** Index of the flat of vectors: norm weights and biases. */
  public static final int PLAIN = 2;

  /** Number of flats of a unit. */
  public static final int FLATS = 3;

  /**
   * A checkpoint's tensor: its place in the flats.
   *
   * @param shape in the file
   * @param order how its elements lie in the file, compared with the flat
   */
  public record Parameter(String name, List<Long> shape, Order order, int flat, long offset) {
    /** Returns the number of elements. */
    public long elements() {
      return UnitLayout.elements(shape);
    }

    /** Returns the shape in the file as an array. */
    public long[] shapeArray() {
      return UnitLayout.array(shape);
    }

    /** Returns whether its elements lie in the flat as in the file. */
    public boolean inOrder() {
      return order instanceof Order.Same;
    }
  }

  /** A program's tensor: its place in the flats. */
  public record Argument(String name, List<Long> shape, int flat, long offset) {
    /** Returns the shape as an array. */
    public long[] shapeArray() {
      return UnitLayout.array(shape);
    }

    private boolean holds(Parameter parameter) {
      return parameter.flat == flat
          && parameter.offset >= offset
          && parameter.offset < offset + UnitLayout.elements(shape);
    }
  }

  /** Returns the parameter of a name; null if there is none. */
  @Nullable Parameter parameter(String tensor) {
    for (Parameter parameter : parameters) {
      if (parameter.name.equals(tensor)) {
        return parameter;
      }
    }
    return null;
  }

  /**
   * Returns the layout of some of the parameters alone. It has all arguments, in the same order:
   * one with none of these parameters is empty, one with some of them has room for all of its own.
   *
   * @param wanted whether the parameter of a name is one of them
   */
  public UnitLayout restrictedTo(Predicate<String> wanted) {
    List<Parameter> some = new ArrayList<>();
    List<Argument> all = new ArrayList<>();
    long[] sizes = new long[FLATS];
    for (Argument argument : arguments) {
      int flat = argument.flat;
      List<Parameter> own =
          parameters.stream()
              .filter(parameter -> argument.holds(parameter) && wanted.test(parameter.name))
              .toList();
      List<Long> shape = own.isEmpty() ? List.of(0L) : argument.shape;
      all.add(new Argument(argument.name, shape, flat, sizes[flat]));
      for (Parameter parameter : own) {
        long offset = parameter.offset - argument.offset + sizes[flat];
        some.add(new Parameter(parameter.name, parameter.shape, parameter.order, flat, offset));
      }
      sizes[flat] += elements(shape);
    }
    return new UnitLayout(name, List.copyOf(some), List.copyOf(all), list(sizes));
  }

  private static List<Long> list(long[] values) {
    return Arrays.stream(values).boxed().toList();
  }

  private static long elements(List<Long> shape) {
    return shape.stream().reduce(1L, Math::multiplyExact);
  }

  private static long[] array(List<Long> shape) {
    return shape.stream().mapToLong(Long::longValue).toArray();
  }

  /** Returns a tensor's shape in memory. */
  static List<Long> shapeInMemory(FileTensor tensor) {
    return tensor.order() instanceof Order.Transposed
        ? List.of(tensor.shape().get(1), tensor.shape().get(0))
        : tensor.shape();
  }

  /** Returns the rows that a weight has in memory. */
  static long rows(Weight weight) {
    return weight.tensors().stream().mapToLong(tensor -> shapeInMemory(tensor).get(0)).sum();
  }

  /** Returns the shape that a weight has in memory. */
  static List<Long> shape(Weight weight) {
    List<Long> shape = new ArrayList<>(shapeInMemory(weight.tensors().get(0)));
    shape.set(0, rows(weight));
    return List.copyOf(shape);
  }

  /** Collects a unit's arguments in the order the program takes them. */
  static final class Builder {
    private final String name;
    private final List<Parameter> parameters = new ArrayList<>();
    private final List<Argument> arguments = new ArrayList<>();
    private final long[] sizes = new long[FLATS];

    Builder(String name) {
      this.name = name;
    }

    /**
     * Adds a weight as an argument.
     *
     * @param flat where it lies
     */
    Builder add(String argument, Weight weight, int flat) {
      arguments.add(new Argument(argument, shape(weight), flat, sizes[flat]));
      for (FileTensor tensor : weight.tensors()) {
        Parameter parameter =
            new Parameter(tensor.name(), tensor.shape(), tensor.order(), flat, sizes[flat]);
        parameters.add(parameter);
        sizes[flat] += parameter.elements();
      }
      return this;
    }

    UnitLayout build() {
      return new UnitLayout(name, List.copyOf(parameters), List.copyOf(arguments), list(sizes));
    }
  }
}
