package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The calls of CUDA's kernels, with plain operators in their place: which rows, scales, windows and
 * groups they are given, and what becomes of their results.
 */
class AttentionKernelsTest {
  private static final Map<String, String> KERNELS =
      Map.of(
          "torch._flash_attention_forward", "__torch__.flash_forward",
          "torch._flash_attention_backward", "__torch__.flash_backward",
          "torch._efficient_attention_forward", "__torch__.efficient_forward",
          "torch._efficient_attention_backward", "__torch__.efficient_backward");

  @BeforeAll
  static void engine() {
    Torch.initialize();
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void callsGiveWhatProductsGive(DType dtype) {
    for (String name : List.of("Llama", "another scale", "a window", "one key head")) {
      double difference = difference(name, dtype, "");
      assertThat(difference).as(name).isPositive().isLessThan(tolerance(dtype));
    }
  }

  /** What would go wrong in a kernel that ignores an argument is seen. */
  @ParameterizedTest
  @ValueSource(strings = {"scale", "left", "window"})
  void kernelsThatIgnoreAnArgumentAreFound(String argument) {
    Map<String, String> broken =
        Map.of(
            "scale", "* scale\n=>* 0.5\n",
            "left", "i - j <= left=>i - j <= left + 1",
            "window", "if left is not None:=>if False:");
    String name = argument.equals("scale") ? "another scale" : "a window";
    for (DType dtype : List.of(DType.F32, DType.BF16)) {
      assertThat(difference(name, dtype, broken.get(argument))).isGreaterThan(5e-2);
    }
  }

  /** The kernels themselves run on CUDA only; that they take such arguments is checked here. */
  @Test
  void theCallsFitLibtorch() {
    TorchProgram.load(
            Device.cpu(),
            "kernels",
            Map.of(
                "cpu_kernel",
                false,
                "longest_by_products",
                0L,
                "block",
                3L,
                "packed",
                TorchProgram.State.PACKED_MATRICES),
            texts())
        .close();
  }

  private static double tolerance(DType dtype) {
    return dtype == DType.F32 ? 1e-5 : 2e-2;
  }

  private static List<String> texts() {
    return List.of("linear.py", "attention.py", AttentionKernels.WITH).stream()
        .map(file -> TorchProgram.read(AttentionKernels.class, file))
        .toList();
  }

  private static double difference(String name, DType dtype, String change) {
    String kernels = TorchProgram.read(AttentionKernelsTest.class, "kernels.py");
    if (!change.isEmpty()) {
      String[] parts = change.split("=>", -1);
      assertThat(kernels).contains(parts[0]);
      kernels = kernels.replace(parts[0], parts[1]);
    }
    String calls = texts().get(2);
    for (Map.Entry<String, String> kernel : KERNELS.entrySet()) {
      assertThat(calls).contains(kernel.getKey());
      calls = calls.replace(kernel.getKey(), kernel.getValue());
    }
    DecoderDescription decoder = RandomDecoder.withWideHeads(name).build();
    List<String> all = List.of(texts().get(0), texts().get(1), kernels, calls);
    return AttentionKernels.difference(decoder, Device.cpu(), all, dtype);
  }
}
