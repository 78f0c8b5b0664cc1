package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.types.DataType;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The ways to compute attention give the same: PyTorch's kernel for CPUs, products, and steps. */
class AttentionTest {
  private static final double TOLERANCE = 2e-5;

  /** The kernel's examples are a segment each. */
  private static final long[][] EXAMPLES = {{11, -1, 0}, {1, -1, 0}, {6, -1, 0}};

  private static final long[][] ONE = {{12, -1, 0}};

  @ParameterizedTest
  @ValueSource(
      strings = {
        "another scale",
        "Llama",
        "one key head",
        "a key head per query head",
        "a window",
        "a window of 1",
        "no rotary embedding",
        "norms after the branches",
        "capped scores",
        "a prefix",
        "a prefix and a window",
        "a prefix and biases by distance",
        "biases by distance",
        "rounded and scaled biases by distance"
      })
  void kernelProductsAndStepsGiveTheSame(String name) {
    DecoderDescription decoder = RandomDecoder.of(name, 3).build();
    try (LayerProbe kernel = new LayerProbe(decoder, 0, true);
        LayerProbe products = new LayerProbe(decoder, 0, false)) {
      kernel.with(EXAMPLES, DataType.FLOAT32);
      products.with(EXAMPLES, DataType.FLOAT32);
      LayerProbe.Numbers numbers = kernel.random(4);
      requireClose("output", kernel.output(numbers), products.output(numbers));
      LayerProbe.Gradients expected = products.backward(numbers, false);
      for (boolean recompute : new boolean[] {false, true}) {
        LayerProbe.Gradients actual = kernel.backward(numbers, recompute);
        requireClose("x", actual.x(), expected.x());
        for (int i = 0; i < expected.weights().size(); i++) {
          String weight = kernel.layout.arguments().get(i).name();
          requireClose(weight, actual.weights().get(i), expected.weights().get(i));
        }
      }

      kernel.with(ONE, DataType.FLOAT32);
      products.with(ONE, DataType.FLOAT32);
      numbers = kernel.random(5);
      double[] output = products.output(numbers);
      requireClose("one example", kernel.output(numbers), output);
      int width = output.length / 12;
      double[] behind = Arrays.copyOfRange(output, 5 * width, output.length);
      requireClose("steps by the kernel", kernel.steps(numbers, 5), behind);
      requireClose("steps by products", products.steps(numbers, 5), behind);
    }
  }

  /** What a wrong scale changes is far more than the tolerance. */
  @Test
  void theScaleMatters() {
    RandomDecoder usual = RandomDecoder.of("Llama", 3);
    RandomDecoder other = RandomDecoder.of("another scale", 3);
    try (LayerProbe one = new LayerProbe(usual.build(), 0, true);
        LayerProbe two = new LayerProbe(other.build(), 0, true)) {
      one.with(ONE, DataType.FLOAT32);
      two.with(ONE, DataType.FLOAT32);
      LayerProbe.Numbers numbers = one.random(5);
      assertThat(distance(one.output(numbers), two.output(numbers))).isGreaterThan(1e-2);
      assertThat(distance(one.steps(numbers, 5), two.steps(numbers, 5))).isGreaterThan(1e-2);
    }
  }

  private static void requireClose(String name, double[] actual, double[] expected) {
    assertThat(actual).as(name).hasSameSizeAs(expected);
    assertThat(distance(actual, expected)).as(name).isLessThan(TOLERANCE);
  }

  /** Relative to the norm, but for values as small as rounding. */
  private static double distance(double[] actual, double[] expected) {
    double[] difference = actual.clone();
    Arrays.setAll(difference, i -> actual[i] - expected[i]);
    double norm = Math.sqrt(LayerProbe.dot(expected, expected));
    return Math.sqrt(LayerProbe.dot(difference, difference))
        / (norm + 1e-2 * Math.sqrt(actual.length));
  }
}
