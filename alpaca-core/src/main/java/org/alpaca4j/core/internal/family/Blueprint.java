package org.alpaca4j.core.internal.family;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.IntFunction;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Activation;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Embedding;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.Head;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Linear;
import org.alpaca4j.core.internal.model.DecoderDescription.Mlp;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Order;
import org.alpaca4j.core.internal.model.DecoderDescription.Positions;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.jspecify.annotations.Nullable;

/**
 * What families build their descriptions from: the sizes of a configuration, blocks of these sizes,
 * and what surrounds the layers. What a family does not change is Llama's.
 */
final class Blueprint {
  // Far beyond any model's; a description has an object for each tensor.
  private static final int MAX_LAYERS = 1_000;
  private static final int MAX_EXPERTS = 32_768;

  final ConfigFields config;
  final int vocab;
  final int hidden;
  final int layers;
  final int heads;
  final int kvHeads;
  final int headDim;
  final int intermediate;
  final int maxPositions;
  final double eps;
  private Activation activation;

  private final String family;
  private final Norm.Kind normKind;
  private final boolean normBias;
  private final List<Rotary> rotaries = new ArrayList<>();
  private final List<Layer> made = new ArrayList<>();
  private Positions positions = new Positions.Sequential();
  private Embedding embedding;
  private @Nullable Norm finalNorm;
  private Head head;

  private Blueprint(String family, ConfigFields config, Norm.Kind normKind, boolean normBias) {
    this.family = family;
    this.config = config;
    this.normKind = normKind;
    this.normBias = normBias;
    vocab = config.size("vocab_size");
    hidden = config.size("hidden_size");
    heads = config.size("num_attention_heads");
    layers = config.size("num_hidden_layers");
    if (layers > MAX_LAYERS) {
      throw config.wrong("num_hidden_layers", layers, "at most " + MAX_LAYERS);
    }
    kvHeads = config.sizeUnlessNull("num_key_value_heads", heads);
    if (heads % kvHeads != 0) {
      throw config.wrong("num_key_value_heads", kvHeads, "a divisor of the " + heads + " heads");
    }
    headDim = headDim();
    if (queryRows() > Integer.MAX_VALUE) {
      throw config.wrong("num_attention_heads", heads, "fewer for heads of " + headDim);
    }
    intermediate =
        config.sizeUnlessNull("intermediate_size", (int) Math.min(4L * hidden, Integer.MAX_VALUE));
    maxPositions = config.size("max_position_embeddings");
    eps = config.number("rms_norm_eps");
    activation = activation();
    embedding = tokens("model.embed_tokens", hidden);
    finalNorm = norm("model.norm", hidden);
    head = head(false);
  }

  /** Starts the description of a family with RMS norms. */
  static Blueprint rms(String family, ConfigFields config) {
    return new Blueprint(family, config, Norm.Kind.RMS, false);
  }

  /** Starts the description of a family with other norms. */
  static Blueprint of(String family, ConfigFields config, Norm.Kind kind, boolean normBias) {
    return new Blueprint(family, config, kind, normBias);
  }

  private int headDim() {
    boolean absent = !config.has("head_dim");
    boolean known =
        absent ? config.profile().defaultOf("head_dim") != null : config.get("head_dim") != null;
    if (known) {
      return config.size("head_dim");
    }
    if (hidden % heads != 0) {
      throw config.wrong("hidden_size", hidden, "a multiple of the " + heads + " heads");
    }
    return hidden / heads;
  }

  private Activation activation() {
    String name = config.text("hidden_act", "silu");
    return switch (name) {
      case "silu", "swish" -> Activation.SILU;
      case "gelu", "gelu_python" -> Activation.GELU;
      case "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate" -> Activation.GELU_TANH;
      case "relu" -> Activation.RELU;
      default ->
          throw config.unsupported(
              "hidden_act",
              name,
              "silu, swish, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu");
    };
  }

  /** Sets the activation where the file's name for one means another. */
  Blueprint activation(Activation named, Activation meant) {
    activation = activation == named ? meant : activation;
    return this;
  }

  // Blocks

  /** Returns a matrix [out, in], with a vector [out] if it has a bias. */
  Linear linear(String name, long out, long in, boolean bias) {
    return linear(name, out, in, bias, new Order.Same());
  }

  /** Returns a matrix [out, in] whose rows lie in an order, and likewise those of the bias. */
  Linear linear(String name, long out, long in, boolean bias, Order order) {
    return new Linear(
        Weight.of(name + ".weight", order, out, in),
        bias ? Weight.of(name + ".bias", order, out) : null);
  }

