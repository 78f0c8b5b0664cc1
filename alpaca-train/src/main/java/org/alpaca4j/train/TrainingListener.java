package org.alpaca4j.train;

import java.nio.file.Path;
import java.time.Duration;

/**
 * Is told of a training run's progress, on the training thread. Every method does nothing unless
 * overridden; an exception thrown by one ends the run.
 */
public interface TrainingListener {
  /**
   * A run about to begin.
   *
   * @param totalSteps optimizer steps to come
   * @param examples examples in the training set
   * @param parameters trained parameters
   */
  record Plan(int totalSteps, int examples, long parameters) {}

  /**
   * An optimizer step.
   *
   * @param step from 1
   * @param epoch epochs finished so far, with fraction
   * @param loss what the gradient is of, before the update: the sum of the next two
   * @param crossEntropy mean cross entropy of the step's supervised tokens, each counting by its
   *     {@linkplain org.alpaca4j.data.SupervisedExample#weights weight}
   * @param auxiliaryLoss loss that spreads tokens over experts, times its factor; 0: there is none
   * @param learningRate used by the step
   * @param gradientNorm L2 norm before clipping
   * @param supervisedTokens tokens that the cross entropy is the mean of
   * @param supervisedWeight sum of their weights, by which the step counts in a mean over several:
   *     their number, if all weigh 1
   * @param tokens tokens of the step's examples, counted as {@link
   *     org.alpaca4j.data.SupervisedDataset#length}
   * @param duration time that the step took
   */
  record Step(
      int step,
      double epoch,
      double loss,
      double crossEntropy,
      double auxiliaryLoss,
      double learningRate,
      double gradientNorm,
      int supervisedTokens,
      double supervisedWeight,
      int tokens,
      Duration duration) {}

  /** Training is about to begin. */
  default void started(Plan plan) {}

  /** A step was taken. */
  default void stepCompleted(Step step) {}

  /** The model was evaluated after a step. */
  default void evaluated(int step, Evaluation evaluation) {}

  /** A checkpoint folder was written, complete. */
  default void saved(int step, Path folder) {}

  /** Training ended regularly. */
  default void finished(TrainingResult result) {}
}
