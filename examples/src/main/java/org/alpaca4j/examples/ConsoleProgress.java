package org.alpaca4j.examples;

import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.alpaca4j.train.Evaluation;
import org.alpaca4j.train.TrainingListener;
import org.alpaca4j.train.TrainingResult;
import org.jspecify.annotations.Nullable;

/** Shows a training run as a progress bar with the current loss, on standard error. */
final class ConsoleProgress implements TrainingListener, AutoCloseable {
  private final String task;
  private @Nullable ProgressBar bar;
  private String evaluated = "";

  ConsoleProgress(String task) {
    this.task = task;
  }

  @Override
  public void started(Plan plan) {
    bar =
        new ProgressBarBuilder()
            .setTaskName(task)
            .setInitialMax(plan.totalSteps())
            .setUnit(" steps", 1)
            .setStyle(ProgressBarStyle.ASCII)
            .setMaxRenderedLength(110)
            .setUpdateIntervalMillis(500)
            .showSpeed()
            .build();
  }

  @Override
  public void stepCompleted(Step step) {
    if (bar != null) {
      bar.setExtraMessage(String.format(Locale.ROOT, " loss %.3f%s", step.loss(), evaluated));
      bar.stepTo(step.step());
    }
  }

  @Override
  public void evaluated(int step, Evaluation evaluation) {
    evaluated = String.format(Locale.ROOT, ", held out %.3f", evaluation.loss());
  }

  @Override
  public void finished(TrainingResult result) {
    close();
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
      bar = null;
    }
  }
}
