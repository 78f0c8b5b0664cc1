package org.alpaca4j.benchmarks;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.alpaca4j.weights.WeightDiff;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Makes a diff, or recovers a model from one: seconds of the whole process, anonymous memory. */
@Command(name = "WeightDiffing", mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class WeightDiffing implements Callable<Integer> {
  /** What to do. */
  enum Task {
    MAKE,
    RECOVER
  }

  @Option(names = "--task", required = true, description = "make or recover")
  private Task task;

  @Option(names = "--raw", required = true, description = "the raw model")
  private Path raw;

  @Option(names = "--changed", required = true, description = "make: tuned; recover: the diff")
  private Path changed;

  @Option(names = "--out", required = true, description = "folder to make")
  private Path out;

  @Option(names = "--threads", description = "(default: ${DEFAULT-VALUE})")
  private int threads = 2;

  WeightDiffing() {}

  /** Works and prints the report. */
  public static void main(String[] args) {
    Measuring.run(new WeightDiffing(), args);
  }

  @Override
  public Integer call() {
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("script", "WeightDiffing");
    report.put("task", task.toString());
    try (AnonymousMemory memory = AnonymousMemory.watch()) {
      WeightDiff tool = WeightDiff.builder().threads(threads).maxShardBytes(1_200_000_000).build();
      if (task == Task.MAKE) {
        WeightDiff.MakeResult made = tool.make(raw, changed, out);
        report.put("parameters", made.parameters());
        report.put("max_deviation", made.maxDeviation());
      } else {
        report.put("parameters", tool.recover(raw, changed, out).parameters());
      }
      report.put("peak_anonymous_mb", Measuring.round(memory.peakMegabytes(), 1));
    }
    report.put("threads", threads);
    report.put("peak_rss_mb", Measuring.round(Measuring.peakMegabytes(), 1));
    report.put("seconds", Measuring.round(Measuring.secondsSinceStart(), 3));
    Measuring.emit(report);
    return 0;
  }
}
