package org.alpaca4j.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Our deduplication and the peers', in turn; the original's way on fewer texts, as it is slow. */
@Command(
    name = "dedup",
    description = "ROUGE-L deduplication: microseconds per pair, same texts kept.")
@SuppressWarnings("NullAway.Init") // picocli sets what is required
final class CompareDedup implements Callable<Integer> {
  @Mixin private Compare.Sides sides;

  @Option(names = "--seeds", required = true, description = "seed_tasks.jsonl")
  private Path seeds;

  @Option(names = "--data", required = true, description = "records: .json array, or .jsonl")
  private Path data;

  @Option(names = "--count", description = "texts compared (default: ${DEFAULT-VALUE})")
  private int count = 2000;

  @Option(
      names = "--original-count",
      description = "texts of the original's way (default: ${DEFAULT-VALUE})")
  private int originalCount = 500;

  @Option(names = "--perturbed", description = "texts made (default: ${DEFAULT-VALUE})")
  private int perturbed = 52_000;

  CompareDedup() {}

  @Override
  public Integer call() {
    List<Side> all = new ArrayList<>();
    all.add(ours("Alpaca4j, " + originalCount, "--count", originalCount));
    all.add(peer("original's way, " + originalCount, "original", originalCount));
    all.add(ours("Alpaca4j, " + count, "--count", count));
    all.add(peer("bit-parallel Python, " + count, "bits", count));
    all.add(ours("Alpaca4j, all", "--count", Integer.MAX_VALUE));
    all.add(ours("Alpaca4j, perturbed", "--perturbed", perturbed));
    all.add(
        ours("Alpaca4j, perturbed, kept ones only", "--perturbed", perturbed, "--most-similar", 0));
    Map<String, List<JsonNode>> reports = sides.run(all);
    print("### Deduplication, %d threads\n", sides.threads);
    print("| side | texts | kept | CRC of kept | mean | s | CPU s | µs per pair | second run |");
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    reports.forEach(
        (name, side) ->
            print(
                "| %s | %d | %d | %08x | %.12f | %.2f | %.2f | %.4f | %.4f |",
                name,
                side.get(0).path("texts").asInt(),
                side.get(0).path("kept").asInt(),
                side.get(0).path("kept_crc").asLong(),
                side.get(0).path("mean_similarity").asDouble(Double.NaN),
                Compare.median(side, "seconds"),
                Compare.median(side, "cpu_seconds"),
                Compare.median(side, "microseconds_per_pair"),
                Compare.median(side, "microseconds_per_pair_second_run")));
    return 0;
  }

  private Side ours(String name, Object... options) {
    return sides.java(name, Deduplicating.class, arguments(options));
  }

  private Side peer(String name, String way, int texts) {
    return sides.python(name, "dedup.py", arguments("--way", way, "--count", texts));
  }

  private List<String> arguments(Object... options) {
    List<String> arguments =
        new ArrayList<>(List.of("--seeds", seeds.toString(), "--data", data.toString()));
    for (Object option : options) {
      arguments.add(option.toString());
    }
    return arguments;
  }

  private static void print(String format, Object... arguments) {
    System.out.println(String.format(Locale.ROOT, format, arguments));
  }
}
