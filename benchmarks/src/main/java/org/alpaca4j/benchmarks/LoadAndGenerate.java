package org.alpaca4j.benchmarks;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.GenerationResult;
import org.alpaca4j.core.Generator;
import org.alpaca4j.core.PromptTemplate;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Time from the process's start to the first logits; then greedy generation. */
@Command(name = "LoadAndGenerate", mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class LoadAndGenerate implements Callable<Integer> {
  @Option(names = "--model", required = true, description = "Hugging Face folder")
  private Path model;

  @Option(names = "--precision", description = "fp32 or bf16 (default: ${DEFAULT-VALUE})")
  private TrainingStep.Format precision = TrainingStep.Format.FP32;

  @Option(names = "--prompt", description = "instruction (default: ${DEFAULT-VALUE})")
  private String prompt = "List three technologies that make life easier.";

  @Option(
      names = "--prompt-tokens",
      description = "repeat or cut the prompt's ids to this length; 0: as they are (default)")
  private int promptTokens;

  @Option(names = "--batches", split = ",", description = "batch sizes (default: 1,8)")
  private List<Integer> batches = List.of(1, 8);

  @Option(names = "--new-tokens", description = "default: ${DEFAULT-VALUE}")
  private int newTokens = 64;

  @Option(names = "--runs", description = "the first counts only when alone; default 3")
  private int runs = 3;

  @Option(names = "--threads", description = "default: ${DEFAULT-VALUE}")
  private int threads = 2;

  LoadAndGenerate() {}

  /** Measures and prints the report. */
  public static void main(String[] args) {
    Measuring.run(new LoadAndGenerate(), args);
  }

  @Override
  public Integer call() {
    Measuring.useThreads(threads);
    double entered = Measuring.secondsSinceStart();
    try (CausalLm lm = CausalLm.builder(model).precision(precision.precision).load()) {
      double loaded = Measuring.secondsSinceStart();
      int[] ids = promptIds(lm);
      Generator generator = lm.generator();
      GenerationResult first = generator.generate(ids, config(1, true));
      double firstLogits = Measuring.secondsSinceStart();

      long start = System.nanoTime();
      generator.prepare();
      double prepare = (System.nanoTime() - start) / 1e9;
      List<Object> results = new ArrayList<>();
      List<Integer> greedy = new ArrayList<>();
      for (int batch : batches) {
        results.add(measure(generator, ids, batch, greedy));
      }

      Map<String, Object> report = new LinkedHashMap<>();
      report.put("script", "LoadAndGenerate");
      report.put("model", model.getFileName().toString());
      report.put("precision", precision.toString());
      report.put("threads", threads);
      report.put("prompt_tokens", ids.length);
      report.put("new_tokens", newTokens);
      report.put("jvm_seconds", Measuring.round(entered, 3));
      report.put("load_seconds", Measuring.round(loaded - entered, 3));
      report.put("start_to_first_logits_seconds", Measuring.round(firstLogits, 3));
      report.put("prepare_seconds", Measuring.round(prepare, 3));
      report.put("results", results);
      report.put("first_logits_best", best(first.scores().get(0)));
      report.put("greedy_ids", greedy);
      report.put("peak_rss_mb", Measuring.round(Measuring.peakMegabytes(), 1));
      Measuring.emit(report);
    }
    return 0;
  }

  private int[] promptIds(CausalLm lm) {
    String text = PromptTemplate.ALPACA.render(prompt, null);
    int[] ids = lm.tokenizer().encodeIds(text, true);
    if (promptTokens == 0) {
      return ids;
    }
    int[] result = new int[promptTokens];
    Arrays.setAll(result, i -> ids[i % ids.length]);
    return result;
  }

  private static GenerationConfig config(int newTokens, boolean scores) {
    return GenerationConfig.builder()
        .maxNewTokens(newTokens)
        .doSample(false)
        .eosTokenIds(List.of()) // the end of sequence must not cut a run short
        .outputScores(scores)
        .build();
  }

  private Map<String, Object> measure(
      Generator generator, int[] ids, int batch, List<Integer> greedy) {
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("batch", batch);
    double tokens = (double) batch * ids.length;
    List<int[]> different = IntStream.range(0, batch).mapToObj(row -> rotated(ids, row)).toList();
    double[] seconds = measure(generator, different, newTokens, greedy);
    result.put("prefill_tokens_per_second", Measuring.round(tokens / seconds[0], 1));
    if (newTokens > 1) {
      result.put(
          "decode_tokens_per_second", Measuring.round(batch * (newTokens - 1) / seconds[1], 1));
    }
    if (batch > 1) {
      seconds = measure(generator, Collections.nCopies(batch, ids), 1, greedy);
      result.put("prefill_alike_tokens_per_second", Measuring.round(tokens / seconds[0], 1));
    }
    return result;
  }

  /** Prompts of one length that begin differently. */
  private static int[] rotated(int[] ids, int by) {
    int[] result = new int[ids.length];
    Arrays.setAll(result, i -> ids[(i + by) % ids.length]);
    return result;
  }

  /** Seconds to the first new token in [0], from there to the last in [1]. */
  private double[] measure(
      Generator generator, List<int[]> prompts, int newTokens, List<Integer> greedy) {
    int batch = prompts.size();
    List<Double> prefill = new ArrayList<>();
    List<Double> decode = new ArrayList<>();
    for (int run = 0; run < runs; run++) {
      long[] ends = new long[newTokens];
      int[] told = new int[batch];
      long start = System.nanoTime();
      List<GenerationResult> results =
          generator.generate(
              prompts,
              config(newTokens, false),
              (sequence, id, text) -> {
                if (id >= 0) {
                  ends[told[sequence]++] = System.nanoTime(); // the last row's time remains
                }
                return true;
              });
      if (told[batch - 1] != newTokens) {
        throw new IllegalStateException(told[batch - 1] + " tokens came, not " + newTokens);
      }
      prefill.add((ends[0] - start) / 1e9);
      decode.add((ends[newTokens - 1] - ends[0]) / 1e9);
      if (batch == 1 && run == 0) {
        Arrays.stream(results.get(0).ids()).forEach(greedy::add);
      }
      Measuring.progress("batch " + batch + ", run " + (run + 1));
    }
    int skipped = runs > 1 ? 1 : 0;
    return new double[] {
      Measuring.median(prefill.subList(skipped, runs)),
      Measuring.median(decode.subList(skipped, runs))
    };
  }

  private static int best(float[] scores) {
    int best = 0;
    for (int i = 1; i < scores.length; i++) {
      if (scores[i] > scores[best]) {
        best = i;
      }
    }
    return best;
  }
}
