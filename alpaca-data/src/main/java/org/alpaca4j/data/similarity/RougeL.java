package org.alpaca4j.data.similarity;

import java.util.List;
import java.util.Objects;

/**
 * ROUGE-L of two texts (C.-Y. Lin, 2004), with the numbers of Google's rouge_score: based on the
 * longest common subsequence (LCS) of their tokens.
 *
 * @param precision LCS length over the prediction's tokens; 0 if either text has none
 * @param recall LCS length over the target's tokens; 0 if either text has none
 * @param fMeasure harmonic mean of the two; 0 if they are 0
 */
public record RougeL(double precision, double recall, double fMeasure) {
  private static final RougeL NONE = new RougeL(0, 0, 0);

  /**
   * Scores a text by {@link RougeTokens#tokenize}.
   *
   * @param target the reference
   * @param prediction the text to score
   */
  public static RougeL of(String target, String prediction) {
    Objects.requireNonNull(target, "target is null");
    Objects.requireNonNull(prediction, "prediction is null");
    return of(RougeTokens.tokenize(target), RougeTokens.tokenize(prediction));
  }

  /**
   * Scores a text by its tokens.
   *
   * @param target the reference's tokens
   * @param prediction the tokens of the text to score
   */
  public static RougeL of(List<String> target, List<String> prediction) {
    Objects.requireNonNull(target, "target is null");
    Objects.requireNonNull(prediction, "prediction is null");
    if (target.isEmpty() || prediction.isEmpty()) {
      return NONE;
    }
    int common = commonSubsequence(target, prediction);
    return new RougeL(
        (double) common / prediction.size(),
        (double) common / target.size(),
        fMeasure(common, target.size(), prediction.size()));
  }

  /**
   * The F-measure in rouge_score's double arithmetic, operation by operation, so that both find the
   * same side of a threshold. Which text is the target makes no difference.
   */
  static double fMeasure(int common, int targetTokens, int predictionTokens) {
    if (common == 0) {
      return 0;
    }
    double precision = (double) common / predictionTokens;
    double recall = (double) common / targetTokens;
    return 2 * precision * recall / (precision + recall);
  }

  private static int commonSubsequence(List<String> a, List<String> b) {
    int[] row = new int[b.size() + 1];
    for (String token : a) {
      int diagonal = 0;
      for (int j = 0; j < b.size(); j++) {
        int above = row[j + 1];
        row[j + 1] = token.equals(b.get(j)) ? diagonal + 1 : Math.max(above, row[j]);
        diagonal = above;
      }
    }
    return row[b.size()];
  }
}
