package org.alpaca4j.core.internal.model;

import java.util.List;

/**
 * A block of a layer: what it computes from values, forward, backward and in a decoding step, as
 * lines of a torch program. The functions that the lines call stand in the block's own file.
 */
abstract class LayerBlock {
  /**
   * A tensor [rows, width] inside a layer.
   *
   * <p>A value that its block can compute again is not kept for the backward pass.
   */
  static final class Value {
    private final String name;
    private final long width;
    private final boolean chosen;
    private final LayerBlock maker;
    private Value sum = this;

    /**
     * Creates a value.
     *
     * @param maker the block that computes it; null: it is the layer's input
     * @param chosen whether it has the chosen tokens' rows only
     */
    @SuppressWarnings("NullAway") // the input alone has no maker
    Value(
        String name,
        long width,
        boolean chosen,
        @org.jspecify.annotations.Nullable LayerBlock maker) {
      this.name = name;
      this.width = width;
      this.chosen = chosen;
      this.maker = maker;
    }

    /** Returns the variable that holds it: its own, or the sum's that is taken in its place. */
    String name() {
      return sum == this ? name : sum.name();
    }

    long width() {
      return width;
    }

    boolean chosen() {
      return chosen;
    }

    /** Returns the program's expression for its number of rows. */
    String rows() {
      return chosen ? "rows" : "tokens";
    }

    /** Says that a sum overwrites this value. */
    void becomes(Value total) {
      sum = total;
    }

    boolean isInput() {
      return maker == null;
    }

    LayerBlock maker() {
      return maker;
    }
  }

  private final List<Value> inputs;

  LayerBlock(Value... inputs) {
    this.inputs = List.of(inputs);
  }

  /** Returns what it reads. */
  List<Value> inputs() {
    return inputs;
  }

  /** Returns the input of a block that has one. */
  Value in() {
    return inputs.get(0);
  }

  /** Returns what it computes. */
  abstract Value out();

  /** Writes the forward pass. */
  abstract void forward(ForwardWriter code);

  /** Returns whether the output is computed again where the backward pass wants it. */
  boolean isComputedAgain() {
    return false;
  }

  /** Writes what computes the output again, from inputs; only if it {@link #isComputedAgain}. */
  void again(BackwardWriter code) {
    throw new UnsupportedOperationException();
  }

  /** Writes the backward pass: takes the output's gradient and adds to the inputs'. */
  abstract void backward(BackwardWriter code);

  /** Writes the decoding step of a few rows. */
  abstract void step(StepWriter code);
}
