package org.alpaca4j.data;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A tokenised example. {@code labels[t]} is {@code ids[t]} where the model is to learn that token,
 * and {@link #IGNORE_INDEX} elsewhere. Labels stand at the index of their id: the shift by one
 * (position t predicts {@code labels[t + 1]}) is the model's.
 *
 * <p>The arrays are not copied: leave them unchanged.
 *
 * @param ids token ids
 * @param labels token ids or {@link #IGNORE_INDEX}, as many as ids
 */
public record SupervisedExample(int[] ids, int[] labels) {

  /** The label of a token that is not learnt: −100, as in PyTorch. */
  public static final int IGNORE_INDEX = -100;

  /** Checks that there are as many labels as ids. */
  public SupervisedExample {
    if (ids.length != labels.length) {
      throw new IllegalArgumentException(
          "ids and labels must have one length, found " + ids.length + " and " + labels.length);
    }
  }

  /** Returns the number of tokens. */
  public int length() {
    return ids.length;
  }

  /**
   * Returns the number of tokens that the loss is computed on: labels that are not ignored, without
   * the first position, which nothing predicts.
   */
  public int supervisedTokens() {
    int count = 0;
    for (int t = 1; t < labels.length; t++) {
      if (labels[t] != IGNORE_INDEX) {
        count++;
      }
    }
    return count;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof SupervisedExample that
        && Arrays.equals(ids, that.ids)
        && Arrays.equals(labels, that.labels);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(ids) + Arrays.hashCode(labels);
  }

  @Override
  public String toString() {
    return "SupervisedExample[ids="
        + Arrays.toString(ids)
        + ", labels="
        + Arrays.toString(labels)
        + "]";
  }
}
