package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.types.DataType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.alpaca4j.core.LoraConfig;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Positions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Backward passes of layers against finite differences of their forward passes, in fp64 through the
 * real programs: for every block and setting, and for every family.
 */
class LayerGradientTest {
  private static final double STEP = 1e-5;
  private static final double TOLERANCE = 1e-6;
  private static final int[] SOME = {0, 3, 4, 8, 13};

  /** Compiling a program takes longer than running it. */
  private static final Map<String, LayerProbe> PROBES = new HashMap<>();

  /** A layer of a decoder. Its numbers are random; the message of a failure says which. */
  record Case(String name, DecoderDescription decoder, int layer, boolean context) {
    private static final long SEED = 1;

    static Case of(String name) {
      RandomDecoder decoder = RandomDecoder.of(name, SEED);
      return new Case(name + ", seed " + SEED, decoder.build(), 0, decoder.context);
    }

    LayerProbe probe() {
      LayerProbe probe = PROBES.computeIfAbsent(name, n -> new LayerProbe(decoder, layer));
      probe.garbage = Double.NaN;
      probe.dropoutSeed = decoder.isAdapted() ? 11 : -1;
      return probe.with(context ? LayerProbe.CONTEXTS : LayerProbe.TREE, DataType.FLOAT64);
    }

    @Override
    public String toString() {
      return name;
    }
  }

  @AfterAll
  static void close() {
    PROBES.values().forEach(LayerProbe::close);
    PROBES.clear();
  }

  static Stream<Case> cases() {
    return RandomDecoder.cases().stream().map(Case::of);
  }

  /** The layers of all families, one of each kind. */
  static Stream<Case> families() {
    List<Case> cases = new ArrayList<>();
    SmallDecoders.all()
        .forEach(
            (name, decoder) -> {
              Set<Object> kinds = new HashSet<>();
              for (int layer = 0; layer < decoder.layers().size(); layer++) {
                Attention attention = decoder.layers().get(layer).attention();
                Object kind = List.of(attention.window(), attention.rotaries());
                if (kinds.add(kind)) {
                  boolean context = !(decoder.positions() instanceof Positions.Sequential);
                  cases.add(new Case(name + ", layer " + layer, decoder, layer, context));
                }
              }
            });
    return cases.stream();
  }

  /** Layers with adapters of all their linear modules, and with dropout. */
  static Stream<Case> adapted() {
    LoraConfig config = LoraConfig.builder().r(3).alpha(5).dropout(0.3).build();
    return Stream.of("llama", "gpt2", "falcon", "gemma2", "qwen2_moe", "chatglm")
        .map(
            name -> {
              DecoderDescription decoder = SmallDecoders.all().get(name);
              boolean context = !(decoder.positions() instanceof Positions.Sequential);
              DecoderDescription with = LoraTargets.adapt(decoder, config);
              return new Case(name + " with adapters", with, 0, context);
            });
  }

  static Stream<Case> all() {
    return Stream.of(cases(), families(), adapted()).flatMap(cases -> cases);
  }

  @ParameterizedTest
  @MethodSource("all")
  void gradientsAreWhatFiniteDifferencesAre(Case layer) {
    LayerProbe probe = layer.probe();
    check(probe, layer, LayerProbe.ALL);
    check(probe, layer, SOME);
  }

