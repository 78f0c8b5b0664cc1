package org.alpaca4j.core.internal.model;

import java.util.List;
import org.alpaca4j.core.internal.model.DecoderDescription.Activation;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.jspecify.annotations.Nullable;

/** The blocks that layers are made of; each writes calls of the functions in its file. */
final class LayerBlocks {
  private LayerBlocks() {}

  /** A variable that stands for a weight or bias that there is not. */
  static final String NOTHING = "nothing";

  /** norm.py. */
  static final class NormBlock extends LayerBlock {
    private final Norm norm;
    private final String weight;
    private final String bias;
    private final Value out;

    NormBlock(String name, Norm norm, Value in, String weight, String bias) {
      super(in);
      this.norm = norm;
      this.weight = weight;
      this.bias = bias;
      out = new Value(name, in.width(), in.chosen(), this);
    }

    @Override
    Value out() {
      return out;
    }

    private boolean centred() {
      return norm.kind() == Norm.Kind.LAYER;
    }

    private String factor() {
      return LayerBlocks.factor(norm, weight);
    }

    @Override
    void forward(ForwardWriter code) {
      String name = out.name();
      if (centred()) {
        code.line("%s = %s", name, code.buffer(out));
        code.line(
            "__torch__.layer_norm(%s, %s, %s, %s, %s)",
            in().name(), weight, bias, norm.eps(), name);
      } else {
        code.line(
            "%s = __torch__.rms_norm(%s, %s, %s, mode, %s)",
            name, in().name(), factor(), norm.eps(), code.buffer(out));
      }
    }

    @Override
    boolean isComputedAgain() {
      return true;
    }

    @Override
    void again(BackwardWriter code) {
      String x = code.read(in());
      String name = out.name();
      if (centred()) {
        code.line("%s = %s", name, code.buffer(name, out.rows(), out.width()));
        code.line(
            "mean_%s, inverse_%s = __torch__.layer_norm(%s, %s, %s, %s, %s)",
            name, name, x, weight, bias, norm.eps(), name);
      } else {
        code.line(
            "%s = torch.mul(%s, %s, out=%s)",
            name, normalised(code, x), factor(), code.buffer(name, out.rows(), out.width()));
      }
    }

    /** Writes what the backward pass wants of an RMS norm; returns the variable of x / rms(x). */
    private String normalised(BackwardWriter code, String x) {
      String name = out.name();
      String n = "n_" + name;
      code.line("inverse_%s = __torch__.inverse_rms(%s, %s)", name, x, norm.eps());
      code.line(
          "%s = __torch__.normalize(%s, inverse_%s, %s)",
          n, x, name, code.buffer(n, out.rows(), out.width()));
      return n;
    }

    @Override
    void backward(BackwardWriter code) {
      String name = out.name();
      if (centred()) {
        code.read(out);
      } else if (!code.isPresent(out)) {
        normalised(code, code.read(in()));
      }
      String dh = code.gradient(out);
      String dx = code.name(in());
      if (centred()) {
        code.line(
            "%s = __torch__.layer_norm_backward(%s, %s, mean_%s, inverse_%s, %s, %s, %s, %s, beta, %s)",
            dx,
            dh,
            code.read(in()),
            name,
            name,
            weight,
            bias,
            gradientOf(weight),
            gradientOf(bias),
            code.contribution(in(), dx));
      } else {
        code.line(
            "%s = __torch__.rms_norm_backward(%s, n_%s, inverse_%s, %s, %s, beta, %s)",
            dx, dh, name, name, factor(), gradientOf(weight), code.contribution(in(), dx));
      }
      code.add(in(), dx);
    }

    @Override
    void step(StepWriter code) {
      if (centred()) {
        code.line(
            "%s = __torch__.layer_norm_step(%s, %s, %s, %s)",
            out.name(), in().name(), weight, bias, norm.eps());
      } else {
        code.line(
            "%s = __torch__.rms_norm_step(%s, %s, %s)",
            out.name(), in().name(), factor(), code.eps(norm.eps()));
      }
    }
  }

  private static String flag(boolean value) {
    return value ? "True" : "False";
  }

  /** Returns the program's expression for what a norm multiplies with. */
  private static String factor(Norm norm, String weight) {
    return norm.kind() == Norm.Kind.RMS_PLUS_ONE ? "__torch__.plus_one(" + weight + ")" : weight;
  }

  /** Returns the variable of a weight's gradient. */
  static String gradientOf(String weight) {
    return weight.equals(NOTHING) ? NOTHING : "d_" + weight;
  }

