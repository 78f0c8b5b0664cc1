package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.alpaca4j.core.internal.model.DecoderDescription.Alibi;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.alpaca4j.core.internal.torch.Fill;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.jspecify.annotations.Nullable;

/**
 * Runs the program of one layer of a decoder in fp64, or fp32, on numbers from Java: random weights
 * and inputs, packed examples that share beginnings. Queries are cut into blocks of three, so that
 * the few tokens are several of them.
 */
final class LayerProbe implements AutoCloseable {
  /** Segments: tokens, the segment that is continued, tokens that see each other. */
  static final long[][] TREE = {{5, -1, 0}, {3, 0, 0}, {1, -1, 0}, {2, 1, 0}, {4, 0, 0}};

  static final long[][] CONTEXTS = {{6, -1, 4}, {5, -1, 0}, {4, -1, 4}, {1, -1, 1}};

  static final int[] ALL = {};

  /** What a call reads and writes. */
  static final class Numbers {
    double[] x;
    double[] dz;
    double[] balance;
    List<double[]> weights = new ArrayList<>();
  }

  /** Gradients: null for a weight that is not trained. */
  record Gradients(double[] x, List<double[]> weights) {}

  final DecoderDescription description;
  final UnitLayout layout;
  private final int layer;
  private final NDManager manager = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  private final TorchProgram program;
  private final DecoderProgram text;
  private final int width;
  private final int kind;
  private NDManager examples;
  private DataType dtype;
  private long[][] segments;
  private int tokens;
  private NDArray[] cos;
  private NDArray[] sin;
  private NDArray bias;

  /** Of dropout; -1: there is none. */
  long dropoutSeed = -1;

  /** What the slabs hold before they are used. */
  double garbage = Double.NaN;

  LayerProbe(DecoderDescription description, int layer) {
    this(description, layer, false);
  }

  /**
   * Compiles the program.
   *
   * @param kernel whether the CPU's fused attention is used where it can be
   */
  LayerProbe(DecoderDescription description, int layer, boolean kernel) {
    Torch.initialize();
    this.description = description;
    this.layer = layer;
    text = new DecoderProgram(description);
    layout = DecoderLayout.units(description, text).get(1 + layer);
    Map<String, Object> constants = new HashMap<>(text.constants());
    constants.put("cpu_kernel", kernel);
    constants.put("longest_by_products", 0L);
    constants.put("block", 3L);
    constants.put("loss_rows", 2L);
    constants.put("packed", TorchProgram.State.PACKED_MATRICES);
    List<String> texts = new ArrayList<>();
    for (String block : DecoderProgram.BLOCKS) {
      texts.add(TorchProgram.read(DecoderProgram.class, block));
    }
    for (String file :
        List.of(AttentionKernels.WITHOUT, "loss.py", "decoder.py", "packing.py", "probe.py")) {
      texts.add(TorchProgram.read(DecoderProgram.class, file));
    }
    texts.add("# methods\n" + text.layerText(true, true));
    program = TorchProgram.load(Device.cpu(), "layer", constants, texts);
    width = description.hiddenSize();
    kind = (int) ((long[]) text.constants().get("kinds"))[layer];
    examples = manager.newSubManager();
  }

  /** Sets the examples, and the type of all numbers. */
  LayerProbe with(long[][] changed, DataType type) {
    segments = changed;
    dtype = type;
    examples.close();
    examples = manager.newSubManager();
    tokens = (int) Arrays.stream(segments).mapToLong(segment -> segment[0]).sum();
    float[] positions = positions();
    cos = new NDArray[description.rotaries().size()];
    sin = new NDArray[cos.length];
    for (int i = 0; i < cos.length; i++) {
      Rotary rotary = description.rotaries().get(i);
      NDList tables =
          program.call(
              examples,
              "rotary_tables",
              examples.create(rotary.blockPositions() ? blocks() : positions),
              frequencies(rotary),
              examples.create((float) rotary.scaling().attentionScaling()),
              examples.zeros(new Shape(1), dtype));
      cos[i] = tables.get(0);
      sin[i] = tables.get(1);
    }
    bias = biases();
    return this;
  }

  private NDArray frequencies(Rotary rotary) {
    float[] row =
        rotary
            .scaling()
            .inverseFrequencies(rotary.theta(), rotary.dims(), description.maxPositions(), tokens);
    return examples.create(row, new Shape(1, row.length));
  }

  private float[] positions() {
    float[] positions = new float[tokens];
    float[] ends = new float[segments.length];
    int at = 0;
    for (int i = 0; i < segments.length; i++) {
      float position = segments[i][1] < 0 ? 0 : ends[(int) segments[i][1]];
      for (int j = 0; j < segments[i][0]; j++) {
        positions[at++] = position++;
      }
      ends[i] = position;
    }
    return positions;
  }

