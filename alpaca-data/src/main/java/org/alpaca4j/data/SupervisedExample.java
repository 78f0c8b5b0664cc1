package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A tokenised example. {@code labels[t]} is {@code ids[t]} where the model is to learn that token,
 * and {@link #IGNORE_INDEX} elsewhere. Labels stand at the index of their id: the shift by one
 * (position t predicts {@code labels[t + 1]}) is the model's.
 *
 * <p>An example is mostly one sequence of tokens. A conversation is several where its chat template
 * renders early turns otherwise once later ones follow: one for each prompt that the model will be
 * asked with, lying end to end, mostly with a common beginning. Neither attention nor positions
 * cross their borders. They are one example all the same: in orders and batch sizes it counts once,
 * its sequences go into one batch, and its supervised tokens weigh as any others.
 *
 * <p>A token's weight is its share in the loss of a step: that is {@code sum(weight * crossEntropy)
 * / sum(weight)} over the step's supervised tokens. Mostly all weigh 1, and nothing is stored; the
 * turns of a conversation may have {@linkplain Conversation#WEIGHT other weights}.
 *
 * <p>The arrays are not copied: leave them unchanged.
 *
 * @param ids token ids
 * @param labels token ids or {@link #IGNORE_INDEX}, as many as ids
 * @param starts where the sequences begin, ascending from 0
 * @param weights for each token above 0 and finite where its label is learnt, 0 elsewhere; empty if
 *     all that is learnt weighs 1
 */
public record SupervisedExample(int[] ids, int[] labels, int[] starts, float[] weights) {

  /** The label of a token that is not learnt: −100, as in PyTorch. */
  public static final int IGNORE_INDEX = -100;

  private static final float[] ALIKE = {};

  /**
   * Checks that there are as many labels as ids, that the sequences are among them and that the
   * weights are those of the labels. Weights that are all 1 are dropped.
   */
  public SupervisedExample {
    Objects.requireNonNull(starts, "starts is null");
    Objects.requireNonNull(weights, "weights is null");
    Objects.requireNonNull(labels, "labels is null");
    Objects.requireNonNull(ids, "ids is null");
    if (ids.length != labels.length) {
      throw new IllegalArgumentException(
          "ids and labels must have one length, found " + ids.length + " and " + labels.length);
    }
    for (int k = 0; k < starts.length; k++) {
      if (k == 0 ? starts[0] != 0 : starts[k] <= starts[k - 1] || starts[k] >= ids.length) {
        throw badStarts(starts, ids.length);
      }
    }
    if (starts.length == 0) {
      throw badStarts(starts, ids.length);
    }
    weights = checked(weights, labels);
  }

  /** Returns weights that are those of the labels; none if all that is learnt weighs 1. */
  static float[] checked(float[] weights, int[] labels) {
    if (weights.length == 0) {
      return weights;
    }
    if (weights.length != labels.length) {
      throw new IllegalArgumentException(
          "there must be no weights, or one for each of the "
              + labels.length
              + " labels, found "
              + weights.length);
    }
    boolean alike = true;
    for (int t = 0; t < weights.length; t++) {
      float weight = weights[t];
      boolean learnt = labels[t] != IGNORE_INDEX;
      if (learnt ? !(weight > 0 && weight < Float.POSITIVE_INFINITY) : weight != 0) {
        throw new IllegalArgumentException(
            "the weight at position "
                + t
                + " is "
                + weight
                + ", but must be "
                + (learnt ? "above 0 and finite" : "0, as its label is ignored"));
      }
      alike &= !learnt || weight == 1;
    }
    return alike ? ALIKE : weights;
  }

  private static IllegalArgumentException badStarts(int[] starts, int length) {
    return new IllegalArgumentException(
        "starts must ascend from 0 and stay below the "
            + length
            + " ids, found "
            + Arrays.toString(starts));
  }

  /** Creates an example of one sequence, whose supervised tokens all weigh 1. */
  public SupervisedExample(int[] ids, int[] labels) {
    this(ids, labels, new int[1]);
  }

  /** Creates an example whose supervised tokens all weigh 1. */
  public SupervisedExample(int[] ids, int[] labels, int[] starts) {
    this(ids, labels, starts, ALIKE);
  }

  /**
   * Returns one example of the sequences of these.
   *
   * @param parts at least one; none empty
   */
  public static SupervisedExample of(List<SupervisedExample> parts) {
    Objects.requireNonNull(parts, "parts is null");
    if (parts.size() == 1) {
      return parts.get(0);
    }
    int length = parts.stream().mapToInt(SupervisedExample::length).reduce(0, Math::addExact);
    int[] ids = new int[length];
    int[] labels = new int[length];
    float[] weights = new float[weighted(parts) ? length : 0];
    int[] starts = new int[parts.stream().mapToInt(part -> part.starts.length).sum()];
    int at = 0;
    int sequence = 0;
    for (SupervisedExample part : parts) {
      System.arraycopy(part.ids, 0, ids, at, part.length());
      System.arraycopy(part.labels, 0, labels, at, part.length());
      if (weights.length > 0) {
        part.putWeights(weights, at);
      }
      for (int start : part.starts) {
        starts[sequence++] = at + start;
      }
      at += part.length();
    }
    return new SupervisedExample(ids, labels, starts, weights);
  }

  /** Returns whether there is a supervised token in examples that does not weigh 1. */
  static boolean weighted(List<SupervisedExample> examples) {
    return examples.stream().anyMatch(example -> example.weights.length > 0);
  }

  /** Writes the weight of each token, 0 where it is not learnt, from a place on. */
  void putWeights(float[] into, int at) {
    for (int t = 0; t < length(); t++) {
      into[at + t] = labels[t] == IGNORE_INDEX ? 0 : weights.length == 0 ? 1 : weights[t];
    }
  }

  /** Returns the sequences, each as an example of its own. */
  public List<SupervisedExample> sequences() {
    if (starts.length == 1) {
      return List.of(this);
    }
    List<SupervisedExample> sequences = new ArrayList<>(starts.length);
    for (int k = 0; k < starts.length; k++) {
      sequences.add(part(starts[k], end(k)));
    }
    return sequences;
  }

  /** Returns a part of a sequence, as an example of one. */
  SupervisedExample part(int from, int to) {
    return new SupervisedExample(
        Arrays.copyOfRange(ids, from, to),
        Arrays.copyOfRange(labels, from, to),
        new int[1],
        weights.length == 0 ? weights : Arrays.copyOfRange(weights, from, to));
  }

  private int end(int sequence) {
    return sequence + 1 < starts.length ? starts[sequence + 1] : ids.length;
  }

  /** Returns the number of tokens, of all sequences. */
  public int length() {
    return ids.length;
  }

  /** Returns the number of tokens of the longest sequence: what a maximal length is compared to. */
  public int longestSequence() {
    int longest = 0;
    for (int k = 0; k < starts.length; k++) {
      longest = Math.max(longest, end(k) - starts[k]);
    }
    return longest;
  }

  /**
   * Returns the number of tokens that the loss is computed on: labels that are not ignored, without
   * the first position of each sequence, which nothing predicts.
   */
  public int supervisedTokens() {
    int count = 0;
    for (int k = 0; k < starts.length; k++) {
      for (int t = starts[k] + 1; t < end(k); t++) {
        if (labels[t] != IGNORE_INDEX) {
          count++;
        }
      }
    }
    return count;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof SupervisedExample that
        && Arrays.equals(ids, that.ids)
        && Arrays.equals(labels, that.labels)
        && Arrays.equals(starts, that.starts)
        && Arrays.equals(weights, that.weights);
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
        + ", starts="
        + Arrays.toString(starts)
        + (weights.length == 0 ? "" : ", weights=" + Arrays.toString(weights))
        + "]";
  }
}
