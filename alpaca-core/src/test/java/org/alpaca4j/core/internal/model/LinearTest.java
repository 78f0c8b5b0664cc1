package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.Map;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.junit.jupiter.api.Test;

class LinearTest {
  /** Operands that do not fit are no error where no product is computed. */
  @Test
  void theGradientOfAWeightThatIsNotTrainedCostsNoProduct() {
    Torch.initialize();
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
        TorchProgram program =
            TorchProgram.load(
                Device.cpu(),
                LinearTest.class,
                Map.of("packed", TorchProgram.State.PACKED_MATRICES),
                "linear.py",
                "untrained.py")) {
      NDArray none = scope.create(new Shape(0));
      NDArray dy = scope.ones(new Shape(2, 3));
      NDArray x = scope.ones(new Shape(5, 4));

      assertThat(program.callForOne(scope, "weight", none, dy, x).isEmpty()).isTrue();
      assertThatThrownBy(
              () -> program.callForOne(scope, "weight", scope.zeros(new Shape(3, 4)), dy, x))
          .isInstanceOf(EngineException.class);
      assertThat(program.callForOne(scope, "bias", none, scope.create(new Shape(0, 3))).isEmpty())
          .isTrue();
    }
  }
}
