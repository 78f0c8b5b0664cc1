package org.alpaca4j.examples;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.alpaca4j.train.TrainingListener;

/** Writes a JSON line for every optimizer step. */
final class StepLog implements TrainingListener, AutoCloseable {
  private final JsonLines lines;

  private StepLog(JsonLines lines) {
    this.lines = lines;
  }

  /** Opens a log, emptying the file if it exists. */
  static StepLog create(Path file) {
    return new StepLog(JsonLines.create(file));
  }

  @Override
  public void stepCompleted(Step step) {
    Map<String, Number> fields = new LinkedHashMap<>();
    fields.put("step", step.step());
    fields.put("loss", step.loss());
    fields.put("lr", step.learningRate());
    fields.put("grad_norm", step.gradientNorm());
    fields.put("supervised_tokens", step.supervisedTokens());
    fields.put("tokens", step.tokens());
    fields.put("seconds", step.duration().toNanos() / 1e9);
    lines.write(fields);
  }

  @Override
  public void close() {
    lines.close();
  }
}
