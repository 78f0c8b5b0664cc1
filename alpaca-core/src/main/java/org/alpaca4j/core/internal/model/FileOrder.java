package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.internal.model.DecoderDescription.Order;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;

/** Puts a checkpoint tensor's elements into the decoder's order, and back. */
final class FileOrder {
  private FileOrder() {}

  private static final class Holder {
    static final TorchProgram PROGRAM =
        TorchProgram.load(Device.cpu(), FileOrder.class, Map.of(), "file_order.py");
    static final NDManager NUMBERS = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  }

  /** Returns a parameter of a flat as the checkpoint has it; a view if the order is the same. */
  static NDArray fromMemory(NDManager scope, NDArray flat, UnitLayout.Parameter parameter) {
    NDArray view = Tensors.view(scope, flat, parameter.offset(), parameter.elements());
    if (parameter.inOrder()) {
      return Tensors.view(scope, view, 0, parameter.shapeArray());
    }
    try (NDArray shape = numbers(parameter.shapeArray());
        NDArray groups = groups(parameter.order())) {
      return Holder.PROGRAM.callForOne(scope, "from_memory", view, shape, groups);
    }
  }

  /** Copies a tensor of the checkpoint to its place in a flat, converting the dtype. */
  static void toMemory(NDArray flat, UnitLayout.Parameter parameter, NDArray source) {
    try (NDManager scope = NDManager.newBaseManager(flat.getDevice(), Torch.ENGINE);
        NDArray groups = groups(parameter.order())) {
      NDArray view = Tensors.view(scope, flat, parameter.offset(), parameter.elements());
      Holder.PROGRAM.run("to_memory", view, source, groups);
    }
  }

  /** [0]: as in memory; [1]: transposed; [groups, rows of each part ...] else. */
  private static NDArray groups(Order order) {
    if (order instanceof Order.Grouped grouped) {
      List<Long> parts = grouped.parts();
      long[] numbers = new long[1 + parts.size()];
      numbers[0] = grouped.groups();
      for (int i = 0; i < parts.size(); i++) {
        numbers[1 + i] = parts.get(i);
      }
      return numbers(numbers);
    }
    return numbers(order instanceof Order.Transposed ? 1 : 0);
  }

  private static NDArray numbers(long... values) {
    return Holder.NUMBERS.create(values);
  }
}
