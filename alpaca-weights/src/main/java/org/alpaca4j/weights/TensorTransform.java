package org.alpaca4j.weights;

import org.alpaca4j.core.CheckpointException;

/**
 * Changes weights while they are converted; merging an adapter docks here (LoRA: {@code W + s·B·A},
 * a row of which needs one row of B). Values come and go in fp32 and are rounded once, to the type
 * they are stored in. Called from several threads.
 */
interface TensorTransform {
  /** Does nothing. */
  TensorTransform NONE =
      new TensorTransform() {
        @Override
        public boolean changes(WeightFolder.Weight weight) {
          return false;
        }

        @Override
        public void apply(WeightFolder.Weight weight, long offset, float[] values, int count) {}
      };

  /** Returns whether a tensor's values change; its shape never does. */
  boolean changes(WeightFolder.Weight weight);

  /**
   * Changes some of a tensor's values in place.
   *
   * @param weight a tensor of F32, BF16, F16 or F64 that {@link #changes}
   * @param offset the row-major index of the first value
   * @param values the values from there on
   * @param count how many of them there are
   * @throws CheckpointException if it does not fit the tensor
   */
  void apply(WeightFolder.Weight weight, long offset, float[] values, int count);
}
