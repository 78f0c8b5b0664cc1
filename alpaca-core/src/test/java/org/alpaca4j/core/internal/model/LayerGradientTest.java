package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
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
  private static final Map<Case, LayerProbe> PROBES = new HashMap<>();

  /** A layer of a decoder, and a name that makes it again. */
  record Case(String name, long seed) {
    RandomDecoder decoder() {
      return RandomDecoder.of(name, seed);
    }

    LayerProbe probe() {
      return PROBES.computeIfAbsent(this, Case::compiled);
    }

    private LayerProbe compiled() {
      RandomDecoder decoder = decoder();
      long[][] segments = decoder.context ? LayerProbe.CONTEXTS : LayerProbe.TREE;
      return new LayerProbe(decoder.build(), 0, segments);
    }

    @Override
    public String toString() {
      return name + " (seed " + seed + ")";
    }
  }

  @AfterAll
  static void close() {
    PROBES.values().forEach(LayerProbe::close);
    PROBES.clear();
  }

  static Stream<Case> cases() {
    return RandomDecoder.cases().stream().map(name -> new Case(name, 1));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void gradientsAreWhatFiniteDifferencesAre(Case layer) {
    LayerProbe probe = layer.probe();
    check(probe, layer, LayerProbe.ALL);
    check(probe, layer, SOME);
  }

  static void check(LayerProbe probe, Object layer, int... chosen) {
    LayerProbe.Numbers numbers = probe.random(3, chosen);
    LayerProbe.Gradients gradients = probe.backward(numbers, false, chosen);

    Random random = new Random(4);
    double norm = Math.sqrt(LayerProbe.dot(gradients.x(), gradients.x()));
    assertThat(norm).isGreaterThan(0.1);
    List<double[]> all = new ArrayList<>(numbers.weights);
    all.add(numbers.x);
    for (int i = 0; i < all.size(); i++) {
      boolean isInput = i == all.size() - 1;
      double[] values = all.get(i);
      double[] gradient = isInput ? gradients.x() : gradients.weights().get(i);
      String name = isInput ? "x" : probe.layout.arguments().get(i).name();
      double[] direction = LayerProbe.normal(random, values.length, 0, 1);
      double expected = slope(probe, numbers, values, direction, chosen);
      double actual = LayerProbe.dot(gradient, direction);
      double scale = Math.sqrt(LayerProbe.dot(gradient, gradient)) + 1e-3 * norm;
      assertThat(Math.abs(actual - expected) / scale)
          .as(
              "%s: gradient of %s along a direction, %s, and the difference, %s",
              layer, name, actual, expected)
          .isLessThan(TOLERANCE);
    }
  }

  private static double slope(
      LayerProbe probe,
      LayerProbe.Numbers numbers,
      double[] values,
      double[] direction,
      int... chosen) {
    double[] before = values.clone();
    double[] results = new double[2];
    for (int side = 0; side < 2; side++) {
      double step = side == 0 ? STEP : -STEP;
      Arrays.setAll(values, i -> before[i] + step * direction[i]);
      results[side] = probe.objective(numbers, chosen);
    }
    System.arraycopy(before, 0, values, 0, before.length);
    return (results[0] - results[1]) / (2 * STEP);
  }

  @ParameterizedTest
  @MethodSource("cases")
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
      assertThat(Arrays.copyOfRange(chosen, i * width, (i + 1) * width))
          .usingComparatorWithPrecision(1e-12)
          .containsExactly(Arrays.copyOfRange(output, SOME[i] * width, (SOME[i] + 1) * width));
      System.arraycopy(some.dz, i * width, all.dz, SOME[i] * width, width);
      System.arraycopy(some.balance, i * experts, all.balance, SOME[i] * experts, experts);
    }
    LayerProbe.Gradients expected = probe.backward(all, false, LayerProbe.ALL);
    LayerProbe.Gradients actual = probe.backward(some, false, SOME);
    assertThat(actual.x()).usingComparatorWithPrecision(1e-11).containsExactly(expected.x());
    for (int i = 0; i < expected.weights().size(); i++) {
      assertThat(actual.weights().get(i))
          .as(probe.layout.arguments().get(i).name())
          .usingComparatorWithPrecision(1e-11)
          .containsExactly(expected.weights().get(i));
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
      assertThat(sums.weights().get(i))
          .as(probe.layout.arguments().get(i).name())
          .usingComparatorWithPrecision(1e-11)
          .containsExactly(expected);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void whatIsNotTrainedChangesNothingElse(Case layer) {
    LayerProbe probe = layer.probe();
    LayerProbe.Numbers numbers = probe.random(9);
    LayerProbe.Gradients gradients = probe.backward(numbers, false);
    int count = numbers.weights.size();
    for (int frozen = 0; frozen <= count; frozen++) { // one of them, and at last all
      List<double[]> before = new ArrayList<>();
      List<double[]> expected = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        boolean trained = frozen < count && i != frozen;
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

  private static void assertSame(
      String what, LayerProbe.Gradients actual, LayerProbe.Gradients expected) {
    assertThat(actual.x()).as(what).isEqualTo(expected.x());
    for (int i = 0; i < expected.weights().size(); i++) {
      assertThat(actual.weights().get(i)).as(what).isEqualTo(expected.weights().get(i));
    }
  }
}