  /** Returns a matrix that the file has as [in, out], with its bias. */
  Linear transposed(String name, long out, long in) {
    return new Linear(
        Weight.of(name + ".weight", new Order.Transposed(), in, out),
        Weight.of(name + ".bias", out));
  }

  /** Returns several, one below the other. */
  static Linear stacked(Linear... parts) {
    List<Weight> weights = new ArrayList<>();
    List<Weight> biases = new ArrayList<>();
    for (Linear part : parts) {
      weights.add(part.weight());
      if (part.bias() != null) {
        biases.add(part.bias());
      }
    }
    return new Linear(Weight.stacked(weights), biases.isEmpty() ? null : Weight.stacked(biases));
  }

  /** Returns the family's norm over so many dimensions. */
  Norm norm(String name, long... shape) {
    return new Norm(
        normKind,
        eps,
        Weight.of(name + ".weight", shape),
        normBias ? Weight.of(name + ".bias", shape) : null);
  }

  /** Returns queries, keys and values from matrices of their own: {@code q_proj} and so on. */
  Linear queryKeyValue(String attention, boolean bias) {
    return stacked(
        linear(attention + ".q_proj", queryRows(), hidden, bias),
        linear(attention + ".k_proj", keyRows(), hidden, bias),
        linear(attention + ".v_proj", keyRows(), hidden, bias));
  }

  /** Returns attention with {@code q_proj}, {@code k_proj}, {@code v_proj} and {@code o_proj}. */
  AttentionBuilder attention(String name, boolean bias, boolean outputBias) {
    return attention(
        queryKeyValue(name, bias), linear(name + ".o_proj", hidden, queryRows(), outputBias));
  }

  /**
   * Returns attention of the configuration's sizes; the first rotary embedding, if there is one.
   */
  AttentionBuilder attention(Linear queryKeyValue, Linear output) {
    return attention(kvHeads, queryKeyValue, output);
  }

  /** Returns attention with another number of heads of keys and values. */
  AttentionBuilder attention(int keyValueHeads, Linear queryKeyValue, Linear output) {
    return new AttentionBuilder(
        heads, keyValueHeads, headDim, queryKeyValue, output, !rotaries.isEmpty());
  }

  /** Returns the order of rows that lie group by group: a group's queries, its key, its value. */
  Order byGroups(int groups) {
    long queries = queryRows() / groups;
    return new Order.Grouped(groups, List.of(queries, (long) headDim, (long) headDim));
  }

  /** Returns a gated MLP with {@code gate_proj}, {@code up_proj} and {@code down_proj}. */
  Dense gated(String name, int width, boolean bias) {
    return gated(name + ".gate_proj", name + ".up_proj", name + ".down_proj", width, bias);
  }

  /** Returns a gated MLP whose matrices have these names. */
  Dense gated(String gate, String up, String down, int width, boolean bias) {
    return new Dense(
        true,
        activation,
        width,
        stacked(linear(gate, width, hidden, bias), linear(up, width, hidden, bias)),
        linear(down, hidden, width, bias));
  }

  /** Returns a gated MLP whose gate and up are one matrix, [gate; up]. */
  Dense fusedGated(String gateUp, String down, int width, boolean bias) {
    return new Dense(
        true,
        activation,
        width,
        linear(gateUp, 2L * width, hidden, bias),
        linear(down, hidden, width, bias));
  }

  /** Returns a mixture of experts, all of one width. */
  Experts experts(
      String router,
      IntFunction<Dense> expert,
      boolean renormalised,
      @Nullable Dense shared,
      @Nullable Weight sharedGate) {
    int count = config.size("num_experts");
    int perToken = config.size("num_experts_per_tok");
    if (perToken > count) {
      throw config.wrong("num_experts_per_tok", perToken, "at most the " + count + " experts");
    }
    if ((long) count * layers > MAX_EXPERTS) {
      throw config.wrong("num_experts", count, "such that all layers have at most " + MAX_EXPERTS);
    }
    List<Weight> in = new ArrayList<>();
    List<Weight> out = new ArrayList<>();
    int width = 0;
    for (int i = 0; i < count; i++) {
      Dense dense = expert.apply(i);
      in.add(dense.in().weight());
      out.add(dense.out().weight());
      width = dense.width();
    }
    return new Experts(
        count,
        perToken,
        renormalised,
        activation,
        width,
        Weight.of(router + ".weight", count, hidden),
        Weight.stacked(in),
        Weight.stacked(out),
        shared,
        sharedGate,
        config.number("router_aux_loss_coef", 0));
  }

