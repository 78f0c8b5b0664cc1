package org.alpaca4j.core.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GemmBackendTest {

  @ParameterizedTest
  @ValueSource(strings = {"cublas", "", "one dnn", "1"})
  void anUnknownBackEndIsRefusedWithTheOnesThereAre(String value) {
    assertThatThrownBy(() -> GemmBackend.choose(value))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("-Dalpaca4j.gemm=" + value + ": expected auto, mkl or onednn");
  }

  @Test
  void theChoiceIsMadeOnce() {
    assertThat(GemmBackend.choice()).isSameAs(GemmBackend.choice());
  }

  /** bf16 would be off by 500 times as much. */
  @ParameterizedTest
  @CsvSource({"1, 64, 64", "7, 768, 33", "129, 1000, 257", "512, 1536, 512"})
  void productsOfTheChosenBackEndAreExactToSinglePrecision(int rows, int depth, int columns) {
    GemmBackend.choice();
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
        TorchProgram program =
            TorchProgram.load(Device.cpu(), GemmBackend.class, Map.of(), "gemm.py")) {
      Random random = new Random(rows);
      float[] x = normal(random, rows * depth);
      float[] w = normal(random, columns * depth);
      NDArray product =
          program.callForOne(
              scope,
              "multiply",
              scope.create(x).reshape(rows, depth),
              scope.create(w).reshape(columns, depth));

      assertThat(largestError(product.toFloatArray(), x, w, rows, depth, columns))
          .isLessThan(2e-5 * Math.sqrt(depth));
    }
  }

  private static float[] normal(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static double largestError(
      float[] product, float[] x, float[] w, int rows, int depth, int columns) {
    double largest = 0;
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        double exact = 0;
        for (int i = 0; i < depth; i++) {
          exact += (double) x[row * depth + i] * w[column * depth + i];
        }
        largest = Math.max(largest, Math.abs(exact - product[row * columns + column]));
      }
    }
    return largest;
  }
}
