package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.List;

/**
 * Where the parameters of one unit of a model lie: the embedding, one decoder layer, or the head.
 *
 * <p>A unit's parameters fill two one-dimensional tensors, the <em>flats</em>: {@link #DECAYED} has
 * the matrices, {@link #PLAIN} the norm weights and biases, which weight decay spares. An optimizer
 * step, a reduction over ranks or a copy to another dtype then is one operation per flat. A torch
 * program wants <em>arguments</em>: a parameter, or several that lie side by side and are seen as
 * one (q, k and v as qkv). Gradients, moments and working copies have the same layout.
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

  /** Index of the flat of vectors: norm weights and biases. */
  public static final int PLAIN = 1;

  /** Number of flats of a unit. */
  public static final int FLATS = 2;

  /** A checkpoint's tensor: its place in the flats. */
  public record Parameter(String name, List<Long> shape, int flat, long offset) {
    /** Returns the number of elements. */
    public long elements() {
      return UnitLayout.elements(shape);
    }

    /** Returns the shape as an array. */
    public long[] shapeArray() {
      return UnitLayout.array(shape);
    }
  }

  /** A program's tensor: its place in the flats. */
  public record Argument(List<Long> shape, int flat, long offset) {
    /** Returns the shape as an array. */
    public long[] shapeArray() {
      return UnitLayout.array(shape);
    }
  }

  private static long elements(List<Long> shape) {
    return shape.stream().reduce(1L, Math::multiplyExact);
  }

  private static long[] array(List<Long> shape) {
    return shape.stream().mapToLong(Long::longValue).toArray();
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

    /** Adds a vector parameter as an argument; returns its place. */
    int vector(String parameter, long size) {
      return argument(PLAIN, List.of(size), List.of(parameter), List.of(List.of(size)));
    }

    /** Adds a matrix parameter as an argument; returns its place. */
    int matrix(String parameter, long rows, long columns) {
      return stacked(List.of(parameter), List.of(rows), columns);
    }

    /** Adds matrices with equal columns as one argument, one below the other. */
    int stacked(List<String> names, List<Long> rows, long columns) {
      List<List<Long>> shapes = rows.stream().map(r -> List.of(r, columns)).toList();
      long sum = rows.stream().mapToLong(Long::longValue).sum();
      return argument(DECAYED, List.of(sum, columns), names, shapes);
    }

    /** Adds vectors as one argument, one after the other. */
    int concatenated(List<String> names, List<Long> sizes) {
      List<List<Long>> shapes = sizes.stream().map(List::of).toList();
      return argument(
          PLAIN, List.of(sizes.stream().mapToLong(Long::longValue).sum()), names, shapes);
    }

    private int argument(int flat, List<Long> shape, List<String> names, List<List<Long>> shapes) {
      arguments.add(new Argument(shape, flat, sizes[flat]));
      for (int i = 0; i < names.size(); i++) {
        Parameter parameter = new Parameter(names.get(i), shapes.get(i), flat, sizes[flat]);
        parameters.add(parameter);
        sizes[flat] += parameter.elements();
      }
      return arguments.size() - 1;
    }

    UnitLayout build() {
      return new UnitLayout(
          name, List.copyOf(parameters), List.copyOf(arguments), List.of(sizes[0], sizes[1]));
    }
  }
}
