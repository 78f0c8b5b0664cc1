package org.alpaca4j.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Runs our side and its Python peers in turn, as processes of their own on the same machine, and
 * prints a Markdown table of figures and ratios: medians over the rounds.
 */
@Command(
    name = "Compare",
    mixinStandardHelpOptions = true,
    description = "Our side and its Python peers in turn; prints figures and ratios.",
    subcommands = CompareDedup.class)
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class Compare {
  Compare() {}

  /** Measures and prints tables; exits with 0 if all sides ran. */
  public static void main(String[] args) {
    int code =
        new CommandLine(new Compare())
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setExecutionExceptionHandler(
                (failure, line, result) -> {
                  if (failure instanceof IllegalStateException) {
                    Measuring.progress(String.valueOf(failure.getMessage()));
                    return 1;
                  }
                  throw failure;
                })
            .execute(args);
    System.out.flush();
    if (code != 0) {
      System.exit(code);
    }
  }

  /** Options of all comparisons of models. */
  @SuppressWarnings("NullAway.Init") // picocli sets what is required
  static final class Common extends Sides {
    @Option(names = "--model", required = true, description = "Hugging Face folder")
    Path model;
  }

  /** Options of all comparisons. */
  @SuppressWarnings("NullAway.Init") // picocli sets what is required
  static class Sides {
    @Option(names = "--python", required = true, description = "Python with the peers' packages")
    String python;

    @Option(names = "--rounds", description = "all sides so often (default: ${DEFAULT-VALUE})")
    int rounds = 1;

    @Option(names = "--threads", description = "of each side (default: ${DEFAULT-VALUE})")
    int threads = 2;

    @Option(names = "--scripts", description = "folder of the peers (default: benchmarks/peers)")
    @Nullable Path scripts;

    @Option(
        names = "--java-options",
        description = "of the measured JVM (default: ${DEFAULT-VALUE})")
    String javaOptions = "-Xmx512m";

    Side java(String name, Class<?> program, List<String> arguments) {
      List<String> options = new ArrayList<>(List.of(javaOptions.trim().split("\\s+")));
      options.add("-XX:ActiveProcessorCount=" + threads);
      return Side.java(name, program, options, withThreads(arguments));
    }

    Side python(String name, String script, List<String> arguments) {
      List<String> command = new ArrayList<>(List.of(python, folder().resolve(script).toString()));
      command.addAll(withThreads(arguments));
      return new Side(name, command);
    }

    private List<String> withThreads(List<String> arguments) {
      List<String> all = new ArrayList<>(arguments);
      all.addAll(List.of("--threads", Integer.toString(threads)));
      return all;
    }

    private Path folder() {
      if (scripts != null) {
        return scripts;
      }
      Path fromRoot = Path.of("benchmarks", "peers");
      return Files.isDirectory(fromRoot) ? fromRoot : Path.of("peers");
    }

    /** Runs all sides in turn, round after round; returns the reports of each. */
    Map<String, List<JsonNode>> run(List<Side> sides) {
      Map<String, List<JsonNode>> reports = new LinkedHashMap<>();
      for (int round = 0; round < rounds; round++) {
        for (Side side : sides) {
          reports.computeIfAbsent(side.name(), name -> new ArrayList<>()).add(side.run(threads));
        }
      }
      return reports;
    }
  }

  private static final String OURS = "Alpaca4j";

  @Command(description = "Full fine-tuning: tokens per second, peak memory, time over GEMM floor.")
  int training(
      @Mixin Common common,
      @Option(names = "--data", required = true) Path data,
      @Option(names = "--precision", defaultValue = "fp32") TrainingStep.Format precision,
      @Option(names = "--steps", defaultValue = "12") int steps,
      @Option(names = "--batch", defaultValue = "4") int batch,
      @Option(names = "--max-length", defaultValue = "512") int maxLength,
      @Option(
              names = "--peers",
              split = ",",
              defaultValue = "plain,trl-fused,trl-full,trl-supervised",
              description = "of plain, trl-fused, trl-full, trl-supervised (default: all)")
          List<String> peers) {
    List<String> arguments =
        List.of(
            "--model", common.model.toString(),
            "--data", data.toString(),
            "--precision", precision.toString(),
            "--steps", Integer.toString(steps),
            "--batch", Integer.toString(batch),
            "--max-length", Integer.toString(maxLength));
    List<Side> sides = new ArrayList<>();
    sides.add(common.java(OURS, TrainingStep.class, arguments));
    for (String peer : peers) {
      List<String> all = new ArrayList<>(arguments);
      int dash = peer.indexOf('-');
      all.addAll(List.of("--kind", dash < 0 ? peer : peer.substring(0, dash)));
      if (dash >= 0) {
        all.addAll(List.of("--head", peer.substring(dash + 1)));
      }
      sides.add(common.python(peer, "train.py", all));
    }
    Map<String, List<JsonNode>> reports = common.run(sides);
    List<JsonNode> ours = of(reports, OURS);

    print("### Training step, %s, batch %d, %d threads\n", precision, batch, common.threads);
    print("| side | useful tokens/s | Alpaca4j ÷ it | s per step | peak MiB | Alpaca4j ÷ it |");
    print("| --- | --- | --- | --- | --- | --- |");
    for (Map.Entry<String, List<JsonNode>> side : reports.entrySet()) {
      double speed = median(side.getValue(), "tokens_per_second_useful");
      double peak = median(side.getValue(), "peak_rss_mb");
      print(
          "| %s | %.1f | %.2f | %.3f | %.0f | %.2f |",
          side.getKey(),
          speed,
          median(ours, "tokens_per_second_useful") / speed,
          median(side.getValue(), "seconds_per_step_median"),
          peak,
          median(ours, "peak_rss_mb") / peak);
    }
    for (String peer : peers) {
      print(
          "\nLargest difference of a loss from %s: %.2g",
          peer, lossDifference(ours.get(0), of(reports, peer).get(0)));
    }
    printFloor(ours);
    return 0;
  }

  private static void printFloor(List<JsonNode> ours) {
    double floor = median(ours, "gemm_floor_seconds_per_step_median");
    print(
        "\nStep time over the GEMM floor: **%.2f** (floor %.3f s, %.0f GFLOP/s; fp32 back end %s)\n",
        median(ours, "time_over_gemm_floor"),
        floor,
        median(ours, "gemm_floor_gflops_per_second"),
        ours.get(0).path("gemm_backend_fp32").asText());
    print("| part of a step | ms | share |");
    print("| --- | --- | --- |");
    double all = median(ours, "seconds_per_step_mean");
    JsonNode first = ours.get(0).path("parts_seconds_per_step");
    first
        .fieldNames()
        .forEachRemaining(
            part -> {
              double seconds =
                  medianOf(ours, r -> r.path("parts_seconds_per_step").path(part).asDouble());
              print("| %s | %.1f | %.1f %% |", part, seconds * 1e3, 100 * seconds / all);
            });
    print("| whole step, mean | %.1f | |", all * 1e3);
    boolean disturbed = false;
    for (JsonNode part : first) {
      disturbed |= part.asDouble() < -0.02 * all;
    }
    if (disturbed) {
      print(
          "\nA part is negative: the machine was busier while the parts were timed than during the"
              + " steps, or the other way round. Run again when nothing else runs.");
    }
  }

  /** Largest absolute difference between losses of the same step. */
  private static double lossDifference(JsonNode ours, JsonNode theirs) {
    double largest = 0;
    for (int i = 0; i < ours.path("losses").size(); i++) {
      double difference =
          ours.path("losses").path(i).asDouble() - theirs.path("losses").path(i).asDouble();
      largest = Math.max(largest, Math.abs(difference));
    }
    return largest;
  }

  @Command(description = "Tokenising and masking: records per second.")
  int data(
      @Mixin Common common,
      @Option(names = "--data", required = true) Path data,
      @Option(names = "--repeat", defaultValue = "7") int repeat,
      @Option(names = "--max-length", defaultValue = "512") int maxLength) {
    List<String> arguments =
        List.of(
            "--tokenizer", common.model.toString(),
            "--data", data.toString(),
            "--repeat", Integer.toString(repeat),
            "--max-length", Integer.toString(maxLength));
    String segments = "Alpaca4j, segments";
    String compatible = "Alpaca4j, compatible";
    Map<String, List<JsonNode>> reports =
        common.run(
            List.of(
                common.java(segments, DataPreparation.class, with(arguments, "--mode", "segments")),
                common.python(
                    "datasets.map, segments", "prepare.py", with(arguments, "--way", "map")),
                common.java(
                    compatible, DataPreparation.class, with(arguments, "--mode", "compatible")),
                common.python(
                    "train.py, string by string",
                    "prepare.py",
                    with(arguments, "--way", "strings"))));
    print("### Data preparation, %d threads\n", common.threads);
    print("| side | records | records/s | segments ÷ it | compatible ÷ it | tokens | supervised |");
    print("| --- | --- | --- | --- | --- | --- | --- |");
    String speed = "records_per_second";
    reports.forEach(
        (name, side) ->
            print(
                "| %s | %d | %.0f | %.2f | %.2f | %d | %d |",
                name,
                side.get(0).path("records").asInt(),
                median(side, speed),
                median(of(reports, segments), speed) / median(side, speed),
                median(of(reports, compatible), speed) / median(side, speed),
                side.get(0).path("tokens").path("nonpad").asLong(),
                side.get(0).path("tokens").path("supervised").asLong()));
    return 0;
  }

  @Command(description = "Reading and tokenising a large file of JSON lines, memory bounded.")
  int corpus(
      @Mixin Common common,
      @Option(names = "--data", required = true, description = "records to repeat") Path data,
      @Option(names = "--out", required = true, description = "folder for file and caches")
          Path out,
      @Option(names = "--megabytes", defaultValue = "1000") int megabytes,
      @Option(names = "--max-length", defaultValue = "512") int maxLength) {
    Path file = CorpusPreparation.repeat(data, out, megabytes);
    List<String> arguments =
        List.of(
            "--tokenizer", common.model.toString(),
            "--data", file.toString(),
            "--out", out.toString(),
            "--max-length", Integer.toString(maxLength));
    Map<String, List<JsonNode>> reports =
        common.run(
            List.of(
                common.java(OURS, CorpusPreparation.class, arguments),
                common.python("datasets, load and map", "corpus.py", arguments)));
    print("### %d MB of JSON lines, %d threads\n", megabytes, common.threads);
    print("| side | records | records/s | Alpaca4j ÷ it | tokens | peak MiB |");
    print("| --- | --- | --- | --- | --- | --- |");
    String speed = "records_per_second";
    reports.forEach(
        (name, side) ->
            print(
                "| %s | %d | %.0f | %.2f | %d | %.0f |",
                name,
                side.get(0).path("records").asInt(),
                median(side, speed),
                median(of(reports, OURS), speed) / median(side, speed),
                side.get(0).path("tokens").path("nonpad").asLong(),
                median(side, "peak_rss_mb")));
    return 0;
  }

  @Command(description = "Process start to first logits, prefill and greedy decoding.")
  int generation(
      @Mixin Common common,
      @Option(names = "--precision", defaultValue = "fp32") TrainingStep.Format precision,
      @Option(names = "--batches", defaultValue = "1,8") String batches,
      @Option(names = "--new-tokens", defaultValue = "64") int newTokens,
      @Option(names = "--prompt-tokens", defaultValue = "0") int promptTokens,
      @Option(names = "--runs", defaultValue = "3") int runs) {
    List<String> arguments =
        List.of(
            "--model", common.model.toString(),
            "--precision", precision.toString(),
            "--batches", batches,
            "--new-tokens", Integer.toString(newTokens),
            "--prompt-tokens", Integer.toString(promptTokens),
            "--runs", Integer.toString(runs));
    String peer = "transformers";
    Map<String, List<JsonNode>> reports =
        common.run(
            List.of(
                common.java(OURS, LoadAndGenerate.class, arguments),
                common.python(peer, "generate.py", arguments)));
    List<JsonNode> ours = of(reports, OURS);
    List<JsonNode> theirs = of(reports, peer);

    print(
        "### Loading and generation, %s, prompt of %d tokens, %d threads\n",
        precision, ours.get(0).path("prompt_tokens").asInt(), common.threads);
    print("| figure | Alpaca4j | transformers | times better |");
    print("| --- | --- | --- | --- |");
    String start = "start_to_first_logits_seconds";
    print(
        "| process start to first logits, s | %.2f | %.2f | %.2f |",
        median(ours, start), median(theirs, start), median(theirs, start) / median(ours, start));
    for (int i = 0; i < ours.get(0).path("results").size(); i++) {
      int at = i;
      int batch = ours.get(0).path("results").path(i).path("batch").asInt();
      for (String figure : List.of("prefill", "prefill_alike", "decode")) {
        ToDoubleFunction<JsonNode> value =
            r -> r.path("results").path(at).path(figure + "_tokens_per_second").asDouble();
        if (medianOf(ours, value) == 0) {
          continue; // one row is like itself
        }
        double our = medianOf(ours, value);
        double their = medianOf(theirs, value);
        print(
            "| %s, batch %d, tokens/s | %.1f | %.1f | %.2f |",
            figure.replace("_alike", " of one prompt in all rows"), batch, our, their, our / their);
      }
    }
    print(
        "| peak MiB | %.0f | %.0f | %.2f |",
        median(ours, "peak_rss_mb"),
        median(theirs, "peak_rss_mb"),
        median(theirs, "peak_rss_mb") / median(ours, "peak_rss_mb"));
    boolean same = ours.get(0).path("greedy_ids").equals(theirs.get(0).path("greedy_ids"));
    print(
        "\nGreedy ids at batch 1: %s. Putting the weights in decoding order took %.2f s (once).",
        same ? "the same" : "different", median(ours, "prepare_seconds"));
    return 0;
  }

  @Command(description = "Weight diff made, then a model recovered: seconds, anonymous memory.")
  int diff(
      @Mixin Common common,
      @Option(names = "--tuned", required = true) Path tuned,
      @Option(
              names = "--out",
              required = true,
              description = "folder for what is written; must not exist, is left for inspection")
          Path out) {
    String peer = "weight_diff.py's way";
    Map<String, List<JsonNode>> all = new LinkedHashMap<>();
    for (int round = 0; round < common.rounds; round++) {
      for (String task : List.of("make", "recover")) {
        for (String side : List.of(OURS, peer)) {
          Path folder = out.resolve(side.equals(OURS) ? "ours" : "peer");
          Path diff = folder.resolve("diff-" + round);
          boolean making = task.equals("make");
          Path changed = making ? tuned : diff;
          List<String> arguments =
              List.of(
                  "--task", task,
                  "--raw", common.model.toString(),
                  "--changed", changed.toString(),
                  "--out", (making ? diff : folder.resolve("recovered-" + round)).toString());
          Side run =
              side.equals(OURS)
                  ? common.java(side, WeightDiffing.class, arguments)
                  : common.python(side, "diff.py", arguments);
          Measuring.sync(); // nobody pays for what the side before left to be written
          Measuring.warm(common.model);
          Measuring.warm(changed);
          all.computeIfAbsent(task + side, name -> new ArrayList<>()).add(run.run(common.threads));
        }
      }
    }
    print("### Weight diff, %d threads\n", common.threads);
    print("| task | side | s, process | times slower | anonymous MiB | times more |");
    print("| --- | --- | --- | --- | --- | --- |");
    for (String task : List.of("make", "recover")) {
      for (String side : List.of(OURS, peer)) {
        List<JsonNode> ours = of(all, task + OURS);
        List<JsonNode> reports = of(all, task + side);
        double seconds = median(reports, Side.PROCESS_SECONDS);
        double memory = median(reports, "peak_anonymous_mb");
        print(
            "| %s | %s | %.2f | %.2f | %.0f | %.1f |",
            task,
            side,
            seconds,
            seconds / median(ours, Side.PROCESS_SECONDS),
            memory,
            memory / median(ours, "peak_anonymous_mb"));
      }
    }
    return 0;
  }

  private static List<String> with(List<String> arguments, String... more) {
    List<String> all = new ArrayList<>(arguments);
    all.addAll(List.of(more));
    return all;
  }

  private static List<JsonNode> of(Map<String, List<JsonNode>> reports, String side) {
    List<JsonNode> found = reports.get(side);
    if (found == null) {
      throw new IllegalStateException("no reports of " + side + ": --rounds must be at least 1");
    }
    return found;
  }

  static double median(List<JsonNode> reports, String figure) {
    return medianOf(reports, report -> report.path(figure).asDouble(Double.NaN));
  }

  private static double medianOf(List<JsonNode> reports, ToDoubleFunction<JsonNode> figure) {
    return Measuring.median(reports.stream().mapToDouble(figure).boxed().toList());
  }

  private static void print(String format, Object... arguments) {
    System.out.println(String.format(Locale.ROOT, format, arguments));
  }
}
