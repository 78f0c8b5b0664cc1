package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Whole examples end to end, without padding. Example e takes the positions {@code
 * cumulativeLengths[e]} to {@code cumulativeLengths[e + 1]} (exclusive); attention must not cross
 * those borders, and positions restart at each.
 *
 * <p>Labels stand at the index of their id. The shift is the model's: position t predicts {@code
 * labels[t + 1]} when both lie in the same example, so the first label of an example counts for
 * nothing.
 *
 * <p>The arrays are not copied: leave them unchanged.
 *
 * @param inputIds token ids, {@code [tokens]}
 * @param labels token ids or {@link SupervisedExample#IGNORE_INDEX}, {@code [tokens]}
 * @param cumulativeLengths where the examples begin, from 0, and the total at the end, {@code
 *     [examples + 1]}
 * @param weights {@linkplain SupervisedExample#weights weights} of the tokens in the loss, {@code
 *     [tokens]}; empty if all that is learnt weighs 1
 */
public record PackedBatch(int[] inputIds, int[] labels, int[] cumulativeLengths, float[] weights) {

  /** Checks that the lengths agree, and the weights as {@link SupervisedExample} does. */
  public PackedBatch {
    if (labels.length != inputIds.length) {
      throw new IllegalArgumentException(
          "inputIds and labels must have one length, found "
              + inputIds.length
              + " and "
              + labels.length);
    }
    if (cumulativeLengths.length == 0
        || cumulativeLengths[0] != 0
        || cumulativeLengths[cumulativeLengths.length - 1] != inputIds.length) {
      throw new IllegalArgumentException(
          "cumulativeLengths must go from 0 to "
              + inputIds.length
              + ", found "
              + Arrays.toString(cumulativeLengths));
    }
    for (int e = 1; e < cumulativeLengths.length; e++) {
      if (cumulativeLengths[e] <= cumulativeLengths[e - 1]) {
        throw new IllegalArgumentException(
            "cumulativeLengths must increase, found " + Arrays.toString(cumulativeLengths));
      }
    }
    weights = SupervisedExample.checked(weights, labels);
  }

  /** Creates a batch whose supervised tokens all weigh 1. */
  public PackedBatch(int[] inputIds, int[] labels, int[] cumulativeLengths) {
    this(inputIds, labels, cumulativeLengths, new float[0]);
  }

  /**
   * Packs examples into one batch, in order. Each {@linkplain SupervisedExample#sequences sequence}
   * of an example takes a place of its own.
   */
  public static PackedBatch of(List<SupervisedExample> given) {
    Objects.requireNonNull(given, "given is null");
    List<SupervisedExample> examples =
        given.stream().flatMap(example -> example.sequences().stream()).toList();
    int[] cumulative = new int[examples.size() + 1];
    for (int e = 0; e < examples.size(); e++) {
      cumulative[e + 1] = Math.addExact(cumulative[e], examples.get(e).length());
    }
    int[] ids = new int[cumulative[examples.size()]];
    int[] labels = new int[ids.length];
    float[] weights = new float[SupervisedExample.weighted(examples) ? ids.length : 0];
    for (int e = 0; e < examples.size(); e++) {
      SupervisedExample example = examples.get(e);
      System.arraycopy(example.ids(), 0, ids, cumulative[e], example.length());
      System.arraycopy(example.labels(), 0, labels, cumulative[e], example.length());
      if (weights.length > 0) {
        example.putWeights(weights, cumulative[e]);
      }
    }
    return new PackedBatch(ids, labels, cumulative, weights);
  }

  /**
   * Packs examples into as few batches as their order allows.
   *
   * @param examples examples, kept in order and whole
   * @param maxTokens tokens that a batch may hold; a longer example gets a batch of its own
   */
  public static List<PackedBatch> pack(List<SupervisedExample> examples, int maxTokens) {
    Objects.requireNonNull(examples, "examples is null");
    if (maxTokens < 1) {
      throw new IllegalArgumentException("maxTokens must be at least 1, found " + maxTokens);
    }
    List<PackedBatch> batches = new ArrayList<>();
    int from = 0;
    long tokens = 0;
    for (int e = 0; e < examples.size(); e++) {
      int length = examples.get(e).length();
      if (e > from && tokens + length > maxTokens) {
        batches.add(of(examples.subList(from, e)));
        from = e;
        tokens = 0;
      }
      tokens += length;
    }
    if (from < examples.size()) {
      batches.add(of(examples.subList(from, examples.size())));
    }
    return batches;
  }

  /** Returns the number of examples, or of their sequences. */
  public int size() {
    return cumulativeLengths.length - 1;
  }

  /** Returns the number of tokens. */
  public int tokens() {
    return inputIds.length;
  }

  /** Returns the number of tokens of the longest example; 0 for an empty batch. */
  public int longest() {
    int longest = 0;
    for (int e = 0; e < size(); e++) {
      longest = Math.max(longest, cumulativeLengths[e + 1] - cumulativeLengths[e]);
    }
    return longest;
  }

  /** Returns the number of tokens that the loss is computed on. */
  public int supervisedTokens() {
    int count = 0;
    for (int e = 0; e < size(); e++) {
      for (int t = cumulativeLengths[e] + 1; t < cumulativeLengths[e + 1]; t++) {
        if (labels[t] != SupervisedExample.IGNORE_INDEX) {
          count++;
        }
      }
    }
    return count;
  }

  /**
   * Returns the sum of the weights of the tokens that the loss is computed on, which the loss is
   * divided by: their number, if all weigh 1.
   */
  public double supervisedWeight() {
    if (weights.length == 0) {
      return supervisedTokens();
    }
    double sum = 0;
    for (int e = 0; e < size(); e++) {
      for (int t = cumulativeLengths[e] + 1; t < cumulativeLengths[e + 1]; t++) {
        sum += weights[t];
      }
    }
    return sum;
  }

  /** Returns the position of each token in its example, from 0, {@code [tokens]}. */
  public int[] positionIds() {
    int[] positions = new int[inputIds.length];
    for (int e = 0; e < size(); e++) {
      for (int t = cumulativeLengths[e]; t < cumulativeLengths[e + 1]; t++) {
        positions[t] = t - cumulativeLengths[e];
      }
    }
    return positions;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof PackedBatch that
        && Arrays.equals(inputIds, that.inputIds)
        && Arrays.equals(labels, that.labels)
        && Arrays.equals(cumulativeLengths, that.cumulativeLengths)
        && Arrays.equals(weights, that.weights);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(inputIds) + Arrays.hashCode(cumulativeLengths);
  }

  @Override
  public String toString() {
    return "PackedBatch[" + size() + " examples, " + tokens() + " tokens]";
  }
}
