package org.alpaca4j.data.metrics;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/**
 * ROUGE-1, ROUGE-2 and ROUGE-L of one text with the numbers of Python's rouge-chinese 1.0.3:
 * n-grams count once however often they occur, and ROUGE-L is that of all words in a row. Google's
 * rouge_score, which Self-Instruct uses, is {@link org.alpaca4j.data.similarity.RougeL}.
 *
 * @param rouge1 single words
 * @param rouge2 pairs of neighbouring words
 * @param rougeL the longest common subsequence
 */
public record Rouge(Score rouge1, Score rouge2, Score rougeL) {
  private static final Score ZERO = new Score(0, 0, 0);

  /**
   * One of the scores.
   *
   * @param precision share of the prediction's units found in the reference
   * @param recall share of the reference's units found in the prediction
   * @param fMeasure harmonic mean of the two, with rouge-chinese's 1e-8 in the denominator
   */
  public record Score(double precision, double recall, double fMeasure) {}

  /**
   * Scores a prediction; all zero if either text has no word.
   *
   * @param prediction segments of the prediction, white space allowed
   * @param reference segments of the reference
   */
  public static Rouge of(List<String> prediction, List<String> reference) {
    Objects.requireNonNull(prediction, "prediction is null");
    Objects.requireNonNull(reference, "reference is null");
    String[] predicted = words(prediction);
    String[] expected = words(reference);
    if (isBlank(prediction) || isBlank(reference)) {
      return new Rouge(ZERO, ZERO, ZERO);
    }
    return new Rouge(
        ofSets(grams(predicted, 1), grams(expected, 1)),
        ofSets(grams(predicted, 2), grams(expected, 2)),
        score(common(predicted, expected), predicted.length, expected.length));
  }

  private static boolean isBlank(List<String> segments) {
    return segments.stream().allMatch(segment -> PythonText.split(segment).isEmpty());
  }

  /**
   * The words as rouge-chinese sees them: the segments joined by blanks, cut into sentences, each
   * of these cut at white space. A sentence of white space alone is an empty word.
   */
  private static String[] words(List<String> segments) {
    String text = String.join(" ", segments);
    text = text.replaceAll("([。！？?])([^”’])", "$1\n$2");
    text = text.replaceAll("(\\.{6})([^”’])", "$1\n$2");
    text = text.replaceAll("(…{2})([^”’])", "$1\n$2");
    text = text.replaceAll("([。！？?][”’])([^，。！？?])", "$1\n$2");
    List<String> words = new ArrayList<>();
    for (String sentence : PythonText.stripTrailing(text).split("\n", -1)) {
      List<String> found = PythonText.split(sentence);
      words.addAll(found.isEmpty() && !sentence.isEmpty() ? List.of("") : found);
    }
    return words.toArray(String[]::new);
  }

  private static Set<List<String>> grams(String[] words, int size) {
    Set<List<String>> grams = new HashSet<>();
    for (int i = 0; i + size <= words.length; i++) {
      grams.add(List.of(Arrays.copyOfRange(words, i, i + size)));
    }
    return grams;
  }

  private static Score ofSets(Set<List<String>> predicted, Set<List<String>> expected) {
    int common = (int) predicted.stream().filter(expected::contains).count();
    return score(common, predicted.size(), expected.size());
  }

  private static Score score(int common, int predicted, int expected) {
    double precision = predicted == 0 ? 0 : (double) common / predicted;
    double recall = expected == 0 ? 0 : (double) common / expected;
    return new Score(precision, recall, 2.0 * ((precision * recall) / (precision + recall + 1e-8)));
  }

  private static int common(String[] a, String[] b) {
    int[] row = new int[b.length + 1];
    for (String word : a) {
      int diagonal = 0;
      for (int j = 0; j < b.length; j++) {
        int above = row[j + 1];
        row[j + 1] = word.equals(b[j]) ? diagonal + 1 : Math.max(above, row[j]);
        diagonal = above;
      }
    }
    return row[b.length];
  }
}
