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
 * The gradients of a model's units.
 *
 * <p>A decoder layer's gradients are allocated when its backward pass begins and freed after the
 * optimizer step, so that they take the place of the activations that the backward pass frees: the
 * two are never both whole in memory. The embedding's and the head's stay.
 */
final class Gradients implements AutoCloseable {
  private final NDManager manager;
  private final List<UnitLayout> layouts;
  private final DType layerMatrices;
  private final TorchProgram program;
  private final List<@Nullable UnitTensors> units = new ArrayList<>();

  /**
   * Creates empty gradients.
   *
   * @param layerMatrices dtype of the gradients of the layers' matrices; all others are fp32
   * @param program optimizer.py
   */
  Gradients(NDManager parent, List<UnitLayout> layouts, DType layerMatrices, TorchProgram program) {
    this.manager = parent.newSubManager();
    this.layouts = layouts;
    this.layerMatrices = layerMatrices;
    this.program = program;
    layouts.forEach(layout -> units.add(null));
  }

  /** Returns a unit's gradients; of arbitrary value until they are first written. */
  UnitTensors unit(int index) {
    UnitTensors unit = units.get(index);
    if (unit == null) {
      DType matrices = isLayer(index) ? layerMatrices : DType.F32;
      unit = UnitTensors.empty(manager, layouts.get(index), matrices, DType.F32);
      units.set(index, unit);
    }
    return unit;
  }

  private boolean isLayer(int index) {
    return index > 0 && index < layouts.size() - 1;
  }

  /** Returns the L2 norm over all units. */
  double norm() {
    double sum = 0;
    for (int i = 0; i < layouts.size(); i++) {
      for (int flat = 0; flat < UnitLayout.FLATS; flat++) {
        if (layouts.get(i).elements().get(flat) > 0) {
          try (NDArray square = program.callForOne(manager, "squared_norm", unit(i).flat(flat))) {
            sum += square.toDoubleArray()[0];
          }
        }
      }
    }
    return Math.sqrt(sum);
  }

  /** Frees a layer's gradients, once the optimizer has used them. */
  void release(int index) {
    UnitTensors unit = units.get(index);
    if (unit != null && isLayer(index)) {
      unit.close();
      units.set(index, null);
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
