package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * PyTorch's attention kernels for packed examples on CUDA ({@code attention_cuda.py}). They are
 * internal to PyTorch and differ between its versions and between devices, so each dtype is tried
 * once: every kind of attention of the decoder on a few random examples, output and gradient
 * compared with those by products. Where anything differs, attention is computed by products, and
 * the log says so. Thread-safe.
 */
final class AttentionKernels {
  private static final Logger log = LoggerFactory.getLogger(AttentionKernels.class);

  /** The file whose methods layers call, with the kernels and without. */
  static final String WITH = "attention_cuda.py";

  static final String WITHOUT = "attention_segments.py";

  /**
   * Largest difference from products in fp32, relative: a few units in the last place of 16 bits.
   */
  private static final double TOLERANCE_16 = 3e-2;

  private static final double TOLERANCE_32 = 1e-3;

  private final DecoderDescription description;
  private final Device device;
  private final Map<DType, Boolean> usable = new EnumMap<>(DType.class);

  AttentionKernels(DecoderDescription description, Device device) {
    this.description = description;
    this.device = device;
  }

  /** Returns the file of a device's program. */
  static String file(Device device) {
    return device.getDeviceType().equals(Device.Type.GPU) ? WITH : WITHOUT;
  }

  /** Returns whether the device has such kernels, tried or not. */
  boolean mayBeUsable() {
    return file(device).equals(WITH);
  }

  /** Returns whether the kernels may be used for activations of a dtype. */
  synchronized boolean areUsable(DType dtype) {
    if (!mayBeUsable()) {
      return false;
    }
    return usable.computeIfAbsent(dtype, this::agree);
  }

  private boolean agree(DType dtype) {
    double tolerance = dtype == DType.F32 ? TOLERANCE_32 : TOLERANCE_16;
    List<String> texts =
        List.of("linear.py", "attention.py", WITH).stream()
            .map(file -> TorchProgram.read(AttentionKernels.class, file))
            .toList();
    try {
      double difference = difference(description, device, texts, dtype);
      if (difference <= tolerance) {
        return true;
      }
      log.warn(
          "PyTorch's attention kernels differ by {} from products in {} here;"
              + " attention is computed by products, which is slower",
          difference,
          dtype);
    } catch (EngineException e) {
      log.warn(
          "PyTorch's attention kernels fail in {} here; attention is computed by products, which"
              + " is slower",
          dtype,
          e);
    }
    return false;
  }

  /** Returns the largest relative difference between kernels and products over all layers. */
  static double difference(
      DecoderDescription description, Device device, List<String> texts, DType dtype) {
    Map<String, Object> constants = new HashMap<>();
    constants.put("cpu_kernel", false);
    constants.put("longest_by_products", 0L);
    constants.put("block", 1024L);
    constants.put("packed", TorchProgram.State.PACKED_MATRICES);
    double largest = 0;
    try (TorchProgram program = TorchProgram.load(device, "attention", constants, texts);
        NDManager scope = NDManager.newBaseManager(device, Torch.ENGINE)) {
      for (Setting setting : settings(description)) {
        long[] sizes = {setting.heads, setting.kvHeads, setting.headDim, setting.window};
        NDArray difference =
            program.callForOne(
                scope,
                "kernels_difference",
                Tensors.zeros(scope, 1, dtype),
                scope.create(sizes).toDevice(Device.cpu(), false),
                scope.create(new double[] {setting.scale}).toDevice(Device.cpu(), false));
        largest = Math.max(largest, difference.getFloat());
      }
    }
    return largest;
  }

  /** What kernels take; a window as the short examples of the check have room for. */
  private record Setting(int heads, int kvHeads, int headDim, double scale, int window) {}

  private static Set<Setting> settings(DecoderDescription description) {
    Set<Setting> settings = new LinkedHashSet<>();
    for (DecoderDescription.Layer layer : description.layers()) {
      Attention attention = layer.attention();
      settings.add(
          new Setting(
              attention.heads(),
              attention.kvHeads(),
              attention.headDim(),
              attention.scale(),
              Math.min(attention.window(), 20)));
    }
    return settings;
  }
}