  /** linear.py. */
  static final class LinearBlock extends LayerBlock {
    private final String weight;
    private final String bias;
    private final @Nullable LowRankCode adapter;
    private final boolean frozen;
    private final Value out;

    /**
     * Creates it.
     *
     * @param adapter what is added to the product, or null
     * @param frozen whether the weight is never trained
     */
    LinearBlock(
        String name,
        Value in,
        long width,
        String weight,
        String bias,
        @Nullable LowRankCode adapter,
        boolean frozen) {
      super(in);
      this.weight = weight;
      this.bias = bias;
      this.adapter = adapter;
      this.frozen = frozen;
      out = new Value(name, width, in.chosen(), this);
    }

    @Override
    Value out() {
      return out;
    }

    @Override
    void forward(ForwardWriter code) {
      code.line(
          "%s = __torch__.linear(%s, %s, mode, %s)",
          out.name(), in().name(), weight, code.buffer(out));
      if (adapter != null) {
        adapter.forward(code, in(), out);
      }
      if (!bias.equals(NOTHING)) {
        code.line("%s.add_(%s)", out.name(), bias);
      }
    }

    @Override
    void backward(BackwardWriter code) {
      String dy = code.gradient(out);
      if (!frozen) {
        code.line(
            "__torch__.add_weight_gradient(d_%s, %s, %s, mode, beta)", weight, dy, code.read(in()));
      }
      if (!bias.equals(NOTHING)) {
        code.line("__torch__.add_bias_gradient(d_%s, %s, beta)", bias, dy);
      }
      String dx = code.name(in());
      code.line(
          "%s = __torch__.linear_backward(%s, %s, mode, %s)",
          dx, dy, weight, code.contribution(in(), dx));
      if (adapter != null) {
        adapter.backward(code, in(), out, dy, dx);
      }
      code.add(in(), dx);
    }

    @Override
    void step(StepWriter code) {
      code.line(
          "%s = self.linear_step(%s, %s, %s)", out.name(), in().name(), code.slot(weight), weight);
      if (adapter != null) {
        adapter.step(code, in(), out);
      }
      if (!bias.equals(NOTHING)) {
        code.line("%s.add_(%s)", out.name(), bias);
      }
    }
  }

  /** attention.py, with norms of heads (norm.py) and rotary embeddings (positions.py) before it. */
  static final class AttentionBlock extends LayerBlock {
    private final Attention attention;
    private final List<Rotary> rotaries;
    private final List<String> headNorms;
    private final String prefix;
    private final Value out;

    /**
     * Creates it.
     *
     * @param rotaries all of the decoder's
     * @param headNorms variables of the query norm's weight and bias and the key norm's
     * @param prefix variable of the prefix's keys and values
     */
    AttentionBlock(
        String name,
        Attention attention,
        List<Rotary> rotaries,
        Value in,
        List<String> headNorms,
        String prefix) {
      super(in);
      this.attention = attention;
      this.rotaries = rotaries;
      this.headNorms = headNorms;
      this.prefix = prefix;
      out = new Value(name, (long) attention.heads() * attention.headDim(), false, this);
    }

    @Override
    Value out() {
      return out;
    }

    private int heads() {
      return attention.heads();
    }

    /** Queries and keys, which are normed and turned. */
    private int turned() {
      return heads() + attention.kvHeads();
    }

    private String byHead(String variable) {
      return "%s.view([tokens, %d, %d])"
          .formatted(variable, turned() + attention.kvHeads(), attention.headDim());
    }

    private String settings() {
      return "%d, %d, %d, self.scales[layer], self.windows[layer], %s"
          .formatted(heads(), attention.kvHeads(), attention.headDim(), attention.softcap());
    }

    @Override
    void forward(ForwardWriter code) {
      String qkv = in().name();
      code.line("heads = %s", byHead(qkv));
      code.alias("heads", qkv);
      HeadNorm norm = attention.headNorm();
      if (norm != null && !norm.afterRotary()) {
        norms(code, norm);
      }
      for (int rotary : attention.rotaries()) {
        code.line("%s", rotation(rotary, "heads", "1.0"));
      }
      if (norm != null && norm.afterRotary()) {
        norms(code, norm);
      }
      code.line("%s = %s", out.name(), code.buffer(out));
      code.line(
          "segment_extras = self.attention(%s, %s, segments, ends, bias, %s, mode, %s)",
          qkv, prefix, settings(), out.name());
      code.state("heads[:, %d:%d]".formatted(heads(), turned()));
      code.state("heads[:, %d:]".formatted(turned()));
    }

