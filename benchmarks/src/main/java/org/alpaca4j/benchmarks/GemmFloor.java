package org.alpaca4j.benchmarks;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.HashMap;
import java.util.Map;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.torch.GemmBackend;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;

/**
 * The time that nothing but a step's useful matrix products takes: of each linear module of each
 * layer y, dX and dW for the step's real tokens, of the head the same for its supervised tokens
 * only. Attention's products are not counted.
 *
 * <p>Each product is timed alone, in memory that was touched before and with the same operands
 * again and again, and the fastest run counts: a floor that no real step can quite reach.
 */
final class GemmFloor implements AutoCloseable {
  private static final int ROUND_TO = 32;
  private static final int RUNS = 4;

  private final ModelConfig config;
  private final DType dtype;
  private final NDManager manager = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  private final TorchProgram program =
      TorchProgram.load(Device.cpu(), GemmFloor.class, Map.of(), "products.py");
  private final Map<Linear, Double> seconds = new HashMap<>();

  /** A linear module and the number of rows it is given. */
  private record Linear(int rows, long in, long out) {}

  /** Products of a dtype are timed in fp32 where the library computes them so. */
  GemmFloor(ModelConfig config, DType dtype) {
    this.config = config;
    this.dtype = GemmBackend.widens(Device.cpu(), dtype) ? DType.F32 : dtype;
  }

  /**
   * Seconds of all layers' products for a number of tokens, after the last layer's attention for
   * those only whose output is wanted.
   */
  double layers(int tokens, int wanted) {
    long hidden = config.hiddenSize();
    long heads = (long) config.numAttentionHeads() * config.headDim();
    long keysAndValues = 2L * config.numKeyValueHeads() * config.headDim();
    return config.numHiddenLayers() * linear(tokens, hidden, heads + keysAndValues)
        + (config.numHiddenLayers() - 1) * afterAttention(tokens)
        + afterAttention(wanted);
  }

  private double afterAttention(int tokens) {
    long hidden = config.hiddenSize();
    long heads = (long) config.numAttentionHeads() * config.headDim();
    long intermediate = config.intermediateSize();
    return linear(tokens, heads, hidden)
        + linear(tokens, hidden, 2 * intermediate)
        + linear(tokens, intermediate, hidden);
  }

  /** Seconds of the head's products for a number of supervised tokens. */
  double head(int supervised) {
    return linear(supervised, config.hiddenSize(), config.vocabSize());
  }

  /** Times all products that were asked for once more, so that a busy moment hits no one shape. */
  void measureAgain() {
    seconds.replaceAll((linear, before) -> Math.min(before, measure(linear)));
  }

  /** Returns 2 * multiplications of a step's products, in 10^9. */
  double gigaFlops(int tokens, int wanted, int supervised) {
    long hidden = config.hiddenSize();
    long heads = (long) config.numAttentionHeads() * config.headDim();
    long keysAndValues = 2L * config.numKeyValueHeads() * config.headDim();
    long afterAttention = hidden * (heads + 3L * config.intermediateSize());
    long layer = hidden * (heads + keysAndValues) + afterAttention;
    double layers = (double) tokens * config.numHiddenLayers() * layer;
    layers -= (double) (tokens - wanted) * afterAttention;
    return 6e-9 * (layers + (double) supervised * hidden * config.vocabSize());
  }

  private double linear(int rows, long in, long out) {
    int rounded = Math.max(ROUND_TO, Math.round((float) rows / ROUND_TO) * ROUND_TO);
    double time = seconds.computeIfAbsent(new Linear(rounded, in, out), this::measure);
    return time * rows / rounded;
  }

  private double measure(Linear linear) {
    int rows = linear.rows();
    long in = linear.in();
    long out = linear.out();
    try (NDManager scope = manager.newSubManager()) {
      NDArray x = matrix(scope, rows, in);
      NDArray w = matrix(scope, out, in);
      NDArray y = matrix(scope, rows, out);
      NDArray dx = matrix(scope, rows, in);
      NDArray dw = matrix(scope, out, in);
      double[] best = {Double.MAX_VALUE, Double.MAX_VALUE, Double.MAX_VALUE};
      for (int run = 0; run < RUNS; run++) {
        best[0] = Math.min(best[0], time("output", x, w, y));
        best[1] = Math.min(best[1], time("input_gradient", y, w, dx));
        best[2] = Math.min(best[2], time("weight_gradient", y, x, dw));
      }
      return best[0] + best[1] + best[2];
    }
  }

  private double time(String method, NDArray left, NDArray right, NDArray result) {
    long start = System.nanoTime();
    program.run(method, left, right, result);
    return (System.nanoTime() - start) / 1e9;
  }

  private NDArray matrix(NDManager scope, long rows, long columns) {
    NDArray flat = Tensors.empty(scope, rows * columns, dtype);
    Tensors.fillNormal(flat, 0.05, rows + columns);
    return Tensors.view(scope, flat, 0, rows, columns);
  }

  @Override
  public void close() {
    program.close();
    manager.close();
  }
}
