package org.alpaca4j.benchmarks;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedDataset;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Reading and tokenising a file of JSON lines into a memory-mapped cache: from the file to a
 * dataset that can be trained on, the hash of the records included.
 */
@Command(name = "CorpusPreparation", mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class CorpusPreparation implements Callable<Integer> {
  @Option(names = "--tokenizer", required = true, description = "Hugging Face folder")
  private Path tokenizer;

  @Option(names = "--data", required = true, description = "records: .jsonl")
  private Path data;

  @Option(names = "--out", required = true, description = "folder for the cache")
  private Path out;

  @Option(names = "--max-length", description = "tokens (default: ${DEFAULT-VALUE})")
  private int maxLength = 512;

  @Option(names = "--threads", description = "only reported: see -XX:ActiveProcessorCount")
  private int threads = 2;

  CorpusPreparation() {}

  /** Measures and prints the report. */
  public static void main(String[] args) {
    Measuring.run(new CorpusPreparation(), args);
  }

  @Override
  public Integer call() throws IOException {
    Path cache = Files.createTempDirectory(out, "tokens-");
    try (Tokenizer loaded = Tokenizer.load(tokenizer);
        Tokenizer used = loaded.withMissingSpecialTokens().tokenizer()) {
      used.encode("warm up");
      long start = System.nanoTime();
      SupervisedDataset dataset =
          SupervisedDataset.builder()
              .tokenizer(used)
              .jsonl(data)
              .maxLength(maxLength)
              .onFullyMasked(SupervisedDataset.OnFullyMasked.KEEP)
              .cache(cache)
              .build();
      double seconds = (System.nanoTime() - start) / 1e9;
      Map<String, Object> report = new LinkedHashMap<>();
      report.put("script", "CorpusPreparation");
      report.put("threads", threads);
      report.put("records", dataset.report().records());
      report.put("tokens", Map.of("nonpad", dataset.report().tokens()));
      report.put("seconds", Measuring.round(seconds, 3));
      report.put("records_per_second", Measuring.round(dataset.report().records() / seconds, 1));
      report.put("peak_rss_mb", Measuring.round(Measuring.peakMegabytes(), 1));
      Measuring.emit(report);
    } finally {
      try (var files = Files.list(cache)) {
        for (Path file : files.toList()) {
          Files.delete(file);
        }
      }
      Files.delete(cache);
    }
    return 0;
  }

  /** Writes the records again and again until the file is that large; keeps one made earlier. */
  static Path repeat(Path data, Path folder, int megabytes) {
    Path file = folder.resolve("corpus-" + megabytes + ".jsonl");
    if (Files.exists(file)) {
      return file;
    }
    List<InstructionRecord> records = Measuring.records(data);
    try {
      Files.createDirectories(folder);
      Path part = folder.resolve(file.getFileName() + ".part");
      long size = 0;
      try (Writer writer = Files.newBufferedWriter(part)) {
        for (int i = 0; size < megabytes * 1_000_000L; i++) {
          InstructionRecord record = records.get(i % records.size());
          Map<String, String> fields = new LinkedHashMap<>();
          fields.put("instruction", record.instruction());
          fields.put("input", record.input());
          fields.put("output", record.output());
          String line = Measuring.json().writeValueAsString(fields);
          writer.write(line);
          writer.write('\n');
          size += line.length() + 1;
        }
      }
      return Files.move(part, file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
