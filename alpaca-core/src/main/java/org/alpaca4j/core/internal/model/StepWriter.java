package org.alpaca4j.core.internal.model;

import com.google.errorprone.annotations.FormatMethod;
import java.util.ArrayList;
import java.util.List;

/** Writes a layer's decoding step. Its few rows need no planned memory. */
final class StepWriter {
  private final List<String> lines = new ArrayList<>();
  private final double eps;
  private final long width;
  private final List<String> matrices = new ArrayList<>();

  /**
   * Starts with no lines.
   *
   * @param eps that of the tensor {@code eps} which the step has made
   * @param width of the tensor {@code activated} which the step has made
   */
  StepWriter(double eps, long width) {
    this.eps = eps;
    this.width = width;
  }

  /** Adds a line. */
  @FormatMethod
  void line(String text, Object... arguments) {
    lines.add(text.formatted(arguments));
  }

  /** Returns the program's expression for a one-element tensor of a number. */
  String eps(double value) {
    return value == eps ? "eps" : "torch.full([1], %s, dtype=6, device=x.device)".formatted(value);
  }

  /** Returns the program's expression for memory of an activation's result. */
  String activated(long wanted, String rows) {
    return wanted == width
        ? "activated"
        : "torch.empty([%s, %d], dtype=x.dtype, device=x.device)".formatted(rows, wanted);
  }

  /** Returns the program's expression for a matrix's place among the packed ones. */
  String slot(String matrix) {
    matrices.add(matrix);
    int at = matrices.size() - 1;
    return at == 0 ? "slot" : "slot + " + at;
  }

  List<String> lines() {
    return lines;
  }

  /** Returns the matrices that may be packed, in the order of their places. */
  List<String> matrices() {
    return matrices;
  }
}
