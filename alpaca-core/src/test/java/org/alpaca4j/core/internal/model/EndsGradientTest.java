package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.DoubleUnaryOperator;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.alpaca4j.core.internal.model.DecoderDescription.Embedding;
import org.alpaca4j.core.internal.model.DecoderDescription.Head;
import org.alpaca4j.core.internal.model.DecoderDescription.Linear;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The backward passes before the first layer and behind the last one against finite differences, in
 * fp64 through the real programs.
 */
class EndsGradientTest {
  private static final double STEP = 1e-5;
  private static final long SEED = 1;
  private static final int TOKENS = 7;

  /** Two examples share a token; not every token's output is read. */
  private static final long[] ROWS = {2, 0, 6, 2, 5};

  /** What each of their losses is multiplied with. */
  private static final float[] SCALES = {0.75f, 0.75f, 0, 2.5f, 0.01f};

  private static final Map<String, Consumer<RandomDecoder>> EMBEDDINGS = new LinkedHashMap<>();
  private static final Map<String, Consumer<RandomDecoder>> HEADS = new LinkedHashMap<>();

  static {
    EMBEDDINGS.put("rows of a matrix", d -> {});
    EMBEDDINGS.put("scaled rows", d -> embedding(d, 2.5, false, false, false));
    EMBEDDINGS.put("learned positions", d -> embedding(d, 1, true, false, false));
    EMBEDDINGS.put("a norm", d -> embedding(d, 1, false, true, false));
    EMBEDDINGS.put("a projection", d -> embedding(d, 1, false, false, true));
    EMBEDDINGS.put("all of it", d -> embedding(d, 0.3, true, true, true));

    HEADS.put("an RMS norm", d -> {});
    HEADS.put(
        "an RMS norm with a weight that differs from 1",
        d -> d.norms(Norm.Kind.RMS_PLUS_ONE, true, false));
    HEADS.put("a layer norm", d -> d.norms(Norm.Kind.LAYER, true, true));
    HEADS.put("a layer norm without a bias", d -> d.norms(Norm.Kind.LAYER, true, false));
    HEADS.put("no norm", d -> d.finalNorm = false);
    HEADS.put("a projection", d -> head(d, true, false, 1, 0, false));
    HEADS.put("a bias", d -> head(d, false, true, 1, 0, false));
    HEADS.put("scaled logits", d -> head(d, false, false, 0.4, 0, false));
    HEADS.put("capped logits", d -> head(d, false, false, 1, 1.5, false));
    HEADS.put("normalised rows", d -> head(d, false, false, 1, 0, true));
    HEADS.put("scaled and capped logits with a bias", d -> head(d, false, true, 1.7, 2, false));
    HEADS.put(
        "normalised rows, scaled and capped, of a projection without a norm",
        d -> {
          d.finalNorm = false;
          head(d, true, false, 3, 2, true);
        });
  }

  private static void embedding(
      RandomDecoder d, double scale, boolean positions, boolean norm, boolean projection) {
    int width = projection ? d.hidden + 3 : d.hidden;
    d.norms(Norm.Kind.LAYER, true, true);
    d.embedding =
        new Embedding(
            Weight.of("tokens", d.vocab, width),
            width,
            scale,
            positions ? Weight.of("positions", 12, d.hidden) : null,
            positions ? 2 : 0,
            norm ? d.norm("norm", d.hidden) : null,
            projection ? RandomDecoder.linear("projection", d.hidden, width, false) : null);
  }

  private static void head(
      RandomDecoder d,
      boolean projection,
      boolean bias,
      double multiplier,
      double softcap,
      boolean normalised) {
    int width = projection ? d.hidden - 3 : d.hidden;
    Linear linear = projection ? RandomDecoder.linear("p", width, d.hidden, false) : null;
    d.head =
        new Head(
            linear,
            Weight.of("head", d.vocab, width),
            bias ? Weight.of("head.bias", d.vocab) : null,
            multiplier,
            softcap,
            normalised);
  }

