package org.alpaca4j.core.internal.model;

import com.google.errorprone.annotations.FormatMethod;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Writes a layer's forward pass, and plans what is kept for the backward pass. */
final class ForwardWriter {
  private final LayerCode code = new LayerCode();
  private final Set<String> kept;
  private final LayerBlock.Value output;
  private final Map<String, String> buffersOf = new LinkedHashMap<>();
  private final List<String> state = new ArrayList<>();
  private final List<String> extras = new ArrayList<>();
  private long keptSize;

  /**
   * Starts with no lines.
   *
   * @param kept variables that the backward pass reads
   * @param output the layer's output, which the caller has made room for
   */
  ForwardWriter(Set<String> kept, LayerBlock.Value output) {
    this.kept = kept;
    this.output = output;
  }

  /** Adds a line. */
  @FormatMethod
  void line(String text, Object... arguments) {
    code.line(text.formatted(arguments));
  }

  /** Returns the program's expression for the memory of a value that the next line computes. */
  String buffer(LayerBlock.Value value) {
    String name = value.name();
    if (name.equals(output.name())) {
      return "z";
    }
    return buffer(name, value.rows(), value.width(), value.width());
  }

  /**
   * As {@link #buffer(LayerBlock.Value)}, for what is no value of the layer.
   *
   * @param perToken elements for each token, of which all rows are made
   */
  String buffer(String name, String rows, long columns, long perToken) {
    if (!kept.contains(name)) {
      return code.scratch(name, rows, columns, perToken);
    }
    String buffer = LayerCode.buffer("kept", keptSize, rows, columns);
    keptSize += perToken;
    buffersOf.put(name, buffer);
    return buffer;
  }

  /** As {@link LayerCode#alias}. */
  void alias(String variable, String of) {
    code.alias(variable, of);
  }

  /** Names a tensor that generation's cache takes. */
  void state(String variable) {
    state.add(variable);
  }

  /** Names a small tensor, or with {@code list} a list of them, that the backward pass wants. */
  void extra(String variable) {
    extras.add(variable);
  }

  List<String> lines() {
    List<String> lines = new ArrayList<>(code.planned());
    String small = String.join(", ", extras);
    String result = "[z, " + String.join(", ", state) + (small.isEmpty() ? "" : ", " + small) + "]";
    lines.add("return " + result + " + segment_extras");
    return lines;
  }

  /** Returns the expression for each kept variable, to be read in the backward pass. */
  Map<String, String> keptRooms() {
    return buffersOf;
  }

  /** Returns the small tensors that are named one by one. */
  List<String> extras() {
    return extras;
  }

  /** Returns the number of tensors that generation's cache takes. */
  int states() {
    return state.size();
  }

  /** Returns the width of what is kept beside the output. */
  long keptSize() {
    return keptSize;
  }

  /** Returns the width of the scratch memory. */
  long scratchSize() {
    return code.size();
  }
}
