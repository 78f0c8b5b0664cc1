package org.alpaca4j.data.similarity;

import java.util.List;

/**
 * How alike one text is to all texts of a {@link SimilarityIndex}.
 *
 * @param max the highest score; 0 if the index is empty
 * @param average mean of the scores of all texts, those without a common token included; 0 if the
 *     index is empty
 * @param mostSimilar the texts with the highest scores, best first, equal scores by index
 */
public record Similarities(double max, double average, List<Similarity> mostSimilar) {

  /** Copies the list. */
  public Similarities {
    mostSimilar = List.copyOf(mostSimilar);
  }
}