  private final NDManager scope = start();
  private @Nullable TorchProgram program;

  private static NDManager start() {
    Torch.initialize();
    return NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  }

  /** Arguments of a program that are weights; null where there is none. */
  private static final class Weights {
    final List<String> names = new ArrayList<>();
    final List<double @Nullable []> values = new ArrayList<>();
    final List<long[]> shapes = new ArrayList<>();

    Weights add(UnitLayout unit, Random random, String... wanted) {
      for (String name : wanted) {
        UnitLayout.Argument argument =
            unit.arguments().stream().filter(a -> a.name().equals(name)).findAny().orElse(null);
        long[] shape = argument == null ? new long[] {0} : argument.shapeArray();
        int elements = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        double mean = name.equals("norm") ? 1 : 0;
        names.add(name);
        shapes.add(shape);
        values.add(argument == null ? null : LayerProbe.normal(random, elements, mean, 0.5));
      }
      return this;
    }

    /** As many, of a value. */
    Weights full(double value) {
      return map(
          (old, i) -> {
            double[] full = new double[old.length];
            Arrays.fill(full, value);
            return full;
          });
    }

    Weights map(BiFunction<double[], Integer, double[]> change) {
      Weights other = new Weights();
      other.names.addAll(names);
      other.shapes.addAll(shapes);
      for (int i = 0; i < values.size(); i++) {
        double[] old = values.get(i);
        other.values.add(old == null ? null : change.apply(old, i));
      }
      return other;
    }

    NDArray[] arrays(NDManager scope) {
      NDArray[] arrays = new NDArray[values.size()];
      for (int i = 0; i < arrays.length; i++) {
        double[] of = values.get(i);
        arrays[i] =
            of == null
                ? scope.create(new Shape(0), DataType.FLOAT64)
                : scope.create(of, new Shape(shapes.get(i)));
      }
      return arrays;
    }
  }

  /** Gradients by name; those that were not wanted are empty. */
  private record Gradients(List<double[]> weights, double[] x) {}

  private UnitLayout unit(RandomDecoder decoder, boolean head) {
    DecoderDescription description = decoder.build();
    DecoderProgram text = new DecoderProgram(description);
    Map<String, Object> constants = new HashMap<>();
    constants.put("cpu_kernel", false);
    constants.put("longest_by_products", 0L);
    constants.put("block", 3L);
    constants.put("loss_rows", 2L);
    constants.put("packed", TorchProgram.State.PACKED_MATRICES);
    program = text.load(Device.cpu(), DecoderProgram.Purpose.TRAINING, constants);
    List<UnitLayout> units = DecoderLayout.units(description, text);
    return units.get(head ? units.size() - 1 : 0);
  }

  private static RandomDecoder decoder(Consumer<RandomDecoder> change) {
    RandomDecoder decoder = new RandomDecoder(SEED);
    change.accept(decoder);
    return decoder;
  }

  private static Object[] all(NDArray[] last, NDArray... first) {
    return Stream.concat(Arrays.stream(first), Arrays.stream(last)).toArray();
  }

  private static NDArray[] both(NDArray[] first, NDArray[] second) {
    return Stream.concat(Arrays.stream(first), Arrays.stream(second)).toArray(NDArray[]::new);
  }

  @BeforeEach
  void none() {
    program = null;
  }

  @AfterEach
  void close() {
    if (program != null) {
      program.close();
    }
    scope.close();
  }

  static Stream<String> embeddings() {
    return EMBEDDINGS.keySet().stream();
  }

