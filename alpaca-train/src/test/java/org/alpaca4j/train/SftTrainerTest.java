package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.Precision;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SftTrainerTest {
  private static final int[] PROMPT = {3, 1, 4, 1, 5, 9, 2, 6};

  @TempDir Path folder;
  private Path base;

  @BeforeEach
  void writeModel() {
    base = RandomModel.write(folder.resolve("base"), RandomModel.config());
  }

  private static SftConfig.Builder config() {
    return SftConfig.builder().epochs(1).learningRate(1e-2).batchSize(8);
  }

  private record Run(TrainingResult result, float[] logits) {
    List<Double> losses() {
      return result.steps().stream().map(TrainingListener.Step::loss).toList();
    }
  }

  private Run run(SftConfig config) {
    return run(config, RandomModel.examples(32));
  }

  private Run run(SftConfig config, SupervisedDataset dataset) {
    try (CausalLm model = CausalLm.load(base)) {
      TrainingResult result =
          SftTrainer.builder().model(model).dataset(dataset).config(config).build().train();
      return new Run(result, logits(model));
    }
  }

  private static float[] logits(CausalLm model) {
    try (NDManager scope = NDManager.newBaseManager()) {
      return model.logits(scope, PROMPT).toFloatArray();
    }
  }

  @Test
  void learnsTheExamplesByHeart() {
    SupervisedDataset examples = RandomModel.examples(4);
    Run run = run(config().epochs(60).batchSize(4).build(), examples);
    assertThat(run.losses().get(0)).isGreaterThan(4);
    assertThat(run.result().finalLoss()).isLessThan(0.1);
  }

  @Test
  void severalMicroBatchesAreOneBatch() {
    Run one = run(config().batchSize(8).build());
    for (int microBatches : new int[] {2, 4, 8}) {
      Run several =
          run(config().batchSize(8 / microBatches).gradientAccumulationSteps(microBatches).build());
      assertThat(several.losses()).hasSameSizeAs(one.losses());
      for (int i = 0; i < one.losses().size(); i++) {
        assertThat(several.losses().get(i)).isCloseTo(one.losses().get(i), within(2e-5));
      }
      assertThat(several.logits()).containsExactly(one.logits(), within(5e-3f));
    }
  }

  @Test
  void sequencesOfAnExampleAreTrainedAsExamplesOfItsBatch() {
    List<SupervisedExample> examples = RandomModel.examplesOfSeveralSequences();
    for (SupervisedExample example : examples) {
      List<SupervisedExample> sequences = example.sequences();
      Run together = run(config().batchSize(1).build(), SupervisedDataset.of(List.of(example)));
      Run apart =
          run(config().batchSize(sequences.size()).build(), SupervisedDataset.of(sequences));

      assertThat(together.losses()).isEqualTo(apart.losses());
      // Slabs of other sizes lie elsewhere in memory, where products may be rounded otherwise.
      assertThat(together.logits()).containsExactly(apart.logits(), within(1e-4f));
      assertThat(together.result().steps().get(0).supervisedTokens())
          .isEqualTo(apart.result().steps().get(0).supervisedTokens());
    }
    assertThat(run(config().batchSize(1).build(), SupervisedDataset.of(examples)).losses())
        .hasSize(examples.size());
  }

  @Test
  void evaluatesAnExampleOfSeveralSequencesAsOne() {
    List<SupervisedExample> examples = RandomModel.examplesOfSeveralSequences();
    try (CausalLm model = CausalLm.load(base);
        ModelEvaluator evaluator = ModelEvaluator.of(model)) {
      List<ModelEvaluator.ExampleLoss> losses = evaluator.losses(SupervisedDataset.of(examples));

      assertThat(losses).hasSameSizeAs(examples);
      for (int i = 0; i < losses.size(); i++) {
        Evaluation apart = evaluator.evaluate(SupervisedDataset.of(examples.get(i).sequences()));
        assertThat(losses.get(i).loss()).isCloseTo(apart.loss(), within(1e-5));
        assertThat(losses.get(i).supervisedTokens()).isEqualTo(apart.supervisedTokens());
      }
    }
  }

  @Test
  void recomputedActivationsGiveTheSameRun() {
    Run kept = run(config().build());
    Run recomputed = run(config().activationRecomputation(true).build());
    assertThat(recomputed.losses()).isEqualTo(kept.losses());
    assertThat(recomputed.logits()).isEqualTo(kept.logits());
  }

  @Test
  void chunksOfTheLossDoNotChangeIt() {
    Run whole = run(config().lossChunkTokens(1000).build());
    Run chunked = run(config().lossChunkTokens(3).build());
    for (int i = 0; i < whole.losses().size(); i++) {
      assertThat(chunked.losses().get(i)).isCloseTo(whole.losses().get(i), within(2e-5));
    }
  }

  @Test
  void bf16StaysCloseToFp32() {
    Run fp32 = run(config().learningRate(1e-3).build());
    Run bf16 = run(config().learningRate(1e-3).precision(Precision.BFLOAT16).build());
    Run accumulated =
        run(
            config()
                .learningRate(1e-3)
                .precision(Precision.BFLOAT16)
                .batchSize(2)
                .gradientAccumulationSteps(4)
                .build());
    for (int i = 0; i < fp32.losses().size(); i++) {
      assertThat(bf16.losses().get(i)).isCloseTo(fp32.losses().get(i), within(0.03));
      assertThat(accumulated.losses().get(i)).isCloseTo(fp32.losses().get(i), within(0.03));
    }
    assertThat(bf16.losses()).isNotEqualTo(fp32.losses());
  }

  @Test
  void twoRunsAreBitIdentical() {
    Run first = run(config().epochs(2).build());
    Run second = run(config().epochs(2).build());
    assertThat(second.losses()).isEqualTo(first.losses());
    assertThat(second.logits()).isEqualTo(first.logits());
  }

  @Test
  void twoProcessesAreBitIdentical() throws Exception {
    String first = inAnotherProcess(base);
    String second = inAnotherProcess(base);
    assertThat(first).startsWith("digest ");
    assertThat(second).isEqualTo(first);
  }

  private static String inAnotherProcess(Path model) throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Dai.djl.offline=true",
                // the back end is chosen by measurement: two processes must be told the same
                "-Dalpaca4j.gemm=mkl",
                "-cp",
                System.getProperty("java.class.path"),
                TrainedDigest.class.getName(),
                model.toString())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(5, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).isZero();
    return output;
  }

  /** Trains a model and prints a digest of losses and logits. */
  static final class TrainedDigest {
    private TrainedDigest() {}

    public static void main(String[] args) {
      try (CausalLm model = CausalLm.load(Path.of(args[0]))) {
        TrainingResult result =
            SftTrainer.builder()
                .model(model)
                .dataset(RandomModel.examples(16))
                .config(config().build())
                .build()
                .train();
        List<Double> losses = result.steps().stream().map(TrainingListener.Step::loss).toList();
        System.out.println("digest " + losses + " " + Arrays.hashCode(logits(model)));
      }
    }
  }

  @Test
  void aSavedModelIsTheTrainedOne() {
    Path out = folder.resolve("out");
    float[] trained;
    try (CausalLm model = CausalLm.load(base)) {
      SftTrainer.builder()
          .model(model)
          .dataset(RandomModel.examples(8))
          .config(config().build())
          .outputDirectory(out)
          .build()
          .train();
      trained = logits(model);
    }
    try (CausalLm saved = CausalLm.load(out);
        CausalLm original = CausalLm.load(base)) {
      assertThat(logits(saved)).isEqualTo(trained).isNotEqualTo(logits(original));
    }
    try (Checkpoint checkpoint = Checkpoint.open(out)) {
      assertThat(checkpoint.names()).doesNotContain("lm_head.weight");
    }
  }

  @Test
  void savingTwiceReplacesTheModelAndKeepsOtherFiles() throws IOException {
    Path out = folder.resolve("out");
    for (int run = 0; run < 2; run++) {
      try (CausalLm model = CausalLm.load(base)) {
        SftTrainer.builder()
            .model(model)
            .dataset(RandomModel.examples(8))
            .config(config().build())
            .outputDirectory(out)
            .replaceExisting(true)
            .build()
            .train();
      }
      Files.writeString(out.resolve("notes.txt"), "mine");
    }
    CausalLm.load(out).close();
    assertThat(out.resolve("notes.txt")).exists();
    try (Stream<Path> files = Files.list(out)) {
      assertThat(files.map(f -> f.getFileName().toString()))
          .containsExactlyInAnyOrder(
              Conformance.FILE_NAME,
              "config.json",
              "model.safetensors",
              "notes.txt",
              "trainer_state.json");
    }
  }

  @Test
  void keepsTheNewestStepCheckpointsWithTheOptimizersState() throws IOException {
    Path out = folder.resolve("out");
    List<Integer> saved = new ArrayList<>();
    try (CausalLm model = CausalLm.load(base)) {
      SftTrainer.builder()
          .model(model)
          .dataset(RandomModel.examples(40))
          .config(config().saveSteps(1).saveTotalLimit(2).build())
          .outputDirectory(out)
          .listener(
              new TrainingListener() {
                @Override
                public void saved(int step, Path path) {
                  saved.add(step);
                }
              })
          .build()
          .train();
    }
    assertThat(saved).containsExactly(1, 2, 3, 4, 5);
    try (Stream<Path> files = Files.list(out)) {
      assertThat(files.filter(Files::isDirectory).map(f -> f.getFileName().toString()))
          .containsExactlyInAnyOrder("checkpoint-3", "checkpoint-4");
    }
    CausalLm.load(out.resolve("checkpoint-4")).close();
    try (Checkpoint moments =
        Checkpoint.open(out.resolve("checkpoint-4/optimizer/optimizer.safetensors"))) {
      assertThat(moments.names())
          .contains("exp_avg.model.norm.weight", "exp_avg_sq.model.embed_tokens.weight");
    }
  }

  @Test
  void evaluatesWhenAsked() {
    List<Integer> told = new ArrayList<>();
    try (CausalLm model = CausalLm.load(base);
        ModelEvaluator evaluator = ModelEvaluator.of(model)) {
      SupervisedDataset held = RandomModel.examples(5);
      TrainingResult result =
          SftTrainer.builder()
              .model(model)
              .dataset(RandomModel.examples(24))
              .evalDataset(held)
              .config(config().epochs(2).evalEachEpoch(true).build())
              .listener(
                  new TrainingListener() {
                    @Override
                    public void evaluated(int step, Evaluation evaluation) {
                      told.add(step);
                    }
                  })
              .build()
              .train();
      assertThat(told).containsExactly(3, 6);
      assertThat(result.evaluations().get(1).evaluation().loss())
          .isCloseTo(evaluator.evaluate(held).loss(), within(1e-6));
    }
  }

  @Test
  void aLossThatIsNotFiniteStopsWithStepAndExamplesAndLeavesTheWeights() {
    Path broken =
        RandomModel.write(folder.resolve("broken"), RandomModel.config(), Float.MAX_VALUE);
    try (CausalLm model = CausalLm.load(broken)) {
      float[] before = logits(model);
      SftTrainer trainer =
          SftTrainer.builder()
              .model(model)
              .dataset(RandomModel.examples(4))
              .config(config().batchSize(2).order((size, epoch) -> new int[] {2, 0, 1, 3}).build())
              .build();
      assertThatThrownBy(trainer::train)
          .isInstanceOf(TrainingException.class)
          .hasMessageContaining("step 1")
          .hasMessageContaining("[2, 0]");
      assertThat(logits(model)).isEqualTo(before);
    }
  }

  @Test
  void anOutputThatCannotBeWrittenIsFoundBeforeTraining() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    List<Integer> steps = new ArrayList<>();
    try (CausalLm model = CausalLm.load(base)) {
      SftTrainer trainer =
          SftTrainer.builder()
              .model(model)
              .dataset(RandomModel.examples(4))
              .outputDirectory(file.resolve("out"))
              .listener(
                  new TrainingListener() {
                    @Override
                    public void stepCompleted(Step step) {
                      steps.add(step.step());
                    }
                  })
              .build();
      assertThatThrownBy(trainer::train)
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("out");
    }
    assertThat(steps).isEmpty();
  }

  @Test
  void contradictingOptionsAreRefusedByName() {
    try (CausalLm bf16 = CausalLm.builder(base).precision(Precision.BFLOAT16).load();
        CausalLm model = CausalLm.load(base)) {
      SupervisedDataset examples = RandomModel.examples(2);
      assertThatThrownBy(() -> SftTrainer.builder().model(bf16).dataset(examples).build())
          .isInstanceOf(TrainingException.class)
          .hasMessageContaining("FLOAT32");
      assertThatThrownBy(
              () ->
                  SftTrainer.builder()
                      .model(model)
                      .dataset(examples)
                      .config(config().evalSteps(1).build())
                      .build())
          .hasMessageContaining("evalDataset");
      assertThatThrownBy(
              () ->
                  SftTrainer.builder()
                      .model(model)
                      .dataset(examples)
                      .config(config().saveSteps(1).build())
                      .build())
          .hasMessageContaining("outputDirectory");
      assertThatThrownBy(() -> SftTrainer.builder().model(model).build())
          .hasMessageContaining("dataset");
    }
    assertThatThrownBy(() -> SftConfig.builder().batchSize(0).build())
        .hasMessageContaining("batchSize is 0");
    assertThatThrownBy(() -> SftConfig.builder().warmupRatio(0.1).warmupSteps(3))
        .hasMessageContaining("warmupRatio");
    assertThatThrownBy(() -> SftConfig.builder().learningRate(Double.NaN).build())
        .hasMessageContaining("learningRate");
  }

  @Test
  void twoThousandStepsDoNotGrowTheProcess() throws IOException {
    long[] resident = new long[2];
    try (CausalLm model = CausalLm.load(base)) {
      SftTrainer.builder()
          .model(model)
          .dataset(RandomModel.examples(64))
          .config(config().batchSize(2).maxSteps(2500).build())
          .listener(
              new TrainingListener() {
                @Override
                public void stepCompleted(Step step) {
                  if (step.step() == 500 || step.step() == 2500) {
                    System.gc();
                    resident[step.step() / 2500] = anonymousKilobytes();
                  }
                }
              })
          .build()
          .train();
    }
    // 2,000 steps that each kept one 4 KB array would show 8 MB; heap and JIT account for some.
    assertThat(resident[1] - resident[0]).isLessThan(24_000);
  }

  private static long anonymousKilobytes() {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      return lines
          .filter(line -> line.startsWith("RssAnon:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
          .findFirst()
          .orElse(0);
    } catch (IOException e) {
      return 0; // Linux alone tells
    }
  }
}
