package org.alpaca4j.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import org.alpaca4j.data.PackedBatch;
import org.alpaca4j.data.SupervisedExample;

/**
 * Where the loss is computed in a packed batch: row t of the hidden states predicts the label at t
 * + 1 of the same sequence.
 *
 * @param rows positions in the batch, [supervised]
 * @param targets token ids, [supervised]
 * @param sequences which sequence of the batch each row belongs to, [supervised]
 * @param weights of the targets in the loss, [supervised]; empty if all are 1
 */
record Supervision(int[] rows, long[] targets, int[] sequences, float[] weights) {

  static Supervision of(PackedBatch batch) {
    int count = batch.supervisedTokens();
    int[] rows = new int[count];
    long[] targets = new long[count];
    int[] sequences = new int[count];
    float[] weights = new float[batch.weights().length == 0 ? 0 : count];
    int[] starts = batch.cumulativeLengths();
    int[] labels = batch.labels();
    int at = 0;
    for (int sequence = 0; sequence < batch.size(); sequence++) {
      for (int t = starts[sequence]; t + 1 < starts[sequence + 1]; t++) {
        if (labels[t + 1] != SupervisedExample.IGNORE_INDEX) {
          if (weights.length > 0) {
            weights[at] = batch.weights()[t + 1];
          }
          rows[at] = t;
          targets[at] = labels[t + 1];
          sequences[at++] = sequence;
        }
      }
    }
    return new Supervision(rows, targets, sequences, weights);
  }

  double weight(int row) {
    return weights.length == 0 ? 1 : weights[row];
  }

  /** Returns the weighted sum of the targets' losses. */
  double sum(float[] losses) {
    double sum = 0;
    for (int i = 0; i < losses.length; i++) {
      sum += weight(i) * losses[i];
    }
    return sum;
  }

  /** Returns the weights times a factor, [supervised, 1]. */
  NDArray scales(NDManager scope, double factor) {
    float[] scales = new float[targets.length];
    for (int i = 0; i < scales.length; i++) {
      scales[i] = (float) (weight(i) * factor);
    }
    return scope.create(scales, new Shape(scales.length, 1));
  }

  NDArray targets(NDManager scope) {
    return scope.create(targets, new Shape(targets.length, 1));
  }
}