  /** Moves everything at once, each by as much as it matters; if that fails, one by one. */
  private static void check(LayerProbe probe, Object layer, int... chosen) {
    LayerProbe.Numbers numbers = probe.random(3, chosen);
    LayerProbe.Gradients gradients = probe.backward(numbers, false, chosen);
    double norm = norm(gradients.x());
    assertThat(norm).isGreaterThan(0.1);

    List<String> names = new ArrayList<>(List.of("x"));
    List<double[]> values = new ArrayList<>(List.of(numbers.x));
    List<double[]> slopes = new ArrayList<>(List.of(gradients.x()));
    for (int i = 0; i < numbers.weights.size(); i++) {
      if (probe.isFrozen(i)) {
        continue;
      }
      names.add(probe.layout.arguments().get(i).name());
      values.add(numbers.weights.get(i));
      slopes.add(gradients.weights().get(i));
    }
    Random random = new Random(4);
    List<double[]> directions = new ArrayList<>();
    for (int i = 0; i < values.size(); i++) {
      double size = Math.min(5, norm / norm(slopes.get(i)));
      directions.add(LayerProbe.normal(random, values.get(i).length, 0, size));
    }

    if (error(probe, numbers, values, slopes, directions, chosen) > TOLERANCE) {
      for (int i = 0; i < values.size(); i++) {
        assertThat(
                error(
                    probe,
                    numbers,
                    List.of(values.get(i)),
                    List.of(slopes.get(i)),
                    List.of(directions.get(i)),
                    chosen))
            .as("%s: relative error of the gradient of %s", layer, names.get(i))
            .isLessThan(TOLERANCE);
      }
      throw new AssertionError(layer + ": gradients are wrong along " + names);
    }
  }

  private static double norm(double[] values) {
    return Math.sqrt(LayerProbe.dot(values, values));
  }

  /** The difference between the slope by gradients and by finite differences. */
  private static double error(
      LayerProbe probe,
      LayerProbe.Numbers numbers,
      List<double[]> values,
      List<double[]> gradients,
      List<double[]> directions,
      int... chosen) {
    double slope = 0;
    double size = 1e-9;
    for (int i = 0; i < values.size(); i++) {
      slope += LayerProbe.dot(gradients.get(i), directions.get(i));
      size += norm(gradients.get(i)) * norm(directions.get(i)) / Math.sqrt(values.get(i).length);
    }
    List<double[]> before = values.stream().map(double[]::clone).toList();
    double difference = 0;
    for (int side = 1; side >= -1; side -= 2) {
      for (int i = 0; i < values.size(); i++) {
        double[] from = before.get(i);
        double[] direction = directions.get(i);
        double step = side * STEP;
        Arrays.setAll(values.get(i), j -> from[j] + step * direction[j]);
      }
      difference += side * probe.objective(numbers, chosen) / (2 * STEP);
    }
    for (int i = 0; i < values.size(); i++) {
      System.arraycopy(before.get(i), 0, values.get(i), 0, before.get(i).length);
    }
    return Math.abs(slope - difference) / size;
  }

  @ParameterizedTest
  @MethodSource("all")
  void allWaysToComputeALayerAreOne(Case layer) {
    LayerProbe probe = layer.probe();
    for (int[] chosen : new int[][] {LayerProbe.ALL, SOME}) {
      LayerProbe.Numbers numbers = probe.random(5, chosen);
      probe.garbage = Double.NaN;
      double[] output = probe.keeping(numbers, chosen).get(0);
      LayerProbe.Gradients gradients = probe.backward(numbers, false, chosen);
      assertThat(probe.output(numbers, chosen)).as("keeping nothing").isEqualTo(output);
      assertSame("computing again", probe.backward(numbers, true, chosen), gradients);

      probe.garbage = 7;
      assertThat(probe.keeping(numbers, chosen).get(0))
          .as("whatever was in the slabs")
          .isEqualTo(output);
      assertSame("whatever was in the slabs", probe.backward(numbers, false, chosen), gradients);
    }
  }