  /** Block positions count behind a segment's context. */
  private float[] blocks() {
    float[] blocks = new float[tokens];
    int at = 0;
    for (long[] segment : segments) {
      for (int j = 0; j < segment[0]; j++) {
        blocks[at++] = Math.max(0, j + 1 - segment[2]);
      }
    }
    return blocks;
  }

  private NDArray biases() {
    Alibi alibi = attention().alibi();
    if (alibi == null) {
      return examples.create(new float[0], new Shape(0, 0));
    }
    float[] all = new float[description.prefixLength() + tokens];
    for (int i = 0; i < all.length; i++) {
      all[i] = i;
    }
    return program.callForOne(
        examples,
        "alibi_biases",
        examples.create(PositionEncodings.alibiSlopes(attention().heads())),
        examples.create(all));
  }

  private Attention attention() {
    return description.layers().get(layer).attention();
  }

  int tokens() {
    return tokens;
  }

  /** Random numbers for this layer, of which some tokens' output is read. */
  Numbers random(long seed, int... chosen) {
    Random random = new Random(seed);
    int rows = chosen.length == 0 ? tokens : chosen.length;
    Numbers numbers = new Numbers();
    numbers.x = normal(random, tokens * width, 0, 1);
    numbers.dz = normal(random, rows * width, 0, 1);
    for (UnitLayout.Argument argument : layout.arguments()) {
      int elements =
          (int) argument.shape().stream().mapToLong(Long::longValue).reduce(1, (a, b) -> a * b);
      boolean matrix = argument.flat() != UnitLayout.PLAIN;
      double mean = argument.name().endsWith("norm_weight") ? 1 : 0;
      double deviation = matrix ? 1 / Math.sqrt(argument.shape().get(1)) : 0.3;
      numbers.weights.add(normal(random, elements, mean, deviation));
    }
    boolean routed = description.layers().get(layer).mlp() instanceof Experts;
    int experts = routed ? ((Experts) description.layers().get(layer).mlp()).count() : 0;
    numbers.balance = normal(random, rows * experts, 0, 1);
    return numbers;
  }

  static double[] normal(Random random, int count, double mean, double deviation) {
    double[] values = new double[count];
    Arrays.setAll(values, i -> mean + deviation * random.nextGaussian());
    return values;
  }

  private NDArray array(NDManager scope, double[] values, long... shape) {
    NDArray array = scope.create(values, new Shape(shape));
    return dtype == DataType.FLOAT64 ? array : array.toType(dtype, false);
  }

  private NDArray slab(NDManager scope, String widths) {
    long elements = tokens * ((long[]) text.constants().get(widths))[kind];
    return scope.full(new Shape(elements), (float) garbage, dtype);
  }

  private NDArray[] weights(NDManager scope, List<double[]> values) {
    NDArray[] arrays = new NDArray[values.size()];
    for (int i = 0; i < arrays.length; i++) {
      arrays[i] =
          values.get(i) == null
              ? scope.create(new Shape(0), dtype)
              : array(scope, values.get(i), layout.arguments().get(i).shapeArray());
    }
    return arrays;
  }

  private NDArray[] batch(NDManager scope, int... chosen) {
    long[] flat = Arrays.stream(segments).flatMapToLong(Arrays::stream).toArray();
    return new NDArray[] {
      scope.create(flat, new Shape(segments.length, 3)),
      scope.create(Arrays.stream(chosen).asLongStream().toArray()),
      scope.create(new int[0]),
      bias,
      PackedInput.seed(scope, dropoutSeed)
    };
  }

  private static double[] doubles(NDArray array) {
    return array.toType(DataType.FLOAT64, false).toDoubleArray();
  }

  /** The output, of the pass that keeps nothing. */
  double[] output(Numbers numbers, int... chosen) {
    try (NDManager scope = manager.newSubManager()) {
      return doubles(
          program.callForOne(
              scope,
              "forward",
              array(scope, numbers.x, tokens, width),
              scope.create(new long[] {layer}),
              scope.create(new long[] {0}),
              batch(scope, chosen),
              cos,
              sin,
              weights(scope, numbers.weights)));
    }
  }

  /** The output, of the pass that keeps what backward needs; and the experts' probabilities. */
  List<double[]> keeping(Numbers numbers, int... chosen) {
    try (NDManager scope = manager.newSubManager()) {
      NDArray kept = slab(scope, "kept_widths");
      NDList results = keeping(scope, numbers, kept, slab(scope, "scratch_widths"), chosen);
      double[] p = numbers.balance.length == 0 ? new double[0] : doubles(results.get(1));
      return List.of(doubles(results.get(0)), p);
    }
  }

  private NDList keeping(
      NDManager scope, Numbers numbers, NDArray kept, NDArray scratch, int... chosen) {
    return program.call(
        scope,
        "forward_keeping",
        array(scope, numbers.x, tokens, width),
        scope.create(new long[] {layer}),
        scope.create(new long[] {0}),
        batch(scope, chosen),
        cos,
        sin,
        weights(scope, numbers.weights),
        kept,
        scratch);
  }

