package org.alpaca4j.data;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.google.common.primitives.Floats;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Examples as rows of one width. The arrays are {@code [batch, width]} and not copied: leave them
 * unchanged.
 *
 * @param inputIds token ids, padded with the pad id
 * @param labels token ids or {@link SupervisedExample#IGNORE_INDEX}, padded with the latter; at the
 *     index of their id, not shifted
 * @param attentionMask 1 where attention may look, 0 at padding
 * @param weights {@linkplain SupervisedExample#weights weights} of the tokens in the loss, 0 at
 *     padding; without rows if all that is learnt weighs 1
 */
public record PaddedBatch(
    int[][] inputIds, int[][] labels, int[][] attentionMask, float[][] weights) {

  /** Creates a batch whose supervised tokens all weigh 1. */
  public PaddedBatch(int[][] inputIds, int[][] labels, int[][] attentionMask) {
    this(inputIds, labels, attentionMask, new float[0][]);
  }

  /** Returns the number of examples. */
  public int size() {
    return inputIds.length;
  }

  /** Returns the number of columns, padding included. */
  public int width() {
    return inputIds.length == 0 ? 0 : inputIds[0].length;
  }

  /** Returns the number of tokens that the loss is computed on: labels without the first column. */
  public int supervisedTokens() {
    int count = 0;
    for (int[] row : labels) {
      for (int t = 1; t < row.length; t++) {
        if (row[t] != SupervisedExample.IGNORE_INDEX) {
          count++;
        }
      }
    }
    return count;
  }

  /**
   * Copies the batch into three int64 arrays {@code [batch, width]}, named {@code input_ids},
   * {@code labels} and {@code attention_mask}, and one of float32 named {@code weights} if there
   * are weights.
   *
   * @param manager owns the arrays: they live until it, or the list, is closed
   */
  public NDList toNDList(NDManager manager) {
    Objects.requireNonNull(manager, "manager is null");
    NDList arrays =
        new NDList(
            array(manager, "input_ids", inputIds),
            array(manager, "labels", labels),
            array(manager, "attention_mask", attentionMask));
    if (weights.length > 0) {
      NDArray array = manager.create(Floats.concat(weights), new Shape(size(), width()));
      array.setName("weights");
      arrays.add(array);
    }
    return arrays;
  }

  private NDArray array(NDManager manager, String name, int[][] rows) {
    long[] flat = new long[size() * width()];
    int position = 0;
    for (int[] row : rows) {
      for (int value : row) {
        flat[position++] = value;
      }
    }
    NDArray array = manager.create(flat, new Shape(size(), width()));
    array.setName(name);
    return array;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof PaddedBatch that
        && Arrays.deepEquals(inputIds, that.inputIds)
        && Arrays.deepEquals(labels, that.labels)
        && Arrays.deepEquals(attentionMask, that.attentionMask)
        && Arrays.deepEquals(weights, that.weights);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.deepHashCode(inputIds) + Arrays.deepHashCode(labels);
  }

  @Override
  public String toString() {
    return "PaddedBatch[" + size() + " x " + width() + "]";
  }
}