  /** What nobody reads is not computed; what is read is as if all were. */
  @ParameterizedTest
  @MethodSource("cases")
  void chosenTokensAreThoseOfAll(Case layer) {
    LayerProbe probe = layer.probe();
    LayerProbe.Numbers some = probe.random(6, SOME);
    int width = some.x.length / probe.tokens();
    double[] output = probe.output(some, LayerProbe.ALL);
    double[] chosen = probe.output(some, SOME);
    LayerProbe.Numbers all = probe.random(6, LayerProbe.ALL);
    all.x = some.x;
    all.weights = some.weights;
    Arrays.fill(all.dz, 0);
    Arrays.fill(all.balance, 0);
    int experts = some.balance.length / SOME.length;
    for (int i = 0; i < SOME.length; i++) {
      requireClose(
          "output",
          Arrays.copyOfRange(chosen, i * width, (i + 1) * width),
          Arrays.copyOfRange(output, SOME[i] * width, (SOME[i] + 1) * width),
          1e-12);
      System.arraycopy(some.dz, i * width, all.dz, SOME[i] * width, width);
      System.arraycopy(some.balance, i * experts, all.balance, SOME[i] * experts, experts);
    }
    LayerProbe.Gradients expected = probe.backward(all, false, LayerProbe.ALL);
    LayerProbe.Gradients actual = probe.backward(some, false, SOME);
    requireClose("output", actual.x(), expected.x(), 1e-11);
    for (int i = 0; i < expected.weights().size(); i++) {
      requireClose(
          probe.layout.arguments().get(i).name(),
          actual.weights().get(i),
          expected.weights().get(i),
          1e-11);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void gradientsAddUp(Case layer) {
    LayerProbe probe = layer.probe();
    LayerProbe.Numbers numbers = probe.random(7);
    LayerProbe.Gradients gradients = probe.backward(numbers, false);
    Random random = new Random(8);
    List<double[]> before = new ArrayList<>();
    for (double[] weight : numbers.weights) {
      before.add(LayerProbe.normal(random, weight.length, 0, 1));
    }

    LayerProbe.Gradients sums = probe.backward(numbers, before, 1, false);

    assertThat(sums.x()).isEqualTo(gradients.x());
    for (int i = 0; i < before.size(); i++) {
      double[] expected = before.get(i).clone();
      double[] added = gradients.weights().get(i);
      Arrays.setAll(expected, j -> expected[j] + added[j]);
      requireClose(probe.layout.arguments().get(i).name(), sums.weights().get(i), expected, 1e-11);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void whatIsNotTrainedChangesNothingElse(Case layer) {
    LayerProbe probe = layer.probe();
    LayerProbe.Numbers numbers = probe.random(9);
    LayerProbe.Gradients gradients = probe.backward(numbers, false);
    int count = numbers.weights.size();
    for (int frozen = 0; frozen < 3; frozen++) { // every second one, the others, all
      List<double[]> before = new ArrayList<>();
      List<double[]> expected = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        boolean trained = frozen < 2 && i % 2 != frozen;
        double[] garbage = new double[numbers.weights.get(i).length];
        Arrays.fill(garbage, Double.NaN);
        before.add(trained ? garbage : null);
        expected.add(trained ? gradients.weights().get(i) : null);
      }
      assertSame(
          "without " + frozen,
          probe.backward(numbers, before, 0, false),
          new LayerProbe.Gradients(gradients.x(), expected));
    }
  }

  /** A prompt's keys and values go into the cache; the tokens behind it are read one by one. */
  @ParameterizedTest
  @MethodSource("all")
  void stepsGiveWhatTheForwardPassGives(Case layer) {
    LayerProbe probe = layer.probe();
    long context = layer.context() ? 4 : 0;
    probe.with(new long[][] {{11, -1, context}}, DataType.FLOAT32);
    probe.dropoutSeed = -1;
    LayerProbe.Numbers numbers = probe.random(10);
    double[] output = probe.output(numbers);
    int width = output.length / 11;

    for (int prompt : new int[] {4, 10}) {
      requireClose(
          "output",
          probe.steps(numbers, prompt),
          Arrays.copyOfRange(output, prompt * width, output.length),
          1e-4);
    }
  }

  private static void requireClose(
      String what, double[] actual, double[] expected, double tolerance) {
    assertThat(actual).as(what).hasSameSizeAs(expected);
    double largest = 0;
    for (int i = 0; i < actual.length; i++) {
      double difference = Math.abs(actual[i] - expected[i]);
      largest = difference <= largest ? largest : difference; // NaN is the largest
    }
    assertThat(largest).as("largest difference of %s", what).isLessThan(tolerance);
  }

  private static void assertSame(
      String what, LayerProbe.Gradients actual, LayerProbe.Gradients expected) {
    assertThat(actual.x()).as(what).isEqualTo(expected.x());
    for (int i = 0; i < expected.weights().size(); i++) {
      assertThat(actual.weights().get(i)).as(what).isEqualTo(expected.weights().get(i));
    }
  }
}
