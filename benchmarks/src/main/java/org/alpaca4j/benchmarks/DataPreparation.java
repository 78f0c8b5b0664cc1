package org.alpaca4j.benchmarks;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedDataset;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Tokenising and masking of records that are in memory. The first pass counts: like the peers', it
 * runs after one warm-up call of the tokenizer, so compiling Java's code is in it.
 */
@Command(name = "DataPreparation", mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class DataPreparation implements Callable<Integer> {
  @Option(names = "--tokenizer", required = true, description = "Hugging Face folder")
  private Path tokenizer;

  @Option(names = "--data", required = true, description = "records: .json array, or .jsonl")
  private Path data;

  @Option(names = "--repeat", description = "the file so many times (default: ${DEFAULT-VALUE})")
  private int repeat = 7;

  @Option(names = "--mode", description = "segments or compatible (default: segments)")
  private SupervisedDataset.Mode mode = SupervisedDataset.Mode.SEGMENTS;

  @Option(names = "--max-length", description = "tokens (default: ${DEFAULT-VALUE})")
  private int maxLength = 512;

  @Option(names = "--threads", description = "only reported: see -XX:ActiveProcessorCount")
  private int threads = 2;

  DataPreparation() {}

  /** Measures and prints the report. */
  public static void main(String[] args) {
    Measuring.run(new DataPreparation(), args);
  }

  @Override
  public Integer call() {
    List<InstructionRecord> once = Measuring.records(data);
    List<InstructionRecord> records = new ArrayList<>();
    for (int i = 0; i < repeat; i++) {
      records.addAll(once);
    }
    try (Tokenizer loaded = Tokenizer.load(tokenizer);
        Tokenizer used = loaded.withMissingSpecialTokens().tokenizer()) {
      used.encode("warm up");
      double first = seconds(used, records, null);
      Map<String, Object> tokens = new LinkedHashMap<>();
      double second = seconds(used, records, tokens);
      Map<String, Object> report = new LinkedHashMap<>();
      report.put("script", "DataPreparation");
      report.put("mode", mode.toString());
      report.put("threads", threads);
      report.put("records", records.size());
      report.put("tokens", tokens);
      report.put("seconds", Measuring.round(first, 3));
      report.put("records_per_second", Measuring.round(records.size() / first, 1));
      report.put("records_per_second_second_pass", Measuring.round(records.size() / second, 1));
      report.put("peak_rss_mb", Measuring.round(Measuring.peakMegabytes(), 1));
      Measuring.emit(report);
    }
    return 0;
  }

  private double seconds(
      Tokenizer used, List<InstructionRecord> records, @Nullable Map<String, Object> tokens) {
    long start = System.nanoTime();
    SupervisedDataset dataset =
        SupervisedDataset.builder()
            .tokenizer(used)
            .records(records)
            .mode(mode)
            .onFullyMasked(SupervisedDataset.OnFullyMasked.KEEP)
            .maxLength(maxLength)
            .build();
    double seconds = (System.nanoTime() - start) / 1e9;
    if (tokens != null) {
      long all = 0;
      long supervised = 0;
      for (int i = 0; i < dataset.size(); i++) {
        all += dataset.length(i);
        supervised += dataset.supervisedTokens(i);
      }
      tokens.put("supervised", supervised);
      tokens.put("nonpad", all);
    }
    return seconds;
  }
}
