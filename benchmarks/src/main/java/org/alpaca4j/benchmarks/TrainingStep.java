package org.alpaca4j.benchmarks;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.LoraConfig;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.Decoder;
import org.alpaca4j.core.internal.model.PackedInput;
import org.alpaca4j.core.internal.torch.GemmBackend;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.alpaca4j.data.ExampleOrder;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.PackedBatch;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;
import org.alpaca4j.train.LearningRateSchedule;
import org.alpaca4j.train.SftConfig;
import org.alpaca4j.train.SftTrainer;
import org.alpaca4j.train.TrainingListener;
import org.alpaca4j.train.TrainingResult;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Full fine-tuning as train.py configures it, or that of an adapter, on the first records of a file
 * in their order: tokens per second, peak memory; and for all weights, the time of the matrix
 * products alone, and where the rest goes.
 */
@Command(name = "TrainingStep", mixinStandardHelpOptions = true)
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class TrainingStep implements Callable<Integer> {
  @Option(names = "--model", required = true, description = "Hugging Face folder")
  private Path model;

  @Option(names = "--data", required = true, description = "records: .json array, or .jsonl")
  private Path data;

  @Option(names = "--batch", description = "records per step (default: ${DEFAULT-VALUE})")
  private int batch = 4;

  @Option(names = "--steps", description = "optimizer steps (default: ${DEFAULT-VALUE})")
  private int steps = 12;

  @Option(names = "--precision", description = "fp32 or bf16 (default: ${DEFAULT-VALUE})")
  private Format precision = Format.FP32;

  @Option(names = "--max-length", description = "tokens (default: ${DEFAULT-VALUE})")
  private int maxLength = 512;

  @Option(names = "--threads", description = "default: ${DEFAULT-VALUE}")
  private int threads = 2;

  @Option(names = "--lora-rank", description = "train an adapter (default: 0, all weights)")
  private int loraRank;

  @Option(
      names = "--lora-targets",
      split = ",",
      description = "modules with an adapter (default: all linear ones)")
  private List<String> loraTargets = List.of();

  @Option(names = "--weights", description = "what weights are held in: fp32 or bf16 (fp32)")
  private Format weights = Format.FP32;

  TrainingStep() {}

  /** Measures and prints the report. */
  public static void main(String[] args) {
    Measuring.run(new TrainingStep(), args);
  }

  @Override
  public Integer call() {
    Measuring.useThreads(threads);
    try (Tokenizer tokenizer = Tokenizer.load(model);
        CausalLm lm =
            CausalLm.builder(model)
                .tokenizer(tokenizer.withMissingSpecialTokens().tokenizer())
                .weights(weights.precision)
                .load()) {
      measure(lm);
    }
    return 0;
  }

  private void measure(CausalLm lm) {
    SupervisedDataset dataset = dataset(lm);
    Clock clock = new Clock(steps);
    TorchProgram.observe(clock);
    clock.begin();
    SftTrainer.Builder trainer =
        SftTrainer.builder().model(lm).dataset(dataset).config(config()).listener(clock);
    if (loraRank > 0) {
      trainer.adapter(adapter());
    }
    trainer.build().train();
    TorchProgram.observe(null);
    double peak = Measuring.peakMegabytes();
    Measuring.progress("measuring the matrix products and attention of the same steps");

    Map<String, Object> report = new LinkedHashMap<>();
    report.put("script", "TrainingStep");
    report.put("model", lm.folder().getFileName().toString());
    report.put("precision", precision.toString());
    report.put("gemm_backend_fp32", GemmBackend.choice().toString());
    report.put("weights", weights.toString());
    report.put("lora_rank", loraRank);
    report.put("lora_targets", loraTargets);
    report.put("threads", threads);
    report.put("batch", batch);
    report.put("max_length", maxLength);
    report.put("steps", steps);
    report.put("steps_not_timed", clock.skipped);
    report.put("seconds_per_step_median", Measuring.round(Measuring.median(clock.timed()), 4));
    report.put("tokens_per_second_useful", Measuring.round(clock.tokensPerSecond(), 1));
    report.put("seconds_per_step", clock.seconds);
    report.put(
        "tokens_per_step",
        clock.steps.stream().map(s -> List.of(s.supervisedTokens(), s.tokens())).toList());
    report.put("losses", clock.steps.stream().map(TrainingListener.Step::loss).toList());
    report.put("peak_rss_mb", Measuring.round(peak, 1));
    if (loraRank == 0) {
      addParts(report, lm, dataset, clock); // the floor is that of all gradients
    }
    Measuring.emit(report);
  }

  private LoraConfig adapter() {
    LoraConfig.Builder config = LoraConfig.builder().r(loraRank).alpha(2.0 * loraRank);
    if (!loraTargets.isEmpty()) {
      config.targetModules(loraTargets);
    }
    return config.build();
  }

  private SupervisedDataset dataset(CausalLm lm) {
    List<InstructionRecord> records = Measuring.records(data);
    return SupervisedDataset.builder()
        .tokenizer(lm.tokenizer())
        .records(records.subList(0, Math.min(records.size(), steps * batch)))
        .mode(SupervisedDataset.Mode.COMPATIBLE)
        .onFullyMasked(SupervisedDataset.OnFullyMasked.KEEP)
        .maxLength(maxLength)
        .build();
  }

  private SftConfig config() {
    return SftConfig.builder()
        .maxSteps(steps)
        .batchSize(batch)
        .learningRate(2e-5)
        .schedule(LearningRateSchedule.Type.COSINE)
        .warmupRatio(0.03)
        .weightDecay(0)
        .order(ExampleOrder.SEQUENTIAL)
        .precision(precision.precision)
        .build();
  }

  /** Adds the floor, and the mean seconds of each part of a timed step. */
  private void addParts(
      Map<String, Object> report, CausalLm lm, SupervisedDataset dataset, Clock clock) {
    List<Double> ratios = new ArrayList<>();
    List<Double> floors = new ArrayList<>();
    double layerProducts = 0;
    double headProducts = 0;
    double attentionForward = 0;
    double attentionBackward = 0;
    double gigaFlops = 0;
    List<Integer> computed = new ArrayList<>();
    Decoder decoder = Internals.loaded(lm).decoder();
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
        GemmFloor floor = new GemmFloor(lm.config(), precision.precision.dtype());
        AttentionTime attention = new AttentionTime(decoder, precision.precision.dtype())) {
      List<PackedInput> inputs = new ArrayList<>();
      for (int step = 0; step < clock.steps.size(); step++) {
        inputs.add(packed(scope, decoder, dataset, step));
        computed.add(inputs.get(step).tokens());
      }
      for (int step = clock.skipped; step < clock.steps.size(); step++) {
        floor.layers(inputs.get(step).tokens(), inputs.get(step).outputs());
        floor.head(clock.steps.get(step).supervisedTokens());
      }
      floor.measureAgain();
      for (int step = clock.skipped; step < clock.steps.size(); step++) {
        int tokens = inputs.get(step).tokens();
        int outputs = inputs.get(step).outputs();
        int supervised = clock.steps.get(step).supervisedTokens();
        double layers = floor.layers(tokens, outputs);
        double head = floor.head(supervised);
        double[] seconds = attention.seconds(inputs.get(step));
        floors.add(layers + head);
        gigaFlops += floor.gigaFlops(tokens, outputs, supervised);
        ratios.add(clock.seconds.get(step) / (layers + head));
        layerProducts += layers;
        headProducts += head;
        attentionForward += seconds[0];
        attentionBackward += seconds[1];
      }
    }
    report.put("tokens_computed_per_step", computed);
    report.put("gemm_floor_seconds_per_step_median", Measuring.round(Measuring.median(floors), 4));
    report.put("time_over_gemm_floor", Measuring.round(Measuring.median(ratios), 3));

    report.put(
        "gemm_floor_gflops_per_second",
        Measuring.round(gigaFlops / (layerProducts + headProducts), 0));

    double all = clock.timed().stream().mapToDouble(Double::doubleValue).sum();
    double layers = clock.spent("forward", "forward_keeping", "backward", "backward_recomputing");
    double head = clock.spent("head_backward");
    double optimizer = clock.spent("adamw");
    double copies = clock.spent("copy");
    double norm = clock.spent("squared_norm");
    double embedding = clock.spent("embed", "embed_backward", "rotary_tables");
    Map<String, Double> parts = new LinkedHashMap<>();
    parts.put("layers: matrix products (floor)", layerProducts);
    parts.put("head: matrix products (floor)", headProducts);
    parts.put("attention, forward", attentionForward);
    parts.put("attention, backward", attentionBackward);
    parts.put(
        "norms, rotary, activation, rest of layers",
        layers - layerProducts - attentionForward - attentionBackward);
    parts.put("head: softmax, loss, rest", head - headProducts);
    parts.put("optimizer", optimizer);
    parts.put("weights' working copy", copies);
    parts.put("gradient norm", norm);
    parts.put("embedding, rotary table", embedding);
    parts.put("batching, Java, other", all - layers - head - optimizer - copies - norm - embedding);
    int timed = clock.timed().size();
    parts.replaceAll((part, seconds) -> Measuring.round(seconds / timed, 5));
    report.put("seconds_per_step_mean", Measuring.round(all / timed, 4));
    report.put("parts_seconds_per_step", parts);
    Map<String, Double> calls = new LinkedHashMap<>();
    clock.calls.forEach((call, n) -> calls.put(call, Measuring.round(n / 1e9 / timed, 5)));
    report.put("calls_seconds_per_step", calls);
  }

  /** The examples of a step, in sequential order, as the decoder computes them. */
  private PackedInput packed(
      NDManager scope, Decoder decoder, SupervisedDataset dataset, int step) {
    int stepsPerEpoch = (dataset.size() + batch - 1) / batch;
    int from = step % stepsPerEpoch * batch;
    int to = Math.min(from + batch, dataset.size());
    PackedBatch examples =
        PackedBatch.of(IntStream.range(from, to).mapToObj(dataset::get).toList());
    int[] starts = examples.cumulativeLengths();
    int[] lengths =
        IntStream.range(0, examples.size()).map(e -> starts[e + 1] - starts[e]).toArray();
    int[] supervised =
        IntStream.range(0, examples.size())
            .flatMap(e -> IntStream.range(starts[e], starts[e + 1] - 1))
            .filter(at -> examples.labels()[at + 1] != SupervisedExample.IGNORE_INDEX)
            .toArray();
    return decoder.pack(
        scope, examples.inputIds(), lengths, supervised, precision.precision.dtype());
  }

  /** How numbers are called on the command line. */
  enum Format {
    FP32(Precision.FLOAT32),
    BF16(Precision.BFLOAT16);

    final Precision precision;

    Format(Precision precision) {
      this.precision = precision;
    }

    @Override
    public String toString() {
      return this == FP32 ? "fp32" : "bf16";
    }
  }

  /** Times steps from end to end, and the torch programs' methods within the timed ones. */
  private static final class Clock implements TrainingListener, TorchProgram.Observer {
    final int skipped;
    final List<Double> seconds = new ArrayList<>();
    final List<Step> steps = new ArrayList<>();
    final Map<String, Long> calls = new LinkedHashMap<>();
    private long last;

    Clock(int steps) {
      skipped = Math.min(Measuring.NOT_TIMED, steps - 1);
    }

    void begin() {
      last = System.nanoTime();
    }

    @Override
    public void started(Plan plan) {
      begin();
    }

    @Override
    public void stepCompleted(Step step) {
      long now = System.nanoTime();
      seconds.add((now - last) / 1e9);
      steps.add(step);
      Measuring.progress(
          String.format(
              Locale.ROOT,
              "step %d: loss %.4f, %.2f s",
              step.step(),
              step.loss(),
              (now - last) / 1e9));
      if (steps.size() == skipped) {
        calls.clear();
      }
      last = System.nanoTime();
    }

    @Override
    public void finished(TrainingResult result) {
      TorchProgram.observe(null);
    }

    @Override
    public void called(String program, String method, long nanos) {
      calls.merge(program + "." + method, nanos, Long::sum);
    }

    List<Double> timed() {
      return seconds.subList(skipped, seconds.size());
    }

    List<Step> timedSteps() {
      return steps.subList(skipped, steps.size());
    }

    double tokensPerSecond() {
      double time = timed().stream().mapToDouble(Double::doubleValue).sum();
      return timedSteps().stream().mapToLong(Step::tokens).sum() / time;
    }

    /** Seconds in methods of these names over all timed steps. */
    double spent(String... methods) {
      List<String> names = List.of(methods);
      return calls.entrySet().stream()
              .filter(e -> names.contains(e.getKey().replaceFirst(".*\\.", "")))
              .mapToLong(Map.Entry::getValue)
              .sum()
          / 1e9;
    }
  }
}
