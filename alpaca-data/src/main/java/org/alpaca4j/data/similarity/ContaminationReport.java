package org.alpaca4j.data.similarity;

import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * Evaluation texts that are too like a training text.
 *
 * @param trainTexts number of training texts
 * @param evaluationTexts number of evaluation texts
 * @param threshold score above which a text counts as contaminated
 * @param contaminated the evaluation texts concerned, by index, each with the training text that it
 *     is most like; of several equally like, the first
 */
public record ContaminationReport(
    int trainTexts, int evaluationTexts, double threshold, List<Duplicate> contaminated) {

  /** Copies the list. */
  public ContaminationReport {
    contaminated = List.copyOf(contaminated);
  }

  /** Returns the share of evaluation texts that are contaminated, 0 to 1. */
  public double share() {
    return evaluationTexts == 0 ? 0 : (double) contaminated.size() / evaluationTexts;
  }

  /** Returns those of the evaluation records that are not contaminated, in their order. */
  public <T> List<T> clean(List<T> evaluation) {
    Objects.requireNonNull(evaluation, "evaluation is null");
    boolean[] leftOut = new boolean[evaluation.size()];
    contaminated.forEach(duplicate -> leftOut[duplicate.index()] = true);
    return IntStream.range(0, leftOut.length)
        .filter(i -> !leftOut[i])
        .<T>mapToObj(evaluation::get)
        .toList();
  }

  /** Returns one sentence, then a line for each contaminated text. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "%d of %d evaluation texts (%.2f %%) score above %s with one of %d training texts",
            contaminated.size(),
            evaluationTexts,
            100 * share(),
            threshold,
            trainTexts));
    for (Duplicate duplicate : contaminated) {
      text.append(
          String.format(
              Locale.ROOT,
              "%n  evaluation %d is like training %d: %.4f",
              duplicate.index(),
              duplicate.mostSimilar(),
              duplicate.score()));
    }
    return text.toString();
  }
}