  /** Returns an MLP of two matrices. */
  Dense plain(String in, String out, boolean bias) {
    return plain(linear(in, intermediate, hidden, bias), linear(out, hidden, intermediate, bias));
  }

  /** Returns an MLP of two matrices. */
  Dense plain(Linear in, Linear out) {
    return new Dense(false, activation, intermediate, in, out);
  }

  /** Returns a branch with a norm before and one after it. */
  Residual sandwich(String before, String after) {
    return new Residual(norm(before, hidden), norm(after, hidden), null, false, 1, 1);
  }

  /** Returns what the tensors of a layer begin with in most families. */
  static String layer(int index) {
    return "model.layers." + index;
  }

  /** Returns a layer as Llama's: {@code input_layernorm}, {@code post_attention_layernorm}. */
  Layer llamaLayer(int index, AttentionBuilder attention, Mlp mlp) {
    return preNorm(
        attention,
        norm(layer(index) + ".input_layernorm", hidden),
        mlp,
        norm(layer(index) + ".post_attention_layernorm", hidden));
  }

  /** Returns a layer of x + attention(norm(x)), then x + mlp(norm(x)). */
  static Layer preNorm(AttentionBuilder attention, Norm first, Mlp mlp, Norm second) {
    return new Layer(
        attention.build(), Residual.preNorm(first), mlp, Residual.preNorm(second), false);
  }

  /** Returns a layer of x + attention(norm(x)) + mlp(norm(x)); null: both have the same norm. */
  static Layer parallel(AttentionBuilder attention, Norm norm, Mlp mlp, @Nullable Norm mlpNorm) {
    return new Layer(
        attention.build(), Residual.preNorm(norm), mlp, Residual.preNorm(mlpNorm), true);
  }

  long queryRows() {
    return (long) heads * headDim;
  }

  long keyRows() {
    return (long) kvHeads * headDim;
  }

  // What surrounds the layers

  /** Adds the rotary embedding that all layers have. */
  Blueprint rotary() {
    return rotary(RotaryFields.of(config).rotary(headDim, maxPositions, false));
  }

  /** Adds the rotary embedding that all layers have; pairs are neighbours. */
  Blueprint interleavedRotary() {
    return rotary(RotaryFields.of(config).rotary(headDim, maxPositions, true));
  }

  /** Adds a rotary embedding; layers know it by its place. */
  Blueprint rotary(Rotary rotary) {
    rotaries.add(rotary);
    return this;
  }

  Blueprint positions(Positions value) {
    positions = value;
    return this;
  }

  /** Sets the embedding of tokens; default {@code model.embed_tokens}. */
  Blueprint embedding(String name) {
    embedding = tokens(name, hidden);
    return this;
  }

  /** Sets all of the embedding. */
  Blueprint embedding(Embedding value) {
    embedding = value;
    return this;
  }

  /** Sets what rows of the embedding are multiplied by; default 1. */
  Blueprint embeddingScale(double scale) {
    return embedding(new Embedding(embedding.tokens(), hidden, scale, null, 0, null, null));
  }

  private Embedding tokens(String name, int width) {
    Weight weight = Weight.of(name + ".weight", vocab, width);
    return new Embedding(weight, width, 1, null, 0, null, null);
  }

  /** Sets the norm before the head; default {@code model.norm}. */
  Blueprint finalNorm(@Nullable Norm value) {
    finalNorm = value;
    return this;
  }

  /** Sets the head; default as {@code tie_word_embeddings} says, without bias. */
  Blueprint head(Head value) {
    head = value;
    return this;
  }

  /** Returns a head: the embedding if tied, else the matrix that the profile names. */
  Head head(boolean bias) {
    boolean tied = config.flag("tie_word_embeddings", false);
    String name = config.profile().head();
    String biasName = name.substring(0, name.lastIndexOf('.')) + ".bias";
    return new Head(
        null,
        tied ? null : Weight.of(name, vocab, hidden),
        bias ? Weight.of(biasName, vocab) : null,
        1,
        0,
        false);
  }

  Blueprint layers(IntFunction<Layer> layer) {
    for (int i = 0; i < layers; i++) {
      made.add(layer.apply(i));
    }
    return this;
  }

  DecoderDescription build() {
    return new DecoderDescription(
        family,
        vocab,
        hidden,
        maxPositions,
        positions,
        embedding,
        List.copyOf(rotaries),
        Collections.unmodifiableList(made),
        finalNorm,
        head);
  }
}
