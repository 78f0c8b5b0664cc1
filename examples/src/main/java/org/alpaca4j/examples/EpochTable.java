package org.alpaca4j.examples;

import java.io.PrintStream;
import java.util.Locale;
import org.alpaca4j.train.Evaluation;
import org.alpaca4j.train.TrainingListener;

/**
 * Prints training and evaluation loss of each epoch side by side: where the first still falls and
 * the second rises, the model learns its examples by heart.
 */
final class EpochTable implements TrainingListener {
  private final PrintStream out;
  private double lossSum;
  private double weight;
  private double epoch;

  EpochTable(PrintStream out) {
    this.out = out;
  }

  /** Prints the head, and the loss of the model as it is. */
  void begin(Evaluation before) {
    out.println("epoch  train loss   eval loss");
    out.printf(Locale.ROOT, "%5d  %10s  %10.4f%n", 0, "-", before.loss());
  }

  @Override
  public void stepCompleted(Step step) {
    lossSum += step.loss() * step.supervisedWeight();
    weight += step.supervisedWeight();
    epoch = step.epoch();
  }

  @Override
  public void evaluated(int step, Evaluation evaluation) {
    out.printf(
        Locale.ROOT,
        "%5d  %10.4f  %10.4f%n",
        Math.round(epoch),
        lossSum / weight,
        evaluation.loss());
    lossSum = 0;
    weight = 0;
  }
}
