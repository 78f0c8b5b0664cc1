package org.alpaca4j.examples;

import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.alpaca4j.train.TrainingListener;
import org.alpaca4j.train.TrainingResult;
import org.jspecify.annotations.Nullable;

/** Shows a training run as a progress bar with the current loss, on standard error. */
final class ConsoleProgress implements TrainingListener, AutoCloseable {
  private final String task;
  private @Nullable ProgressBar bar;

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
            .setMaxRenderedLength(100)
            .setUpdateIntervalMillis(500)
            .showSpeed()
            .build();
  }

  @Override
  public void stepCompleted(Step step) {
    if (bar != null) {
      bar.setExtraMessage(String.format(Locale.ROOT, " loss %.3f", step.loss()));
      bar.stepTo(step.step());
    }
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
