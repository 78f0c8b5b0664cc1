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
 */
record Supervision(int[] rows, long[] targets, int[] sequences) {

  static Supervision of(PackedBatch batch) {
    int count = batch.supervisedTokens();
    int[] rows = new int[count];
    long[] targets = new long[count];
    int[] sequences = new int[count];
    int[] starts = batch.cumulativeLengths();
    int[] labels = batch.labels();
    int at = 0;
    for (int sequence = 0; sequence < batch.size(); sequence++) {
      for (int t = starts[sequence]; t + 1 < starts[sequence + 1]; t++) {
        if (labels[t + 1] != SupervisedExample.IGNORE_INDEX) {
          rows[at] = t;
          targets[at] = labels[t + 1];
          sequences[at++] = sequence;
        }
      }
    }
    return new Supervision(rows, targets, sequences);
  }

  NDArray targets(NDManager scope) {
    return scope.create(targets, new Shape(targets.length, 1));
  }
}
