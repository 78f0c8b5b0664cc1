package org.alpaca4j.core.internal.model;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.internal.model.DecoderDescription.Activation;
import org.alpaca4j.core.internal.model.DecoderDescription.Alibi;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Embedding;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.Head;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm.Span;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Linear;
import org.alpaca4j.core.internal.model.DecoderDescription.Mlp;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Positions;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.jspecify.annotations.Nullable;

/**
 * A decoder of one small layer: Llama's, unless a case changes something. Every block and every
 * setting of a block has its case, whether a family has it or not. Sizes are random.
 */
final class RandomDecoder {
  /** What each case changes, by name. */
  private static final Map<String, Consumer<RandomDecoder>> CASES = new LinkedHashMap<>();

  static {
    // norms
    add("Llama", d -> {});
    add("RMS norms with weights that differ from 1", d -> d.kind = Norm.Kind.RMS_PLUS_ONE);
    add("layer norms", d -> d.norms(Norm.Kind.LAYER, true, true));
    add("layer norms without biases", d -> d.norms(Norm.Kind.LAYER, true, false));
    add("layer norms without weights and biases", d -> d.norms(Norm.Kind.LAYER, false, false));
    add("no norm before attention", d -> d.before = false);
    add("norms after the branches", d -> d.after = true);
    add("norms after the branches alone", d -> d.norms(false, true, false));
    add("norms of the sums", d -> d.norms(true, false, true));
    add("norms of the sums alone", d -> d.norms(false, false, true));
    add(
        "layer norms everywhere",
        d -> {
          d.norms(Norm.Kind.LAYER, true, true);
          d.norms(true, true, true);
        });
    // norms of heads
    for (Span span : Span.values()) {
      for (boolean after : new boolean[] {false, true}) {
        String where = (after ? " behind" : " before") + " the rotary embedding";
        String what = span.name().toLowerCase(java.util.Locale.ROOT) + where;
        add("RMS norm of a " + what, d -> d.headNorm(Norm.Kind.RMS, true, false, span, after));
        add("layer norm of a " + what, d -> d.headNorm(Norm.Kind.LAYER, true, true, span, after));
      }
    }
    add(
        "RMS norm of a head with a weight that differs from 1",
        d -> d.headNorm(Norm.Kind.RMS_PLUS_ONE, true, false, Span.HEAD, false));
    add(
        "layer norm of a head without a bias",
        d -> d.headNorm(Norm.Kind.LAYER, true, false, Span.HEAD_WITH_OWN_WEIGHTS, true));
    // linear
    add("biases of queries, keys and values", d -> d.qkvBias = true);
    add("biases", d -> d.qkvBias = d.outputBias = d.mlpBias = true);
    // rotary
    add("neighbours that turn", d -> d.rotary(new Turn(0, d.headDim, true, false)));
    add("some dimensions that turn", d -> d.rotary(new Turn(0, d.headDim - 2, false, false)));
    add("some neighbours that turn", d -> d.rotary(new Turn(2, d.headDim - 2, true, false)));
    add("the last dimensions turn", d -> d.rotary(new Turn(2, d.headDim - 2, false, false)));
    add(
        "two rotary embeddings",
        d -> {
          d.headDim = 8;
          d.rotary(new Turn(0, 4, false, false), new Turn(4, 4, false, true));
        });
    add("no rotary embedding", d -> d.rotary());
    // attention
    add("a key head per query head", d -> d.heads = d.kvHeads);
    add("one key head", d -> d.kvHeads = 1);
    add("a window", d -> d.window = 3);
    add("a window of 1", d -> d.window = 1);
    add("capped scores", d -> d.softcap = 1.5);
    add("capped scores in a window", d -> d.window(4, 0.7));
    add("biases by distance", d -> d.alibi(new Alibi(false, false)));
    add("rounded and scaled biases by distance", d -> d.alibi(new Alibi(true, true)));
    add("another scale", d -> d.scale = 1.3);
    add("a prefix", d -> d.prefix = 2);
    add("a prefix and a window", d -> d.window(d.prefix = 3, 0.9));
    add(
        "a prefix and biases by distance",
        d -> {
          d.prefix = 1;
          d.alibi(new Alibi(false, false));
        });
    add(
        "a prefix before a context",
        d -> {
          d.prefix = 2;
          d.context = true;
          d.headDim = 8;
          d.rotary(new Turn(0, 4, false, false), new Turn(4, 4, false, true));
        });
    add(
        "a context that sees itself in both directions",
        d -> {
          d.context = true;
          d.headDim = 8;
          d.rotary(new Turn(0, 4, false, false), new Turn(4, 4, false, true));
        });
    // activations
    for (Activation activation : Activation.values()) {
      String name = activation.name().toLowerCase(java.util.Locale.ROOT);
      add("gated " + name, d -> d.activation(activation, true));
      add("plain " + name, d -> d.activation(activation, false));
    }
    // sums
    add("scaled branches", d -> d.branchScale = 0.3);
    add("scaled residuals", d -> d.residualScale = 1.7);
    add(
        "normed and scaled residuals",
        d -> {
          d.ofNormed = true;
          d.residualScale = 2.4;
        });
    add("parallel branches", d -> d.parallel = true);
    add("parallel branches of one norm", d -> d.parallel(1, 1));
    add("scaled parallel branches of one norm", d -> d.parallel(0.6, 1.4));
    add(
        "parallel branches with scales and layer norms",
        d -> {
          d.norms(Norm.Kind.LAYER, true, true);
          d.parallel(0.6, 1.4);
          d.mlpNorm = true;
        });
    // experts
    add("experts", d -> d.experts(true, false, false));
    add("experts whose weights do not sum up to 1", d -> d.experts(false, false, false));
    add("a shared expert", d -> d.experts(true, true, false));
    add("a shared expert with a gate", d -> d.experts(false, true, true));
    add("every expert for each token", d -> d.experts = d.expertsPerToken = 3);
    add(
        "experts beside attention",
        d -> {
          d.experts(true, true, true);
          d.parallel(1, 1);
        });
    add(
        "experts with norms everywhere",
        d -> {
          d.experts(false, true, true);
          d.norms(true, true, true);
        });
  }