    private void norms(ForwardWriter code, HeadNorm norm) {
      long width = (long) turned() * attention.headDim();
      code.line("unnormed = %s", code.buffer("unnormed", "tokens", width, width));
      code.line("unnormed.copy_(%s[:, :%d])", in().name(), width);
      code.line(
          "%s", normCall("norm_heads", "heads[:, :%d]".formatted(heads()), 0, norm.query(), norm));
      code.line(
          "%s",
          normCall(
              "norm_heads", "heads[:, %d:%d]".formatted(heads(), turned()), 2, norm.key(), norm));
    }

    private String normCall(String function, String part, int at, Norm norm, HeadNorm all) {
      return "__torch__.%s(%s, %s, %s, %s, %s, %s)"
          .formatted(
              function,
              part,
              LayerBlocks.factor(norm, headNorms.get(at)),
              headNorms.get(at + 1),
              norm.eps(),
              centred(norm),
              whole(all));
    }

    private static String centred(Norm norm) {
      return flag(norm.kind() == Norm.Kind.LAYER);
    }

    private static String whole(HeadNorm norm) {
      return flag(norm.span() == HeadNorm.Span.PROJECTION);
    }

    private String rotation(int index, String variable, String direction) {
      Rotary rotary = rotaries.get(index);
      return "__torch__.rotate_(%s[:, :%d], cos[%d], sin[%d], %d, %s, %s)"
          .formatted(
              variable,
              turned(),
              index,
              index,
              rotary.first(),
              flag(rotary.interleaved()),
              direction);
    }

    @Override
    void backward(BackwardWriter code) {
      String d = code.gradient(out);
      String qkv = code.read(in());
      String dqkv = code.name(in());
      code.line(
          "%s = self.attention_backward(%s, %s, %s, %s, %s, segment_extras, segments, ends, bias,"
              + " %s, mode, beta, %s)",
          dqkv,
          d,
          qkv,
          prefix,
          gradientOf(prefix),
          code.read(out),
          settings(),
          code.contribution(in(), dqkv));
      code.line("dheads = %s", byHead(dqkv));
      code.alias("dheads", dqkv);
      HeadNorm norm = attention.headNorm();
      if (norm != null && norm.afterRotary()) {
        normsBackward(code, norm);
      }
      for (int rotary : attention.rotaries()) {
        code.line("%s", rotation(rotary, "dheads", "-1.0"));
      }
      if (norm != null && !norm.afterRotary()) {
        normsBackward(code, norm);
      }
      code.add(in(), dqkv);
    }

    private void normsBackward(BackwardWriter code, HeadNorm norm) {
      code.line(
          "before = %s.view([tokens, %d, %d])",
          code.keep("unnormed"), turned(), attention.headDim());
      normBackward(code, "[:, :%d]".formatted(heads()), 0, norm.query(), norm);
      normBackward(code, "[:, %d:%d]".formatted(heads(), turned()), 2, norm.key(), norm);
    }

    private void normBackward(BackwardWriter code, String part, int at, Norm norm, HeadNorm all) {
      String bias = headNorms.get(at + 1);
      code.line(
          "__torch__.norm_heads_backward(dheads%s, before%s, %s, %s, %s, %s, %s, %s, beta)",
          part,
          part,
          LayerBlocks.factor(norm, headNorms.get(at)),
          gradientOf(headNorms.get(at)),
          gradientOf(bias),
          norm.eps(),
          centred(norm),
          whole(all));
    }

    @Override
    void step(StepWriter code) {
      code.line(
          "heads = %s.view([-1, %d, %d])",
          in().name(), turned() + attention.kvHeads(), attention.headDim());
      HeadNorm norm = attention.headNorm();
      if (norm != null && !norm.afterRotary()) {
        normsStep(code, norm);
      }
      for (int index : attention.rotaries()) {
        Rotary rotary = rotaries.get(index);
        code.line(
            "__torch__.rotate_step_(torch.narrow(heads, 1, 0, %d), cos[%d], sin[%d], %d, %s)",
            turned(), index, index, rotary.first(), flag(rotary.interleaved()));
      }
      if (norm != null && norm.afterRotary()) {
        normsStep(code, norm);
      }
      code.line(
          "%s = self.attention_step(heads, layer, columns, column, past, hidden, mask, %d, %d,"
              + " self.scales[layer], self.windows[layer], %s)",
          out.name(), heads(), attention.kvHeads(), attention.softcap());
    }

