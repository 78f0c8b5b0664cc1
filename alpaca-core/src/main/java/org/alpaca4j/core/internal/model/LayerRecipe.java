package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Linear;
import org.alpaca4j.core.internal.model.DecoderDescription.LowRank;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.alpaca4j.core.internal.model.LayerBlock.Value;
import org.jspecify.annotations.Nullable;

/**
 * A decoder layer as blocks in the order of the forward pass, and the weights that they take. Says
 * once what a layer computes; {@link LayerProgram} writes forward, backward and decoding step from
 * it.
 */
final class LayerRecipe {
  /** The name of the prefix's keys and values. */
  static final String PREFIX = "prefix";

  private final List<LayerBlock> blocks = new ArrayList<>();
  private final List<Argument> arguments = new ArrayList<>();
  private final DecoderDescription decoder;
  private final boolean frozen;
  private int adapters;
  private final Value input;
  private final Value output;

  /**
   * A weight that the layer's programs take.
   *
   * @param name of the variable
   * @param weight its tensors
   * @param flat see {@link UnitLayout}
   */
  record Argument(String name, Weight weight, int flat) {}

  private LayerRecipe(DecoderDescription decoder, Layer layer) {
    this.decoder = decoder;
    frozen = decoder.isAdapted();
    input = new Value("x", decoder.hiddenSize(), false, null);
    output = layer.parallel() ? parallel(layer) : sequential(layer);
  }

  /** Composes a layer. */
  static LayerRecipe of(DecoderDescription decoder, Layer layer) {
    return new LayerRecipe(decoder, layer);
  }

  private Value sequential(Layer layer) {
    Residual first = layer.aroundAttention();
    Value normed = normed("attention_in", "attention_norm", first.before(), input);
    Value branch = attention(layer.attention(), normed);
    Value y = sum("y", "attention", first, branch, choose(first.ofNormed() ? normed : input));

    Residual second = layer.aroundMlp();
    normed = normed("mlp_in", "mlp_norm", second.before(), y);
    branch = mlp(layer, normed);
    return sum("z", "mlp", second, branch, second.ofNormed() ? normed : y);
  }

  private Value parallel(Layer layer) {
    Residual first = layer.aroundAttention();
    Residual second = layer.aroundMlp();
    Value normed = normed("attention_in", "attention_norm", first.before(), input);
    Value attended = attention(layer.attention(), normed);
    Value mlpInput =
        second.before() == null
            ? choose(normed)
            : normed("mlp_in", "mlp_norm", second.before(), choose(input));
    Value both =
        add(
            new LayerBlocks.SumBlock(
                "both", mlp(layer, mlpInput), second.branchScale(), attended, first.branchScale()));
    return add(new LayerBlocks.SumBlock("z", both, 1, choose(input), first.residualScale()));
  }

  /** y = norm(scaled residual + scaled norm(branch)). */
  private Value sum(String name, String branchName, Residual around, Value branch, Value residual) {
    Value out = normed(branchName + "_normed", branchName + "_out_norm", around.after(), branch);
    boolean more = around.sum() != null;
    Value sum =
        add(
            new LayerBlocks.SumBlock(
                more ? name + "_sum" : name,
                out,
                around.branchScale(),
                residual,
                around.residualScale()));
    return normed(name, branchName + "_sum_norm", around.sum(), sum);
  }

  private Value attention(Attention attention, Value in) {
    Value qkv = linear("qkv", "qkv", attention.queryKeyValue(), in);
    List<String> norms = new ArrayList<>();
    HeadNorm headNorm = attention.headNorm();
    if (headNorm != null) {
      for (Norm norm : List.of(headNorm.query(), headNorm.key())) {
        String name = norms.isEmpty() ? "query_norm" : "key_norm";
        norms.add(vector(name + "_weight", norm.weight()));
        norms.add(vector(name + "_bias", norm.bias()));
      }
    }
    String prefix =
        attention.prefix() == null ? LayerBlocks.NOTHING : matrix(PREFIX, attention.prefix());
    Value attended =
        add(
            new LayerBlocks.AttentionBlock(
                "attended", attention, decoder.rotaries(), qkv, norms, prefix));
    return linear("projected", "output", attention.output(), choose(attended));
  }