  private record Turn(int first, int dims, boolean interleaved, boolean block) {}

  private final Random random;
  final int hidden;
  final int vocab;
  int heads;
  int kvHeads;
  int headDim;
  private final int width;
  private double scale;
  private int window;
  private double softcap;
  private boolean qkvBias;
  private boolean outputBias;
  private boolean mlpBias;
  private @Nullable HeadNorm headNorm;
  private List<Turn> turns;
  private @Nullable Alibi alibi;
  private int prefix;
  boolean context;
  private Norm.Kind kind = Norm.Kind.RMS;
  private boolean normWeight = true;
  private boolean normBias;
  private boolean before = true;
  private boolean mlpNorm = true;
  private boolean after;
  private boolean sum;
  private boolean ofNormed;
  private boolean parallel;
  private double branchScale = 1;
  private double residualScale = 1;
  private Activation activation = Activation.SILU;
  private boolean gated = true;
  private int experts;
  private int expertsPerToken = 2;
  private boolean renormalised = true;
  private boolean shared;
  private boolean sharedGate;
  @Nullable Embedding embedding;
  boolean finalNorm = true;
  @Nullable Head head;

  private static void add(String name, Consumer<RandomDecoder> change) {
    CASES.put(name, change);
  }

  RandomDecoder(long seed) {
    random = new Random(seed);
    hidden = 2 * between(4, 8);
    vocab = between(11, 30);
    kvHeads = between(2, 3);
    heads = kvHeads * between(2, 3);
    headDim = 2 * between(2, 4);
    width = between(5, 11);
    scale = 1 / Math.sqrt(headDim);
    rotary(new Turn(0, headDim, false, false));
  }

  /** Returns the names of all cases of a layer. */
  static List<String> cases() {
    return List.copyOf(CASES.keySet());
  }

  /** Makes the decoder of a case. */
  static RandomDecoder of(String name, long seed) {
    RandomDecoder decoder = new RandomDecoder(seed);
    CASES.get(name).accept(decoder);
    return decoder;
  }

  /** Makes the decoder of a case with heads as wide as kernels want them. */
  static RandomDecoder withWideHeads(String name) {
    RandomDecoder decoder = new RandomDecoder(5);
    decoder.headDim = 16;
    decoder.rotary(new Turn(0, decoder.headDim, false, false));
    CASES.get(name).accept(decoder);
    return decoder;
  }

  /** Makes the decoder of a layer that has as little as possible in common with Llama's. */
  static RandomDecoder everythingElse() {
    RandomDecoder decoder = new RandomDecoder(1);
    decoder.qkvBias = decoder.outputBias = decoder.mlpBias = true;
    decoder.headNorm(Norm.Kind.LAYER, true, true, Span.PROJECTION, true);
    decoder.norms(Norm.Kind.LAYER, true, true);
    decoder.rotary(new Turn(0, 2, true, false), new Turn(2, 2, false, false));
    decoder.window(4, 30);
    decoder.activation(Activation.GELU_TANH, true);
    decoder.experts(true, true, true);
    decoder.parallel(0.5, 2);
    return decoder;
  }