  @ParameterizedTest
  @MethodSource("embeddings")
  void gradientsOfEmbeddings(String name) {
    RandomDecoder decoder = decoder(EMBEDDINGS.get(name));
    Random random = new Random(SEED);
    Weights weights =
        new Weights()
            .add(
                unit(decoder, false),
                random,
                "tokens",
                "projection",
                "positions",
                "norm",
                "norm_bias");
    NDArray ids = scope.create(new long[] {3, 1, 3, 0, 9, 1, 1});
    NDArray places = scope.create(new long[] {0, 1, 2, 3, 0, 1, 2});
    NDArray like = scope.zeros(new Shape(1), DataType.FLOAT64);
    double[] dx = LayerProbe.normal(random, TOKENS * decoder.hidden, 0, 1);
    NDArray dxs = scope.create(dx, new Shape(TOKENS, decoder.hidden));

    ToDoubleFunction<Weights> objective =
        w -> {
          try (NDManager step = scope.newSubManager()) {
            Object[] arguments = all(w.arrays(step), ids, places, like);
            double[] x = program.callForOne(step, "embed", arguments).toDoubleArray();
            return LayerProbe.dot(x, dx);
          }
        };
    BiFunction<Weights, float[], Gradients> backward =
        (before, how) -> {
          NDArray[] gradients = before.arrays(scope);
          NDArray[] numbers = {ids, places, dxs, scope.create(how[0]), scope.create(how[1])};
          program.call(
              scope, "embed_backward", all(both(weights.arrays(scope), gradients), numbers));
          return new Gradients(
              Arrays.stream(gradients).map(NDArray::toDoubleArray).toList(), new double[0]);
        };

    Gradients once = backward.apply(weights.full(Double.NaN), new float[] {0, 0});
    checkDifferences(name, weights, objective, once);
    checkSums(weights, once, before -> backward.apply(before, new float[] {1, 0}));
    checkFrozen(weights, once, before -> backward.apply(before, new float[] {0, 0}));

    // A tied head's gradient is there already.
    Weights before = weights.full(0.25);
    double[] tied = backward.apply(before, new float[] {0, 1}).weights().get(0);
    assertThat(tied)
        .usingComparatorWithPrecision(1e-12)
        .containsExactly(Arrays.stream(once.weights().get(0)).map(v -> v + 0.25).toArray());
  }

  static Stream<String> heads() {
    return HEADS.keySet().stream();
  }

  @ParameterizedTest
  @MethodSource("heads")
  void gradientsOfHeads(String name) {
    RandomDecoder decoder = decoder(HEADS.get(name));
    Random random = new Random(SEED);
    UnitLayout unit = unit(decoder, true);
    Weights weights =
        new Weights().add(unit, random, "norm", "norm_bias", "projection", "tokens", "bias");
    NDArray rows = scope.create(ROWS);
    NDArray targets = scope.create(new long[] {1, 0, 7, 3, 7}, new Shape(ROWS.length, 1));
    NDArray mode = scope.create(new long[] {0});
    double[] x = LayerProbe.normal(random, TOKENS * decoder.hidden, 0, 1);
    Shape shape = new Shape(TOKENS, decoder.hidden);
    BiFunction<Weights, double[], double[]> losses =
        (w, input) -> {
          try (NDManager step = scope.newSubManager()) {
            NDArray buffer = step.full(new Shape(3, decoder.vocab), Float.NaN, DataType.FLOAT64);
            NDArray xs = step.create(input, shape);
            Object[] arguments = all(w.arrays(step), xs, rows, targets, mode, buffer);
            return program.callForOne(step, "head_loss", arguments).toDoubleArray();
          }
        };
    for (int chunk : new int[] {1, 3, 8}) {
      BiFunction<Weights, Float, Gradients> backward =
          (before, beta) -> {
            NDArray[] gradients = before.arrays(scope);
            NDArray[] numbers = {
              scope.create(x, shape),
              rows,
              targets,
              scope.create(SCALES, new Shape(SCALES.length, 1)),
              scope.create(beta),
              mode,
              scope.full(new Shape(chunk, decoder.vocab), Float.NaN, DataType.FLOAT64)
            };
            NDList results =
                program.call(
                    scope, "head_backward", all(both(weights.arrays(scope), gradients), numbers));
            assertThat(results.get(0).toDoubleArray())
                .usingComparatorWithPrecision(1e-12)
                .containsExactly(losses.apply(weights, x));
            return new Gradients(
                Arrays.stream(gradients).map(NDArray::toDoubleArray).toList(),
                results.get(1).toDoubleArray());
          };

      Gradients once = backward.apply(weights.full(Double.NaN), 0f);
      checkDifferences(name, weights, w -> scaled(losses.apply(w, x)), once);
      double[] direction = LayerProbe.normal(random, x.length, 0, 1);
      checkDirection(
          name + ": x",
          t -> scaled(losses.apply(weights, moved(x, direction, t))),
          once.x(),
          direction);
      checkSums(weights, once, before -> backward.apply(before, 1f));
      checkFrozen(weights, once, before -> backward.apply(before, 0f));
    }
  }

