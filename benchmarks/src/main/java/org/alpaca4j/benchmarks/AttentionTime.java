package org.alpaca4j.benchmarks;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.model.LlamaDecoder;
import org.alpaca4j.core.internal.model.PackedInput;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;

/** Times the attention of a layer by itself, as the decoder computes it, for a step's examples. */
final class AttentionTime implements AutoCloseable {
  private static final int RUNS = 3;

  private final ModelConfig config;
  private final DType dtype;
  private final NDManager manager = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  private final TorchProgram program;

  AttentionTime(LlamaDecoder decoder, DType dtype) {
    config = decoder.config();
    this.dtype = dtype;
    program =
        TorchProgram.load(
            Device.cpu(),
            LlamaDecoder.class,
            decoder.constants(),
            "llama.py",
            "/org/alpaca4j/benchmarks/attention.py");
  }

  /** Seconds of all layers' attention, forward in [0] and backward in [1]. */
  double[] seconds(PackedInput input) {
    long tokens = input.tokens();
    long heads = config.numAttentionHeads();
    long dim = config.headDim();
    long all = heads + 2L * config.numKeyValueHeads();
    double forward = Double.MAX_VALUE;
    double backward = Double.MAX_VALUE;
    try (NDManager scope = manager.newSubManager()) {
      NDArray qkv = normal(scope, tokens * all * dim, tokens, all, dim);
      NDArray out = normal(scope, tokens * heads * dim, tokens, heads * dim);
      NDArray gradient = normal(scope, tokens * heads * dim, tokens, heads * dim);
      NDArray window = scope.create(new long[] {config.slidingWindow(0).orElse(0)});
      for (int run = 0; run < RUNS; run++) {
        try (NDManager step = scope.newSubManager()) {
          long start = System.nanoTime();
          NDArray[] lse =
              program
                  .call(step, "timed_attention", qkv, input.segments(), window, out)
                  .toArray(new NDArray[0]);
          long middle = System.nanoTime();
          program.call(
              step, "timed_attention_backward", gradient, qkv, input.segments(), window, out, lse);
          forward = Math.min(forward, (middle - start) / 1e9);
          backward = Math.min(backward, (System.nanoTime() - middle) / 1e9);
        }
      }
    }
    int layers = config.numHiddenLayers();
    return new double[] {layers * forward, layers * backward};
  }

  private NDArray normal(NDManager scope, long elements, long... shape) {
    NDArray flat = Tensors.empty(scope, elements, dtype);
    Tensors.fillNormal(flat, 1, elements);
    return Tensors.view(scope, flat, 0, shape);
  }

  @Override
  public void close() {
    program.close();
    manager.close();
  }
}
