package org.alpaca4j.train;

import java.time.Duration;
import java.util.List;

/**
 * What a training run did.
 *
 * @param steps every optimizer step, in order
 * @param evaluations every evaluation, in order
 * @param duration of the whole run, evaluation and saving included
 * @param notes what the run did or found that nobody asked for, such as end tokens added to the
 *     model; also in the log
 */
public record TrainingResult(
    List<TrainingListener.Step> steps,
    List<Evaluated> evaluations,
    Duration duration,
    List<String> notes) {
  /** An evaluation and the step after which it was made. */
  public record Evaluated(int step, Evaluation evaluation) {}

  /** Copies the lists. */
  public TrainingResult {
    steps = List.copyOf(steps);
    evaluations = List.copyOf(evaluations);
    notes = List.copyOf(notes);
  }

  /** Returns the loss of the last step. */
  public double finalLoss() {
    return steps.get(steps.size() - 1).loss();
  }

  /** Returns the number of tokens read. */
  public long tokens() {
    return steps.stream().mapToLong(TrainingListener.Step::tokens).sum();
  }

  /** Returns the number of tokens trained on. */
  public long supervisedTokens() {
    return steps.stream().mapToLong(TrainingListener.Step::supervisedTokens).sum();
  }
}
