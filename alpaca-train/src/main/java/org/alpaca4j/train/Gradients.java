package org.alpaca4j.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.UnitTensors;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of a model's units. Those of the decoder layers' matrices lie in the workspace if
 * one is given, in the dtype of the layers' arithmetic; all others are fp32.
 */
final class Gradients implements AutoCloseable {
  private final NDManager manager;
  private final TorchProgram program;
  private final List<UnitTensors> units = new ArrayList<>();

  /**
   * Allocates gradients of arbitrary value.
   *
   * @param layouts of all units: embedding, layers, head
   * @param workspace where the layers' gradients lie; null: in memory of their own, in fp32, which
   *     sums over several micro-batches need
   * @param program optimizer.py
   */
  Gradients(
      NDManager parent,
      List<UnitLayout> layouts,
      @Nullable Workspace workspace,
      TorchProgram program) {
    this.manager = parent.newSubManager();
    this.program = program;
    int last = layouts.size() - 1;
    for (int i = 0; i <= last; i++) {
      boolean layer = i > 0 && i < last;
      units.add(
          layer && workspace != null
              ? UnitTensors.over(manager, layouts.get(i), workspace.gradients(i - 1))
              : UnitTensors.empty(manager, layouts.get(i), DType.F32, DType.F32));
    }
  }

  /** Returns a unit's gradients. */
  UnitTensors unit(int index) {
    return units.get(index);
  }

  /** Returns the L2 norm over all units. */
  double norm() {
    double sum = 0;
    for (UnitTensors unit : units) {
      for (int flat = 0; flat < UnitLayout.FLATS; flat++) {
        if (unit.layout().elements().get(flat) > 0) {
          try (NDArray square = program.callForOne(manager, "squared_norm", unit.flat(flat))) {
            sum += square.toDoubleArray()[0];
          }
        }
      }
    }
    return Math.sqrt(sum);
  }

  @Override
  public void close() {
    manager.close();
  }
}
