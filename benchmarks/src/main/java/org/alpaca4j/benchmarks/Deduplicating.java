package org.alpaca4j.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.zip.CRC32;
import org.alpaca4j.data.similarity.Deduplication;
import org.alpaca4j.data.similarity.Deduplicator;
import org.alpaca4j.data.similarity.Similarities;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Deduplicates instructions: the first ones of two files, or many more made by perturbing those.
 * The first run in a fresh JVM counts; tokenising is in it.
 */
@Command(name = "Deduplicating", mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class Deduplicating implements Callable<Integer> {
  @Option(names = "--seeds", required = true, description = "seed_tasks.jsonl")
  private Path seeds;

  @Option(names = "--data", required = true, description = "records: .json array, or .jsonl")
  private Path data;

  @Option(names = "--count", description = "the first so many of both files (default: all)")
  private int count = Integer.MAX_VALUE;

  @Option(names = "--perturbed", description = "makes so many of them instead")
  private int perturbed;

  @Option(
      names = "--most-similar",
      description = "0: near duplicates alone; default ${DEFAULT-VALUE}: all pairs, as the peers")
  private int mostSimilar = 10;

  @Option(names = "--threads", description = "(default: ${DEFAULT-VALUE})")
  private int threads = 2;

  Deduplicating() {}

  /** Measures and prints the report. */
  public static void main(String[] args) {
    Measuring.run(new Deduplicating(), args);
  }

  @Override
  public Integer call() throws IOException {
    List<String> texts = new ArrayList<>(instructions(seeds));
    texts.addAll(instructions(data));
    texts = texts.subList(0, Math.min(count, texts.size()));
    if (perturbed > 0) {
      texts = perturb(texts, perturbed, 1);
    }
    Deduplicator deduplicator =
        Deduplicator.builder().mostSimilar(mostSimilar).threads(threads).build();
    double processor = cpuSeconds();
    long start = System.nanoTime();
    Deduplication result = deduplicator.deduplicate(texts);
    double seconds = (System.nanoTime() - start) / 1e9;
    double cpuSeconds = cpuSeconds() - processor;
    processor = cpuSeconds();
    start = System.nanoTime();
    deduplicator.deduplicate(texts);
    double secondRun = (System.nanoTime() - start) / 1e9;
    double cpuSecondsSecondRun = cpuSeconds() - processor;
    long pairs = pairs(texts.size(), result.kept());
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("script", "Deduplicating");
    report.put("most_similar", mostSimilar);
    report.put("threads", threads);
    report.put("texts", texts.size());
    report.put("kept", result.kept().size());
    report.put("kept_crc", crc(result.kept()));
    report.put("pairs", pairs);
    report.put(
        "mean_similarity",
        result.similarities().stream()
            .skip(1) // the first one has nobody to be compared with
            .mapToDouble(Similarities::average)
            .average()
            .orElse(Double.NaN));
    report.put("seconds", Measuring.round(seconds, 3));
    report.put("cpu_seconds", Measuring.round(cpuSeconds, 3));
    report.put("cpu_seconds_second_run", Measuring.round(cpuSecondsSecondRun, 3));
    report.put("microseconds_per_pair", Measuring.round(1e6 * seconds / pairs, 4));
    report.put("microseconds_per_pair_second_run", Measuring.round(1e6 * secondRun / pairs, 4));
    report.put("peak_rss_mb", Measuring.round(Measuring.peakMegabytes(), 1));
    Measuring.emit(report);
    return 0;
  }

  private static List<String> instructions(Path file) throws IOException {
    List<String> instructions = new ArrayList<>();
    try (MappingIterator<JsonNode> records =
        Measuring.json().readerFor(JsonNode.class).readValues(file.toFile())) {
      records.forEachRemaining(record -> instructions.add(record.path("instruction").asText()));
    }
    return instructions;
  }

  /** Pairs that the original compares: each text with those kept before it. */
  private static long pairs(int texts, List<Integer> kept) {
    Set<Integer> keptOnes = new HashSet<>(kept);
    long pairs = 0;
    int before = 0;
    for (int i = 0; i < texts; i++) {
      pairs += before;
      if (keptOnes.contains(i)) {
        before++;
      }
    }
    return pairs;
  }

  private static long crc(List<Integer> kept) {
    String text = kept.stream().map(String::valueOf).collect(Collectors.joining(","));
    CRC32 crc = new CRC32();
    crc.update(text.getBytes(StandardCharsets.US_ASCII));
    return crc.getValue();
  }

  /**
   * Makes texts of others: up to 60 % of a text's words are left out or replaced by words of any
   * text, so that near duplicates, half alike and new ones are among them.
   */
  private static List<String> perturb(List<String> texts, int count, long seed) {
    Random random = new Random(seed);
    List<String[]> words = texts.stream().map(text -> text.split(" ")).toList();
    List<String> made = new ArrayList<>();
    while (made.size() < count) {
      double change = 0.6 * random.nextDouble();
      StringBuilder text = new StringBuilder();
      for (String word : words.get(random.nextInt(words.size()))) {
        if (random.nextDouble() >= change) {
          text.append(word).append(' ');
        } else if (random.nextInt(3) > 0) {
          String[] other = words.get(random.nextInt(words.size()));
          text.append(other[random.nextInt(other.length)]).append(' ');
        }
      }
      made.add(text.toString());
    }
    return made;
  }

  private static double cpuSeconds() {
    return ManagementFactory.getOperatingSystemMXBean()
            instanceof com.sun.management.OperatingSystemMXBean system
        ? system.getProcessCpuTime() / 1e9
        : Double.NaN;
  }
}