    private void normsStep(StepWriter code, HeadNorm norm) {
      code.line(
          "%s", normCall("norm_heads", "heads[:, :%d]".formatted(heads()), 0, norm.query(), norm));
      code.line(
          "%s",
          normCall(
              "norm_heads", "heads[:, %d:%d]".formatted(heads(), turned()), 2, norm.key(), norm));
    }
  }

  /** mlp.py. */
  static final class ActivationBlock extends LayerBlock {
    private final boolean gated;
    private final String activation;
    private final Value out;

    ActivationBlock(String name, boolean gated, Activation activation, Value in) {
      super(in);
      this.gated = gated;
      this.activation = name(activation);
      out = new Value(name, gated ? in.width() / 2 : in.width(), in.chosen(), this);
    }

    /** Returns an activation as programs name it, in quotes. */
    static String name(Activation activation) {
      return '"' + activation.name().toLowerCase(java.util.Locale.ROOT) + '"';
    }

    @Override
    Value out() {
      return out;
    }

    @Override
    void forward(ForwardWriter code) {
      code.line(
          "%s = __torch__.%s(%s, %s, %s)",
          out.name(), gated ? "gated" : "activate", in().name(), activation, code.buffer(out));
    }

    @Override
    boolean isComputedAgain() {
      return true;
    }

    @Override
    void again(BackwardWriter code) {
      String x = code.read(in());
      String name = out.name();
      if (gated) {
        String activated = activatedGate(code, x);
        code.line(
            "%s = __torch__.times_up(%s, %s, %s)",
            name, activated, x, code.buffer(name, out.rows(), out.width()));
      } else {
        code.line(
            "%s = __torch__.activate(%s, %s, %s)",
            name, x, activation, code.buffer(name, out.rows(), out.width()));
      }
    }

    /** Writes what the backward pass wants of a gate; returns its variable. */
    private String activatedGate(BackwardWriter code, String x) {
      String activated = "activated_" + out.name();
      code.line(
          "%s = __torch__.activated_gate(%s, %s, %s)",
          activated, x, activation, code.buffer(activated, out.rows(), out.width()));
      return activated;
    }

    @Override
    void backward(BackwardWriter code) {
      String x = code.read(in());
      String dm = code.gradient(out);
      if (gated) {
        String activated = code.isPresent(out) ? "activated_" + out.name() : activatedGate(code, x);
        String dx = code.name(in());
        code.line(
            "%s = __torch__.gated_backward(%s, %s, %s, %s, %s)",
            dx, dm, x, activated, activation, code.contribution(in(), dx));
        code.add(in(), dx);
      } else {
        String dx = code.name(in());
        code.line(
            "%s = __torch__.activate_backward(%s, %s, %s, %s)",
            dx, dm, x, activation, code.contribution(in(), dx));
        code.add(in(), dx);
      }
    }

    @Override
    void step(StepWriter code) {
      code.line(
          "%s = __torch__.%s(%s, %s, %s)",
          out.name(),
          gated ? "gated" : "activate",
          in().name(),
          activation,
          code.activated(out.width(), in().name() + ".size(0)"));
    }
  }

  /** A branch's output, which the sum overwrites, and a residual. */
  static final class SumBlock extends LayerBlock {
    private final double branchScale;
    private final double residualScale;
    private final Value out;

    SumBlock(String name, Value branch, double branchScale, Value residual, double residualScale) {
      super(branch, residual);
      this.branchScale = branchScale;
      this.residualScale = residualScale;
      out = new Value(name, branch.width(), branch.chosen(), this);
      branch.becomes(out);
    }

    @Override
    Value out() {
      return out;
    }

    private String addition() {
      String alpha = residualScale == 1 ? "" : ", alpha=" + residualScale;
      return "%s.add_(%s%s)".formatted(out.name(), inputs().get(1).name(), alpha);
    }

    @Override
    void forward(ForwardWriter code) {
      if (branchScale != 1) {
        code.line("%s.mul_(%s)", out.name(), branchScale);
      }
      code.line("%s", addition());
    }

    @Override
    void backward(BackwardWriter code) {
      String d = code.gradient(out);
      code.addShared(inputs().get(1), d, residualScale);
      code.addShared(inputs().get(0), d, branchScale);
    }

    @Override
    void step(StepWriter code) {
      if (branchScale != 1) {
        code.line("%s.mul_(%s)", out.name(), branchScale);
      }
      code.line("%s", addition());
    }
  }

