package org.alpaca4j.benchmarks;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.Decoder;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.PackedInput;
import org.alpaca4j.core.internal.torch.GemmBackend;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;

/** Times the attention of a layer by itself, as the decoder computes it, for a step's examples. */
final class AttentionTime implements AutoCloseable {
  private static final int RUNS = 3;

  private final Decoder decoder;
  private final DType dtype;
  private final NDManager manager = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  private final TorchProgram program;

  AttentionTime(Decoder decoder, DType dtype) {
    this.decoder = decoder;
    this.dtype = dtype;
    program =
        TorchProgram.load(
            Device.cpu(),
            Decoder.class,
            decoder.constants(),
            "attention.py",
            "linear.py",
            "/org/alpaca4j/benchmarks/attention.py");
  }

  /** Seconds of all layers' attention, forward in [0] and backward in [1]. */
  double[] seconds(PackedInput input) {
    Map<List<Number>, double[]> alike = new HashMap<>();
    double[] sum = new double[2];
    for (DecoderDescription.Layer layer : decoder.description().layers()) {
      Attention attention = layer.attention();
      List<Number> settings =
          List.of(
              attention.heads(),
              attention.kvHeads(),
              attention.headDim(),
              attention.window(),
              attention.scale(),
              attention.softcap());
      double[] one = alike.computeIfAbsent(settings, key -> seconds(input, attention));
      sum[0] += one[0];
      sum[1] += one[1];
    }
    return sum;
  }

  private double[] seconds(PackedInput input, Attention attention) {
    long tokens = input.tokens();
    long width = (long) attention.heads() * attention.headDim();
    long all = width + 2L * attention.kvHeads() * attention.headDim();
    double forward = Double.MAX_VALUE;
    double backward = Double.MAX_VALUE;
    try (NDManager scope = manager.newSubManager()) {
      NDArray qkv = normal(scope, tokens, all);
      NDArray out = normal(scope, tokens, width);
      NDArray gradient = normal(scope, tokens, width);
      NDArray sizes =
          scope.create(
              new long[] {
                attention.heads(), attention.kvHeads(), attention.headDim(), attention.window()
              });
      NDArray reals = scope.create(new double[] {attention.scale(), attention.softcap()});
      boolean wide = dtype != DType.F32 && GemmBackend.widens(Device.cpu(), dtype);
      NDArray mode = scope.create(new long[] {wide ? 2 : 0});
      NDArray segments = input.segments();
      NDArray bias = input.bias();
      for (int run = 0; run < RUNS; run++) {
        try (NDManager step = scope.newSubManager()) {
          long start = System.nanoTime();
          NDArray[] lse =
              program
                  .call(step, "timed_attention", qkv, segments, bias, sizes, reals, mode, out)
                  .toArray(new NDArray[0]);
          long middle = System.nanoTime();
          program.call(
              step,
              "timed_attention_backward",
              gradient,
              qkv,
              segments,
              bias,
              sizes,
              reals,
              mode,
              out,
              lse);
          forward = Math.min(forward, (middle - start) / 1e9);
          backward = Math.min(backward, (System.nanoTime() - middle) / 1e9);
        }
      }
    }
    return new double[] {forward, backward};
  }

  private NDArray normal(NDManager scope, long rows, long columns) {
    NDArray flat = Tensors.empty(scope, rows * columns, dtype);
    Tensors.fillNormal(flat, 1, rows + columns);
    return Tensors.view(scope, flat, 0, rows, columns);
  }

  @Override
  public void close() {
    program.close();
    manager.close();
  }
}
