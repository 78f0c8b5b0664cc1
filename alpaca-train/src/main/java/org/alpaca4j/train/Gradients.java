package org.alpaca4j.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.TrainedParameters;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.UnitTensors;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of what is trained, by unit. Those of the decoder layers' matrices lie in the
 * workspace if one is given, in the dtype of the layers' arithmetic; all others are fp32.
 */
final class Gradients implements AutoCloseable {
  private final NDManager manager;
  private final TorchProgram program;
  private final List<UnitTensors> units = new ArrayList<>();
  private final List<NDArray[]> runs = new ArrayList<>();

  /**
   * Allocates gradients of arbitrary value.
   *
   * @param workspace where the layers' gradients lie; null: in memory of their own, in fp32, which
   *     sums over several micro-batches need
   * @param program optimizer.py
   */
  Gradients(
      NDManager parent,
      TrainedParameters trained,
      @Nullable Workspace workspace,
      TorchProgram program) {
    this.manager = parent.newSubManager();
    this.program = program;
    int last = trained.units() - 1;
    for (int i = 0; i <= last; i++) {
      boolean runsBackward = i >= Math.max(1, trained.first()) && i < last;
      UnitLayout layout = trained.gradients(i);
      UnitTensors unit =
          workspace != null && runsBackward
              ? workspace.gradients(manager, i - 1, layout)
              : UnitTensors.empty(manager, layout, DType.F32, DType.F32);
      units.add(unit);
      runs.add(
          trained.runs(i).stream()
              .map(run -> unit.part(manager, run.flat(), run.gradient(), run.elements()))
              .toArray(NDArray[]::new));
    }
  }

  /** Returns a unit's gradients, for programs to write to. */
  UnitTensors unit(int index) {
    return units.get(index);
  }

  /** Returns a unit's gradients as {@link TrainedParameters#runs} has them. */
  NDArray[] runs(int unit) {
    return runs.get(unit);
  }

  /** Returns the L2 norm over all that is trained. */
  double norm() {
    NDArray[] all = runs.stream().flatMap(Arrays::stream).toArray(NDArray[]::new);
    try (NDArray square = program.callForOne(manager, "sum_of_squares", (Object) all)) {
      return Math.sqrt(square.toDoubleArray()[0]);
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