  /** What the gradients belong to: dz times the output, and balance times the probabilities. */
  double objective(Numbers numbers, int... chosen) {
    List<double[]> results = keeping(numbers, chosen);
    return dot(results.get(0), numbers.dz) + dot(results.get(1), numbers.balance);
  }

  static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < b.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  /** Whether a weight is never trained: a matrix beside adapters. */
  boolean isFrozen(int argument) {
    return description.isAdapted() && layout.arguments().get(argument).flat() == UnitLayout.DECAYED;
  }

  /** Gradients of all trained weights, into memory full of garbage. */
  Gradients backward(Numbers numbers, boolean recompute, int... chosen) {
    List<double @Nullable []> before = new ArrayList<>();
    for (int i = 0; i < numbers.weights.size(); i++) {
      double[] values = new double[numbers.weights.get(i).length];
      Arrays.fill(values, garbage);
      before.add(isFrozen(i) ? null : values);
    }
    return backward(numbers, before, 0, recompute, chosen);
  }

  /**
   * As {@link #backward(Numbers, boolean, int...)}.
   *
   * @param before what the gradients are before, null for those not wanted
   * @param beta how much of them is left
   */
  Gradients backward(
      Numbers numbers,
      List<double @Nullable []> before,
      float beta,
      boolean recompute,
      int... chosen) {
    try (NDManager scope = manager.newSubManager()) {
      NDArray kept = slab(scope, "kept_widths");
      NDArray scratch = slab(scope, "scratch_widths");
      NDArray dz = array(scope, numbers.dz, numbers.dz.length / width, width);
      NDArray[] gradients = weights(scope, before);
      List<Object> arguments =
          new ArrayList<>(
              List.of(
                  array(scope, numbers.x, tokens, width),
                  dz,
                  scope.create(new long[] {layer}),
                  scope.create(new long[] {0}),
                  scope.create(beta),
                  numbers.balance.length == 0
                      ? scope.create(new float[0])
                      : array(
                          scope, numbers.balance, dz.size(0), numbers.balance.length / dz.size(0)),
                  batch(scope, chosen),
                  cos,
                  sin,
                  weights(scope, numbers.weights),
                  gradients,
                  kept,
                  scratch));
      NDArray dx;
      if (recompute) {
        dx = program.callForOne(scope, "backward_recomputing", arguments.toArray());
      } else {
        NDList results = keeping(scope, numbers, kept, scratch, chosen);
        Fill.with(scratch, garbage); // what is there belongs to one call
        arguments.add(results.subNDList(1).toArray(new NDArray[0]));
        dx = program.callForOne(scope, "backward", arguments.toArray());
      }
      List<double[]> of = new ArrayList<>();
      for (int i = 0; i < gradients.length; i++) {
        of.add(before.get(i) == null ? null : doubles(gradients[i]));
      }
      double[] after = doubles(dz);
      if (!Arrays.equals(after, doubles(array(scope, numbers.dz, numbers.dz.length)))) {
        throw new AssertionError("the output's gradient was changed");
      }
      return new Gradients(doubles(dx), of);
    }
  }

  /**
   * The output of some tokens of one example, which follow {@code prompt} others: decoding steps
   * with a cache that the forward pass has filled.
   */
  double[] steps(Numbers numbers, int prompt) {
    Attention attention = attention();
    try (NDManager scope = manager.newSubManager()) {
      NDArray[] frequencies =
          description.rotaries().stream().map(this::frequencies).toArray(NDArray[]::new);
      NDArray[] scales =
          description.rotaries().stream()
              .map(rotary -> scope.create((float) rotary.scaling().attentionScaling()))
              .toArray(NDArray[]::new);
      float[] numbered = Arrays.copyOf(positions(), 2 * tokens);
      System.arraycopy(blocks(), 0, numbered, tokens, tokens);
      NDArray[] batch = batch(scope);
      NDArray beginning = scope.create(new long[] {prompt, -1, Math.min(prompt, segments[0][2])});
      return doubles(
          program.callForOne(
              scope,
              "steps",
              array(scope, numbers.x, tokens, width),
              scope.create(new long[] {layer, prompt, attention.kvHeads(), attention.headDim()}),
              prefix(scope, numbers),
              beginning.reshape(1, 3),
              batch[2],
              batch[3],
              cos,
              sin,
              scope.create(numbered, new Shape(2, tokens)),
              frequencies,
              scales,
              scope.create(
                  description.rotaries().stream()
                      .mapToLong(rotary -> rotary.blockPositions() ? 1 : 0)
                      .toArray()),
              weights(scope, numbers.weights)));
    }
  }

  private NDArray prefix(NDManager scope, Numbers numbers) {
    for (int i = 0; i < layout.arguments().size(); i++) {
      if (layout.arguments().get(i).name().equals(LayerRecipe.PREFIX)) {
        return weights(scope, numbers.weights)[i];
      }
    }
    return scope.create(new Shape(0, 0), dtype);
  }

  @Override
  public void close() {
    program.close();
    manager.close();
  }
}
