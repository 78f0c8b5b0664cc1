package org.alpaca4j.core.internal.generation;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.Map;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;

/** Sorts scores as PyTorch does, which has an order of its own for equal ones. */
final class TorchOrder {
  private TorchOrder() {}

  private static final class Holder {
    static final TorchProgram PROGRAM =
        TorchProgram.load(Device.cpu(), TorchOrder.class, Map.of(), "order.py");
  }

  /** Returns all ids by ascending score. */
  static int[] ascending(float[] scores) {
    Torch.initialize();
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      NDArray rows = scope.create(scores, new Shape(1, scores.length));
      long[] order = Holder.PROGRAM.callForOne(scope, "ascending", rows).toLongArray();
      int[] ids = new int[order.length];
      for (int i = 0; i < ids.length; i++) {
        ids[i] = (int) order[i];
      }
      return ids;
    }
  }
}
