package org.alpaca4j.data.similarity;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Scores of one text with others: the best ones and the sum of all. */
final class Tally {
  private final int[] indexes;
  private final double[] scores;
  private int size;
  private double sum;
  private double sumError;

  /** Makes an empty tally that remembers so many of the best; at least one. */
  Tally(int best) {
    indexes = new int[best];
    scores = new double[best];
  }

  /** Whether a text with this score may belong to the best. */
  boolean accepts(double score) {
    return size < scores.length || score >= scores[size - 1];
  }

  /** Puts a text among the best, if it belongs there: by score, then by index. */
  void offer(int index, double score) {
    if (size == scores.length) {
      if (!isBefore(index, score, size - 1)) {
        return;
      }
      size--;
    }
    int place = size++;
    for (; place > 0 && isBefore(index, score, place - 1); place--) {
      indexes[place] = indexes[place - 1];
      scores[place] = scores[place - 1];
    }
    indexes[place] = index;
    scores[place] = score;
  }

  private boolean isBefore(int index, double score, int place) {
    return score > scores[place] || score == scores[place] && index < indexes[place];
  }

  /**
   * Adds a score to the sum, so many times. The sum keeps its rounding errors apart, so that the
   * order of adding makes no difference.
   */
  void add(double score, int times) {
    double product = score * times;
    double productError = Math.fma(score, times, -product);
    double total = sum + product;
    double part = total - sum;
    sumError += (sum - (total - part)) + (product - part) + productError;
    sum = total;
  }

  boolean isEmpty() {
    return size == 0;
  }

  /** The best score; 0 if there is none. */
  double max() {
    return size == 0 ? 0 : scores[0];
  }

  /** The index of the best; there must be one. */
  int best() {
    return indexes[0];
  }

  /** The sum of all scores. */
  double sum() {
    return sum + sumError;
  }

  /** The first {@code limit} of the best. */
  List<Similarity> mostSimilar(int limit) {
    List<Similarity> result = new ArrayList<>();
    for (int i = 0; i < Math.min(limit, size); i++) {
      result.add(new Similarity(indexes[i], scores[i]));
    }
    return result;
  }

  @Override
  public String toString() {
    return Arrays.toString(Arrays.copyOf(scores, size));
  }
}
