package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/**
 * What a {@link LayerRecipe} means as a torch program: bodies of three methods, and the memory that
 * they want. Layers of equal programs are of one kind.
 *
 * @param arguments the weights in order
 * @param forward lines of the forward pass
 * @param backward lines of the backward pass
 * @param step lines of a decoding step
 * @param keptWidth elements for each token that the forward pass keeps, its output first
 * @param scratchWidth elements for each token that a call overwrites meanwhile
 * @param states tensors that the forward pass returns for generation's cache
 * @param matrices weights that decoding may pack, in the order of use
 */
record LayerProgram(
    List<String> arguments,
    List<String> forward,
    List<String> backward,
    List<String> step,
    long keptWidth,
    long scratchWidth,
    int states,
    List<String> matrices) {

  /**
   * Writes a layer's program.
   *
   * @param eps see {@link StepWriter}
   * @param width see {@link StepWriter}
   */
  static LayerProgram of(LayerRecipe recipe, double eps, long width) {
    List<LayerBlock> reversed = new ArrayList<>(recipe.blocks());
    Collections.reverse(reversed);

    BackwardWriter backward = new BackwardWriter(recipe.output());
    reversed.forEach(block -> block.backward(backward));
    backward.finish(recipe.input());

    ForwardWriter forward = new ForwardWriter(backward.kept(), recipe.output());
    recipe.blocks().forEach(block -> block.forward(forward));

    StepWriter step = new StepWriter(eps, width);
    recipe.blocks().forEach(block -> block.step(step));
    step.line("return %s", recipe.output().name());

    List<String> arguments = recipe.arguments().stream().map(LayerRecipe.Argument::name).toList();
    List<String> forwardLines = new ArrayList<>();
    forwardLines.add("tokens = x.size(0)");
    forwardLines.add("rows = tokens if chosen.numel() == 0 else chosen.size(0)");
    forwardLines.addAll(forward.lines());
    List<String> backwardLines = new ArrayList<>();
    backwardLines.add("tokens, rows = x.size(0), dz.size(0)");
    for (Map.Entry<String, String> kept : forward.keptRooms().entrySet()) {
      backwardLines.add("%s = %s".formatted(kept.getKey(), kept.getValue()));
    }
    for (int i = 0; i < forward.extras().size(); i++) {
      backwardLines.add("%s = extras[%d]".formatted(forward.extras().get(i), i));
    }
    backwardLines.add("segment_extras = extras[%d:]".formatted(forward.extras().size()));
    backwardLines.addAll(backward.lines());
    return new LayerProgram(
        arguments,
        forwardLines,
        backwardLines,
        step.lines(),
        recipe.output().width() + forward.keptSize(),
        Math.max(forward.scratchSize(), backward.scratchSize()),
        forward.states(),
        step.matrices());
  }

  /** A method of a program that each kind of layers has: name, parameters and result. */
  record Method(String name, String parameters, String result) {}

  static final Method FORWARD =
      new Method(
          "forward",
          "layer: int, x: Tensor, segments: Tensor, chosen: Tensor, ends: Tensor, bias: Tensor, seed: int,"
              + " cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], mode: int, kept: Tensor, scratch: Tensor,"
              + " z: Tensor",
          "List[Tensor]");

  static final Method BACKWARD =
      new Method(
          "backward",
          "layer: int, x: Tensor, dz: Tensor, segments: Tensor, chosen: Tensor, ends: Tensor, bias: Tensor, seed: int,"
              + " balance: Tensor, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor],"
              + " gradients: List[Tensor], mode: int, beta: float, kept: Tensor, scratch: Tensor,"
              + " extras: List[Tensor]",
          "Tensor");

  static final Method STEP =
      new Method(
          "step",
          "layer: int, slot: int, x: Tensor, columns: int, column: List[Tensor], past: List[Tensor],"
              + " hidden: Tensor, mask: Tensor, cos: List[Tensor], sin: List[Tensor],"
              + " weights: List[Tensor], eps: Tensor, activated: Tensor",
          "Tensor");

  /** Returns the text of a kind's method. */
  String text(Method method, int kind, List<String> lines) {
    List<String> all = new ArrayList<>();
    all.add(unpacked("weights", ""));
    if (method.equals(BACKWARD)) {
      all.add(unpacked("gradients", "d_"));
    }
    if (lines.stream().anyMatch(line -> line.contains(LayerBlocks.NOTHING))) {
      all.add(LayerBlocks.NOTHING + " = weights[0][:0]");
    }
    all.addAll(lines);
    String head =
        "  def "
            + method.name()
            + "_"
            + kind
            + "(self, "
            + method.parameters()
            + ") -> "
            + method.result();
    return head + ":\n    " + String.join("\n    ", all) + "\n\n";
  }

  private String unpacked(String list, String prefix) {
    String names = String.join(", ", arguments.stream().map(name -> prefix + name).toList());
    return names + (arguments.size() == 1 ? ", = " : " = ") + list;
  }
}
