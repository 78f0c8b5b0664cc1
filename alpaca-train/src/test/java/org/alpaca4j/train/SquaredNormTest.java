package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Map;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SquaredNormTest {
  /** Shorter than a row, whole rows, a rest, and several pieces of 8 × 64 elements. */
  @ParameterizedTest(name = "{0} elements")
  @ValueSource(ints = {1, 255, 256, 300, 512, 1000, 1025})
  void isTheSumOfTheSquaresOfAllElements(int elements) {
    Torch.initialize();
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
        TorchProgram program =
            TorchProgram.load(
                Device.cpu(), SftTrainer.class, Map.of("chunk", 64L), "optimizer.py")) {
      for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
        NDArray gradient = Tensors.empty(scope, elements, dtype);
        Tensors.fillNormal(gradient, 1, 7);
        double expected = 0;
        for (float value : Tensors.cast(scope, gradient, DType.F32).toFloatArray()) {
          expected += (double) value * value;
        }

        double[] square = program.callForOne(scope, "squared_norm", gradient).toDoubleArray();

        assertThat(square).as("%s", dtype).hasSize(1);
        assertThat(square[0]).as("%s", dtype).isCloseTo(expected, within(1e-6 * expected));
      }
    }
  }
}
