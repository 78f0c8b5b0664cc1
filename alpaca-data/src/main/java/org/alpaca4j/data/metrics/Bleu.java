package org.alpaca4j.data.metrics;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * BLEU-4 of one text (K. Papineni et al., 2002) on single characters, with the numbers of nltk's
 * {@code sentence_bleu} and its smoothing method 3: an n-gram order without a match counts as half,
 * a quarter, … of a match.
 */
public final class Bleu {
  private static final int ORDERS = 4;

  private Bleu() {}

  /**
   * Scores a prediction by its characters (code points, white space included): 0 to 1; 0 if no
   * character is in both. Equal texts of less than four characters score below 1, as in nltk.
   *
   * @param prediction the generated text
   * @param reference the only reference
   */
  public static double bleu4(String prediction, String reference) {
    Objects.requireNonNull(prediction, "prediction is null");
    Objects.requireNonNull(reference, "reference is null");
    int[] predicted = prediction.codePoints().toArray();
    int[] expected = reference.codePoints().toArray();
    double logs = 0;
    int halvings = 0;
    for (int order = 1; order <= ORDERS; order++) {
      Map<List<Integer>, Integer> expectedGrams = grams(expected, order);
      int matches = 0;
      for (Map.Entry<List<Integer>, Integer> gram : grams(predicted, order).entrySet()) {
        matches += Math.min(gram.getValue(), expectedGrams.getOrDefault(gram.getKey(), 0));
      }
      if (matches == 0 && order == 1) {
        return 0;
      }
      double found = matches == 0 ? Math.scalb(1.0, - ++halvings) : matches;
      logs += Math.log(found / Math.max(1, predicted.length - order + 1)) / ORDERS;
    }
    double brevityPenalty =
        predicted.length > expected.length
            ? 1
            : Math.exp(1 - (double) expected.length / predicted.length);
    return brevityPenalty * Math.exp(logs);
  }

  private static Map<List<Integer>, Integer> grams(int[] characters, int size) {
    Map<List<Integer>, Integer> counts = new HashMap<>();
    for (int i = 0; i + size <= characters.length; i++) {
      Integer[] gram = new Integer[size];
      for (int j = 0; j < size; j++) {
        gram[j] = characters[i + j];
      }
      counts.merge(List.of(gram), 1, Integer::sum);
    }
    return counts;
  }
}