  private Value mlp(Layer layer, Value in) {
    if (layer.mlp() instanceof Dense dense) {
      return dense("mlp", dense, in);
    }
    Experts experts = (Experts) layer.mlp();
    matrix("router", experts.router());
    matrix("expert_in_weight", experts.in());
    matrix("expert_out_weight", experts.out());
    Value routed = add(new LayerBlocks.ExpertsBlock("routed", experts, in));
    Dense shared = experts.shared();
    if (shared == null) {
      return routed;
    }
    Value common = dense("shared", shared, in);
    if (experts.sharedGate() != null) {
      common =
          add(
              new LayerBlocks.GateBlock(
                  "shared_gated", common, in, matrix("shared_gate", experts.sharedGate())));
    }
    return add(new LayerBlocks.SumBlock("mixed", common, 1, routed, 1));
  }

  private Value dense(String name, Dense dense, Value in) {
    Value wide = linear(name + "_wide", name + "_in", dense.in(), in);
    Value active =
        add(
            new LayerBlocks.ActivationBlock(
                name + "_active", dense.gated(), dense.activation(), wide));
    return linear(name + "_out", name + "_out", dense.out(), active);
  }

  private Value linear(String name, String weights, Linear linear, Value in) {
    String weight = matrix(weights + "_weight", linear.weight());
    String bias = vector(weights + "_bias", linear.bias());
    long width = UnitLayout.rows(linear.weight());
    return add(
        new LayerBlocks.LinearBlock(
            name, in, width, weight, bias, adapter(weights, linear.adapter()), frozen));
  }

  private @Nullable LowRankCode adapter(String weights, @Nullable LowRank adapter) {
    if (adapter == null) {
      return null;
    }
    String down = argument(weights + "_lora_a", adapter.down(), UnitLayout.ADAPTER);
    List<String> ups = new ArrayList<>();
    for (LowRank.Part part : adapter.parts()) {
      ups.add(argument(weights + "_lora_b_" + ups.size(), part.up(), UnitLayout.ADAPTER));
    }
    return new LowRankCode(adapter, down, ups, adapters++);
  }

  private Value normed(String name, String weights, @Nullable Norm norm, Value in) {
    if (norm == null) {
      return in;
    }
    String weight = vector(weights + "_weight", norm.weight());
    String bias = vector(weights + "_bias", norm.bias());
    return add(new LayerBlocks.NormBlock(name, norm, in, weight, bias));
  }

  /** What is computed behind attention reads the chosen tokens' rows alone. */
  private Value choose(Value value) {
    for (LayerBlock block : blocks) {
      if (block instanceof LayerBlocks.ChoiceBlock && block.in() == value) {
        return block.out();
      }
    }
    return add(new LayerBlocks.ChoiceBlock(value));
  }

  private Value add(LayerBlock block) {
    blocks.add(block);
    return block.out();
  }

  private String matrix(String name, Weight weight) {
    return argument(name, weight, UnitLayout.DECAYED);
  }

  private String vector(String name, @Nullable Weight weight) {
    if (weight == null) {
      return LayerBlocks.NOTHING;
    }
    return argument(name, weight, UnitLayout.PLAIN);
  }

  private String argument(String name, Weight weight, int flat) {
    arguments.add(new Argument(name, weight, flat));
    return name;
  }

  /**
   * Returns a text that is the same for layers whose programs are: the decoding step, which shows
   * all settings, and the shapes of the weights.
   */
  String kind(double eps, long width) {
    StepWriter step = new StepWriter(eps, width);
    for (LayerBlock block : blocks) {
      block.step(step);
    }
    StringBuilder text = new StringBuilder(String.join("\n", step.lines()));
    for (Argument argument : arguments) {
      text.append(argument.name()).append(UnitLayout.shape(argument.weight()));
    }
    return text.toString();
  }

  /** Returns the blocks in order. */
  List<LayerBlock> blocks() {
    return blocks;
  }

  /** Returns the weights in the order in which programs take them. */
  List<Argument> arguments() {
    return arguments;
  }

  Value input() {
    return input;
  }

  Value output() {
    return output;
  }
}