  /** The chosen tokens' rows: behind attention, what nobody reads is not computed. */
  static final class ChoiceBlock extends LayerBlock {
    private final Value out;

    ChoiceBlock(Value in) {
      super(in);
      out = new Value(in.name() + "_chosen", in.width(), true, this);
    }

    @Override
    Value out() {
      return out;
    }

    @Override
    void forward(ForwardWriter code) {
      code.line("%s = __torch__.choose(%s, chosen)", out.name(), in().name());
      code.alias(out.name(), in().name());
    }

    @Override
    boolean isComputedAgain() {
      return true;
    }

    @Override
    void again(BackwardWriter code) {
      String x = code.read(in());
      code.line("%s = __torch__.choose(%s, chosen)", out.name(), x);
      code.alias(out.name(), x);
    }

    @Override
    void backward(BackwardWriter code) {
      code.addShared(
          in(), "__torch__.put_back(%s, chosen, tokens)".formatted(code.gradient(out)), 1);
    }

    @Override
    void step(StepWriter code) {
      code.line("%s = %s", out.name(), in().name());
    }
  }

  /** experts.py. */
  static final class ExpertsBlock extends LayerBlock {
    private final DecoderDescription.Experts experts;
    private final Value out;

    ExpertsBlock(String name, DecoderDescription.Experts experts, Value in) {
      super(in);
      this.experts = experts;
      out = new Value(name, in.width(), in.chosen(), this);
    }

    @Override
    Value out() {
      return out;
    }

    private String settings() {
      return "%s, %s"
          .formatted(flag(experts.renormalised()), ActivationBlock.name(experts.activation()));
    }

    @Override
    void forward(ForwardWriter code) {
      code.line(
          "p, experts = __torch__.route(%s, router, %d, mode)", in().name(), experts.perToken());
      long columns = 2L * experts.width();
      String pairs = "%s * %d".formatted(out.rows(), experts.perToken());
      code.line(
          "expert_in = %s", code.buffer("expert_in", pairs, columns, columns * experts.perToken()));
      code.line(
          "%s = __torch__.experts(%s, p, experts, expert_in_weight, expert_out_weight, %s, mode, expert_in, %s)",
          out.name(), in().name(), settings(), code.buffer(out));
      code.extra("p");
      code.extra("experts");
    }

    @Override
    void backward(BackwardWriter code) {
      String d = code.gradient(out);
      String h = code.read(in());
      String dh = code.name(in());
      code.line(
          "%s = __torch__.experts_backward(%s, %s, p, experts, balance, %s, router, expert_in_weight,"
              + " expert_out_weight, %s, mode, d_router, d_expert_in_weight, d_expert_out_weight, beta, %s)",
          dh, d, h, code.keep("expert_in"), settings(), code.contribution(in(), dh));
      code.add(in(), dh);
    }

    @Override
    void step(StepWriter code) {
      code.line(
          "%s = __torch__.experts_step(%s, router, expert_in_weight, expert_out_weight, %d, %s)",
          out.name(), in().name(), experts.perToken(), settings());
    }
  }

  /** The gate of a shared expert, in experts.py. */
  static final class GateBlock extends LayerBlock {
    private final String gate;
    private final Value out;

    GateBlock(String name, Value y, Value h, String gate) {
      super(y, h);
      this.gate = gate;
      out = new Value(name, y.width(), y.chosen(), this);
    }

    @Override
    Value out() {
      return out;
    }

    @Override
    void forward(ForwardWriter code) {
      code.line(
          "%s = __torch__.open_gate(%s, %s, %s, %s)",
          out.name(), in().name(), inputs().get(1).name(), gate, code.buffer(out));
    }

    @Override
    void backward(BackwardWriter code) {
      String d = code.gradient(out);
      Value h = inputs().get(1);
      String dy = code.name(in());
      code.line("%s = %s", dy, code.contribution(in(), dy));
      String dh = code.name(h);
      code.line("%s = %s", dh, code.contribution(h, dh));
      code.line(
          "__torch__.open_gate_backward(%s, %s, %s, %s, d_%s, beta, %s, %s)",
          d, code.read(in()), code.read(h), gate, gate, dy, dh);
      code.add(in(), dy);
      code.add(h, dh);
    }

    @Override
    void step(StepWriter code) {
      code.line(
          "%s = __torch__.open_gate(%s, %s, %s, torch.empty_like(%s))",
          out.name(), in().name(), inputs().get(1).name(), gate, in().name());
    }
  }
}
