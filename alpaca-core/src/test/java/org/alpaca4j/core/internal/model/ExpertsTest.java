package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.junit.jupiter.api.Test;

class ExpertsTest {
  private static final int TOKENS = 5;
  private static final int EXPERTS = 4;
  private static final int LAYERS = 2;
  private static final double FACTOR = 0.3;

  /** How many tokens of the examples each token stands for. */
  private static final long[] COUNTS = {3, 1, 2, 1, 1};

  @Test
  void theAuxiliaryLossAndItsGradientAreWhatTheTokensSideBySideGive() {
    Torch.initialize();
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
        TorchProgram program =
            TorchProgram.load(
                Device.cpu(),
                ExpertsTest.class,
                Map.of("packed", TorchProgram.State.PACKED_MATRICES),
                "experts.py",
                "linear.py",
                "mlp.py")) {
      Random random = new Random(1);
      double[][] p = new double[LAYERS][];
      long[][] chosen = new long[LAYERS][];
      NDArray[] ps = new NDArray[LAYERS];
      NDArray[] chosens = new NDArray[LAYERS];
      for (int layer = 0; layer < LAYERS; layer++) {
        p[layer] = random.doubles(TOKENS * EXPERTS).toArray();
        chosen[layer] = random.longs(TOKENS * 2L, 0, EXPERTS).toArray();
        ps[layer] = scope.create(p[layer], new Shape(TOKENS, EXPERTS));
        chosens[layer] = scope.create(chosen[layer], new Shape(TOKENS, 2));
      }

      NDArray factor = scope.create(FACTOR);
      NDList results = program.call(scope, "balance", scope.create(COUNTS), factor, ps, chosens);

      assertThat(results.get(0).toDoubleArray()[0]).isCloseTo(loss(p, chosen), within(1e-12));
      double[] gradient = results.get(1).toDoubleArray();
      for (int layer = 0; layer < LAYERS; layer++) { // linear in p: any step will do
        for (int i = 0; i < gradient.length; i++) {
          double[][] more = Arrays.stream(p).map(double[]::clone).toArray(double[][]::new);
          more[layer][i] += 1;
          double slope = FACTOR * (loss(more, chosen) - loss(p, chosen));
          assertThat(gradient[i]).isCloseTo(slope, within(1e-12));
        }
      }
    }
  }

  /** Experts times the sum over experts of the share of choices and the mean probability. */
  private static double loss(double[][] p, long[][] chosen) {
    double[] choices = new double[EXPERTS];
    double[] probability = new double[EXPERTS];
    double tokens = 0;
    for (int layer = 0; layer < LAYERS; layer++) {
      for (int token = 0; token < TOKENS; token++) {
        for (int copy = 0; copy < COUNTS[token]; copy++) {
          tokens++;
          for (int expert = 0; expert < EXPERTS; expert++) {
            probability[expert] += p[layer][token * EXPERTS + expert];
          }
          for (int i = 0; i < 2; i++) {
            choices[(int) chosen[layer][2 * token + i]]++;
          }
        }
      }
    }
    double sum = 0;
    for (int expert = 0; expert < EXPERTS; expert++) {
      sum += choices[expert] / tokens * probability[expert] / tokens;
    }
    return EXPERTS * sum;
  }
}
