package org.alpaca4j.core.internal.model;

import com.google.errorprone.annotations.FormatMethod;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Writes a layer's backward pass: block after block from the last to the first. A value's gradient
 * is the sum of what the blocks that read it contribute; the first contribution that has memory of
 * its own takes up the others.
 */
final class BackwardWriter {
  private final LayerCode code = new LayerCode();
  private final Map<LayerBlock.Value, Gradient> gradients = new HashMap<>();
  private final Set<LayerBlock.Value> present = new HashSet<>();
  private final Set<String> kept = new HashSet<>();

  /**
   * A gradient so far: an expression, and a factor it is to be multiplied with.
   *
   * @param owned whether it is memory that may be written to
   */
  private record Gradient(String expression, double factor, boolean owned) {}

  /** Starts with the gradient of the layer's output, {@code dz}, which is not changed. */
  BackwardWriter(LayerBlock.Value output) {
    gradients.put(output, new Gradient("dz", 1, false));
  }

  /** Adds a line. */
  @FormatMethod
  void line(String text, Object... arguments) {
    code.line(text.formatted(arguments));
  }

  /** Returns the variable of a value's forward result, computing it again if it was not kept. */
  String read(LayerBlock.Value value) {
    if (value.isInput()) {
      return value.name();
    }
    LayerBlock maker = value.maker();
    if (!maker.isComputedAgain()) {
      return keep(value.name());
    }
    if (present.add(value)) {
      maker.again(this);
    }
    return value.name();
  }

  /** Returns whether {@link #read} has computed a value again. */
  boolean isPresent(LayerBlock.Value value) {
    return present.contains(value);
  }

  /** Asks the forward pass to keep a variable; returns it. */
  String keep(String variable) {
    kept.add(variable);
    return variable;
  }

  /** Returns the program's expression for scratch memory that the next line assigns to a name. */
  String buffer(String name, String rows, long width) {
    return code.scratch(name, rows, width, width);
  }

  /** As {@link LayerCode#alias}. */
  void alias(String variable, String of) {
    code.alias(variable, of);
  }

  /** Returns the gradient of a block's output, complete when the block's turn comes; read only. */
  String gradient(LayerBlock.Value value) {
    Gradient gradient = complete(value);
    if (gradient.factor() == 1 && gradient.expression().matches("\\w+")) {
      return gradient.expression();
    }
    String name = name(value);
    if (gradient.factor() == 1) {
      line("%s = %s", name, gradient.expression());
      code.alias(name, gradient.expression());
    } else {
      String buffer = buffer(name, value.rows(), value.width());
      line(
          "%s = torch.mul(%s, %s, out=%s)", name, gradient.expression(), gradient.factor(), buffer);
    }
    gradients.put(value, new Gradient(name, 1, gradient.factor() != 1));
    return name;
  }

  private Gradient complete(LayerBlock.Value value) {
    Gradient gradient = gradients.get(value);
    if (gradient == null) {
      throw new IllegalStateException("nothing reads " + value.name());
    }
    return gradient;
  }

  /**
   * Reserves memory for a contribution to a value's gradient, which the next line assigns to {@link
   * #name}; the gradient of the layer's input outlives the call.
   */
  String contribution(LayerBlock.Value value, String name) {
    Gradient before = gradients.get(value);
    if (value.isInput() && (before == null || !before.owned())) {
      return "torch.empty_like(x)";
    }
    return buffer(name, value.rows(), value.width());
  }

  /** Returns a variable for a contribution to a value's gradient by one of its readers. */
  String name(LayerBlock.Value value) {
    String name = "d_" + value.name();
    String unique = name;
    for (int i = 2; code.names(unique); i++) {
      unique = name + "_" + i;
    }
    return unique;
  }

  /** Adds a contribution that lies in memory reserved by {@link #contribution}. */
  void add(LayerBlock.Value value, String variable) {
    Gradient before = gradients.get(value);
    if (before == null) {
      gradients.put(value, new Gradient(variable, 1, true));
    } else if (before.owned()) {
      line("%s.add_(%s)", before.expression(), variable);
    } else {
      line("%s.add_(%s%s)", variable, before.expression(), alpha(before.factor()));
      gradients.put(value, new Gradient(variable, 1, true));
    }
  }

  /**
   * Adds a contribution that is an expression over tensors which must not be written to.
   *
   * @param factor of it
   */
  void addShared(LayerBlock.Value value, String expression, double factor) {
    Gradient before = gradients.get(value);
    if (before == null) {
      gradients.put(value, new Gradient(expression, factor, false));
    } else if (before.owned()) {
      line("%s.add_(%s%s)", before.expression(), expression, alpha(factor));
    } else {
      String name = name(value);
      String buffer = contribution(value, name);
      if (before.factor() == 1) {
        line(
            "%s = torch.add(%s, %s%s, out=%s)",
            name, before.expression(), expression, alpha(factor), buffer);
      } else {
        line("%s = torch.mul(%s, %s, out=%s)", name, before.expression(), before.factor(), buffer);
        line("%s.add_(%s%s)", name, expression, alpha(factor));
      }
      gradients.put(value, new Gradient(name, 1, true));
    }
  }

  private static String alpha(double factor) {
    return factor == 1 ? "" : ", alpha=" + factor;
  }

  /** Ends with the gradient of the layer's input. */
  void finish(LayerBlock.Value input) {
    line("return %s", complete(input).expression());
  }

  Set<String> kept() {
    return kept;
  }

  List<String> lines() {
    return new ArrayList<>(code.planned());
  }

  long scratchSize() {
    return code.size();
  }
}
