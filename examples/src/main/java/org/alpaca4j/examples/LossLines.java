package org.alpaca4j.examples;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Locale;
import org.alpaca4j.train.Evaluation;
import org.alpaca4j.train.TrainingListener;

/**
 * Prints a line every so many steps: the mean loss since the last line, over supervised tokens by
 * their weights, as each step's own.
 */
final class LossLines implements TrainingListener {
  private final PrintStream out;
  private final int everySteps;
  private int totalSteps;
  private double lossSum;
  private double weight;
  private long tokens;
  private double seconds;

  LossLines(PrintStream out, int everySteps) {
    this.out = out;
    this.everySteps = everySteps;
  }

  @Override
  public void started(Plan plan) {
    totalSteps = plan.totalSteps();
    out.printf(
        Locale.ROOT,
        "%d examples, %d optimizer steps, %.1f million parameters%n",
        plan.examples(),
        plan.totalSteps(),
        plan.parameters() / 1e6);
  }

  @Override
  public void stepCompleted(Step step) {
    lossSum += step.loss() * step.supervisedWeight();
    weight += step.supervisedWeight();
    tokens += step.tokens();
    seconds += step.duration().toNanos() / 1e9;
    if (step.step() % everySteps == 0 || step.step() == totalSteps) {
      out.printf(
          Locale.ROOT,
          "step %d/%d  epoch %.2f  loss %.4f  lr %.3e  grad_norm %.3f  %.0f tokens/s%n",
          step.step(),
          totalSteps,
          step.epoch(),
          lossSum / weight,
          step.learningRate(),
          step.gradientNorm(),
          tokens / seconds);
      lossSum = 0;
      weight = 0;
      tokens = 0;
      seconds = 0;
    }
  }

  @Override
  public void evaluated(int step, Evaluation evaluation) {
    out.printf(
        Locale.ROOT,
        "step %d/%d  eval_loss %.4f on %d examples%n",
        step,
        totalSteps,
        evaluation.loss(),
        evaluation.examples());
  }

  @Override
  public void saved(int step, Path folder) {
    out.println("saved " + folder);
  }
}