  int between(int low, int high) {
    return low + random.nextInt(high - low + 1);
  }

  void norms(Norm.Kind changed, boolean weight, boolean bias) {
    kind = changed;
    normWeight = weight;
    normBias = bias;
  }

  private void norms(boolean first, boolean second, boolean third) {
    before = first;
    mlpNorm = first;
    after = second;
    sum = third;
  }

  private void headNorm(Norm.Kind of, boolean weight, boolean bias, Span span, boolean behind) {
    Norm.Kind kindBefore = kind;
    norms(of, weight, bias);
    headNorm =
        new HeadNorm(
            norm("query_norm", shape(span, heads)),
            norm("key_norm", shape(span, kvHeads)),
            span,
            behind);
    norms(kindBefore, true, false);
  }

  private long[] shape(Span span, int count) {
    return switch (span) {
      case HEAD -> new long[] {headDim};
      case HEAD_WITH_OWN_WEIGHTS -> new long[] {count, headDim};
      case PROJECTION -> new long[] {(long) count * headDim};
    };
  }

  private void rotary(Turn... changed) {
    turns = List.of(changed);
  }

  private void alibi(Alibi value) {
    alibi = value;
    rotary();
  }

  private void window(int tokens, double cap) {
    window = tokens;
    softcap = cap;
  }

  private void activation(Activation value, boolean withGate) {
    activation = value;
    gated = withGate;
  }

  private void parallel(double branch, double residual) {
    parallel = true;
    mlpNorm = false;
    branchScale = branch;
    residualScale = residual;
  }

  private void experts(boolean sumToOne, boolean common, boolean gate) {
    experts = 5;
    renormalised = sumToOne;
    shared = common;
    sharedGate = gate;
  }

  boolean hasExperts() {
    return experts > 0;
  }

  Norm norm(String name, long... shape) {
    return new Norm(
        kind,
        1e-3, // large enough to matter
        normWeight ? Weight.of(name + ".weight", shape) : null,
        normBias ? Weight.of(name + ".bias", shape) : null);
  }

  static Linear linear(String name, long out, long in, boolean bias) {
    return new Linear(
        Weight.of(name + ".weight", out, in), bias ? Weight.of(name + ".bias", out) : null);
  }

  private Dense dense(String name, boolean withGate) {
    return new Dense(
        withGate,
        activation,
        width,
        linear(name + ".in", withGate ? 2L * width : width, hidden, mlpBias),
        linear(name + ".out", hidden, width, mlpBias));
  }

  private Mlp mlp() {
    if (experts == 0) {
      return dense("mlp", gated);
    }
    return new Experts(
        experts,
        expertsPerToken,
        renormalised,
        activation,
        width,
        Weight.of("router.weight", experts, hidden),
        Weight.of("experts.in.weight", 2L * experts * width, hidden),
        Weight.of("experts.out.weight", (long) experts * hidden, width),
        shared ? dense("shared", true) : null,
        sharedGate ? Weight.of("gate.weight", 1, hidden) : null,
        0);
  }

  private Residual around(String name, boolean normBefore) {
    return new Residual(
        normBefore ? norm(name + ".before", hidden) : null,
        after ? norm(name + ".after", hidden) : null,
        sum ? norm(name + ".sum", hidden) : null,
        ofNormed,
        residualScale,
        branchScale);
  }

  DecoderDescription build() {
    Attention attention =
        new Attention(
            heads,
            kvHeads,
            headDim,
            scale,
            window,
            softcap,
            linear("qkv", (heads + 2L * kvHeads) * headDim, hidden, qkvBias),
            linear("output", hidden, (long) heads * headDim, outputBias),
            headNorm,
            java.util.stream.IntStream.range(0, turns.size()).boxed().toList(),
            alibi,
            prefix == 0 ? null : Weight.of("prefix", 2L * prefix, (long) kvHeads * headDim));
    Layer layer =
        new Layer(attention, around("attention", before), mlp(), around("mlp", mlpNorm), parallel);
    Weight tokens = Weight.of("tokens.weight", vocab, hidden);
    return new DecoderDescription(
        "random",
        vocab,
        hidden,
        64,
        new Positions.Sequential(),
        embedding == null ? new Embedding(tokens, hidden, 1, null, 0, null, null) : embedding,
        turns.stream()
            .map(
                turn ->
                    new Rotary(
                        turn.first(),
                        turn.dims(),
                        turn.interleaved(),
                        100,
                        RopeScaling.DEFAULT,
                        turn.block(),
                        false))
            .toList(),
        List.of(layer),
        finalNorm ? norm("final", hidden) : null,
        head == null ? new Head(null, tokens, null, 1, 0, false) : head);
  }
}