  private static double scaled(double[] losses) {
    return IntStream.range(0, SCALES.length).mapToDouble(i -> SCALES[i] * losses[i]).sum();
  }

  private static double[] moved(double[] from, double[] direction, double step) {
    double[] to = from.clone();
    Arrays.setAll(to, i -> to[i] + step * direction[i]);
    return to;
  }

  private static void checkDifferences(
      String name, Weights weights, ToDoubleFunction<Weights> objective, Gradients gradients) {
    Random random = new Random(SEED + 1);
    for (int i = 0; i < weights.values.size(); i++) {
      double[] values = weights.values.get(i);
      if (values == null) {
        assertThat(gradients.weights().get(i)).isEmpty();
        continue;
      }
      double[] direction = LayerProbe.normal(random, values.length, 0, 1);
      int changed = i;
      checkDirection(
          name + ": " + weights.names.get(i),
          t ->
              objective.applyAsDouble(
                  weights.map((v, j) -> j == changed ? moved(v, direction, t) : v)),
          gradients.weights().get(i),
          direction);
    }
  }

  private static void checkDirection(
      String name, DoubleUnaryOperator objective, double[] gradient, double[] direction) {
    double expected = (objective.applyAsDouble(STEP) - objective.applyAsDouble(-STEP)) / (2 * STEP);
    double actual = LayerProbe.dot(gradient, direction);
    double norm = Math.sqrt(LayerProbe.dot(gradient, gradient));
    assertThat(norm).as(name).isGreaterThan(1e-3);
    assertThat(Math.abs(actual - expected) / norm)
        .as("%s, seed %s: %s along a direction, difference %s", name, SEED, actual, expected)
        .isLessThan(1e-6);
  }

  private static void checkSums(
      Weights weights, Gradients once, Function<Weights, Gradients> backward) {
    Gradients sums = backward.apply(weights.full(0.5));
    for (int i = 0; i < weights.values.size(); i++) {
      assertThat(sums.weights().get(i))
          .as(weights.names.get(i))
          .usingComparatorWithPrecision(1e-12)
          .containsExactly(Arrays.stream(once.weights().get(i)).map(v -> v + 0.5).toArray());
    }
    assertThat(sums.x()).isEqualTo(once.x());
  }

  private static void checkFrozen(
      Weights weights, Gradients once, Function<Weights, Gradients> backward) {
    int count = weights.values.size();
    for (int frozen = 0; frozen <= count; frozen++) { // one of them, and at last all
      int which = frozen;
      Weights before = weights.full(Double.NaN);
      Weights some = before.map((v, i) -> which == count || i == which ? null : v);
      Gradients gradients = backward.apply(some);
      for (int i = 0; i < count; i++) {
        double[] expected = some.values.get(i) == null ? new double[0] : once.weights().get(i);
        assertThat(gradients.weights().get(i)).as(weights.names.get(i)).isEqualTo(expected);
      }
      assertThat(gradients.x()).isEqualTo(once.x());
    }
  }
}
