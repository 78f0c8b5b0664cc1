package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.WeightStore;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.alpaca4j.data.PackedBatch;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The loss is {@code sum(weight * crossEntropy) / sum(weight)}, and gradients are of that. */
class WeightedLossTest {
  private static final float[] WEIGHTS = {0.25f, 2};

  @TempDir Path folder;

  /** Two turns: the tokens up to the middle of what is supervised, and those behind. */
  private static int border(SupervisedExample example) {
    return example.length() * 2 / 3;
  }

  /** An example with a weight for each of its two turns; 0: not learnt. */
  private static SupervisedExample weigh(SupervisedExample example, float first, float second) {
    int[] labels = example.labels().clone();
    float[] weights = new float[labels.length];
    for (int t = 0; t < labels.length; t++) {
      float weight = t < border(example) ? first : second;
      weights[t] = labels[t] == SupervisedExample.IGNORE_INDEX ? 0 : weight;
      labels[t] = weight == 0 ? SupervisedExample.IGNORE_INDEX : labels[t];
    }
    return new SupervisedExample(example.ids(), labels, example.starts(), weights);
  }

  private static List<SupervisedExample> weigh(
      List<SupervisedExample> examples, float first, float second) {
    return examples.stream().map(example -> weigh(example, first, second)).toList();
  }

  private static List<SupervisedExample> list(SupervisedDataset examples) {
    return IntStream.range(0, examples.size()).mapToObj(examples::get).toList();
  }

  private static ModelConfig config(String family) {
    ModelConfig.Builder config =
        ModelConfig.builder(family)
            .hiddenSize(32)
            .intermediateSize(48)
            .numHiddenLayers(2)
            .numAttentionHeads(4)
            .numKeyValueHeads(family.equals("baichuan") ? 4 : 2)
            .vocabSize(RandomModel.VOCABULARY)
            .maxPositionEmbeddings(64);
    return switch (family) {
      case "llama" -> config.tieWordEmbeddings(true).build();
      case "gemma2" -> config.headDim(8).field("final_logit_softcapping", 3.0).build();
      default -> config.build();
    };
  }

  /** Sum of weighted cross entropies, and gradients of it by parameter. */
  private record Result(double loss, Map<String, float[]> gradients) {}

  private static Result result(Path model, DType arithmetic, List<SupervisedExample> examples) {
    PackedBatch batch = PackedBatch.of(examples);
    try (CausalLm lm = CausalLm.load(model);
        NDManager manager = NDManager.newBaseManager();
        TorchProgram program =
            TorchProgram.load(
                manager.getDevice(), SftTrainer.class, Map.of("chunk", 1000L), "optimizer.py");
        WeightStore store = WeightStore.of(Internals.loaded(lm), arithmetic, parameter -> true);
        ModelPass pass = new ModelPass(Internals.loaded(lm), store, 16)) {
      LoadedModel loaded = Internals.loaded(lm);
      Workspace workspace =
          new Workspace(manager, loaded.decoder(), batch.tokens(), 8, store, true);
      Gradients gradients = new Gradients(manager, store.trained(), null, program);
      double loss =
          pass.forwardBackward(batch, 1, 0, 0, workspace, gradients, false).crossEntropy();
      Map<String, float[]> byName = new TreeMap<>();
      List<UnitLayout> units = loaded.decoder().units();
      for (int unit = 0; unit < units.size(); unit++) {
        for (UnitLayout.Parameter parameter : units.get(unit).parameters()) {
          float[] values = gradients.unit(unit).parameter(manager, parameter).toFloatArray();
          byName.put(parameter.name(), values);
        }
      }
      return new Result(loss, byName);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "gemma2", "qwen3"})
  void turnsCountByTheirWeights(String family) {
    Path model = RandomModel.write(folder.resolve(family), config(family));
    checkSum(model, DType.F32, list(RandomModel.examples(6)), 1e-5);
  }

  @Test
  void turnsOfExamplesThatShareTheirBeginningsCountByTheirWeights() {
    Path model = RandomModel.write(folder.resolve("llama"), config("llama"));
    checkSum(model, DType.F32, list(RandomModel.examplesOfCommonBeginnings()), 1e-5);
    checkSum(model, DType.F32, RandomModel.examplesOfSeveralSequences(), 1e-5);
  }

  @Test
  void turnsCountByTheirWeightsInBf16() {
    Path model = RandomModel.write(folder.resolve("llama"), config("llama"));
    checkSum(model, DType.BF16, list(RandomModel.examples(6)), 0.02);
  }

  /** Weighted turns are the weighted sum of each turn alone. */
  private static void checkSum(
      Path model, DType arithmetic, List<SupervisedExample> examples, double tolerance) {
    Result first = result(model, arithmetic, weigh(examples, 1, 0));
    Result second = result(model, arithmetic, weigh(examples, 0, 1));
    Result both = result(model, arithmetic, weigh(examples, WEIGHTS[0], WEIGHTS[1]));

    double loss = WEIGHTS[0] * first.loss() + WEIGHTS[1] * second.loss();
    assertThat(both.loss()).isCloseTo(loss, within(tolerance * loss));
    both.gradients()
        .forEach(
            (name, gradient) -> {
              double norm = 0;
              double difference = 0;
              for (int i = 0; i < gradient.length; i++) {
                double expected =
                    WEIGHTS[0] * first.gradients().get(name)[i]
                        + WEIGHTS[1] * second.gradients().get(name)[i];
                norm += expected * expected;
                difference += Math.pow(gradient[i] - expected, 2);
              }
              assertThat(norm).as(name).isPositive();
              assertThat(Math.sqrt(difference)).as(name).isLessThan(tolerance * Math.sqrt(norm));
            });
  }

  private static SftConfig.Builder training() {
    return SftConfig.builder().epochs(1).learningRate(1e-2).batchSize(8);
  }

  private record Run(List<TrainingListener.Step> steps, float[] logits) {
    List<Double> losses() {
      return steps.stream().map(TrainingListener.Step::loss).toList();
    }
  }

  private Run run(SftConfig.Builder config, List<SupervisedExample> examples) {
    Path base = folder.resolve("base");
    if (!base.toFile().exists()) {
      RandomModel.write(base, RandomModel.config());
    }
    try (CausalLm model = CausalLm.load(base);
        NDManager scope = NDManager.newBaseManager()) {
      TrainingResult result =
          SftTrainer.builder()
              .model(model)
              .dataset(SupervisedDataset.of(examples))
              .config(config.build())
              .build()
              .train();
      return new Run(
          result.steps(), model.logits(scope, new int[] {3, 1, 4, 1, 5, 9}).toFloatArray());
    }
  }

  private static List<SupervisedExample> mixed() {
    List<SupervisedExample> examples = list(RandomModel.examples(32));
    List<SupervisedExample> mixed = new ArrayList<>();
    for (int i = 0; i < examples.size(); i++) {
      mixed.add(i % 3 == 0 ? examples.get(i) : weigh(examples.get(i), i / 8f, 0.3f));
    }
    return mixed;
  }

  @Test
  void onlyTheRatiosOfWeightsMatterHoweverSmallOrLarge() {
    List<SupervisedExample> examples = list(RandomModel.examples(16));
    Run plain = run(training(), examples);

    for (double factor : new double[] {4, 0x1p-149, 0x1p-100, 0x1p127}) {
      float weight = (float) factor;
      Run weighted = run(training(), weigh(examples, weight, weight));
      assertThat(weighted.losses()).isEqualTo(plain.losses());
      assertThat(weighted.logits()).isEqualTo(plain.logits());
      TrainingListener.Step step = weighted.steps().get(0);
      assertThat(step.supervisedWeight()).isEqualTo(factor * step.supervisedTokens());
    }
  }

  @Test
  void severalMicroBatchesOfOtherWeightsAreOneBatch() {
    Run one = run(training().batchSize(8), mixed());
    Run several = run(training().batchSize(2).gradientAccumulationSteps(4), mixed());
    Run bf16 =
        run(
            training().batchSize(2).gradientAccumulationSteps(4).precision(Precision.BFLOAT16),
            mixed());

    for (int i = 0; i < one.losses().size(); i++) {
      assertThat(several.losses().get(i)).isCloseTo(one.losses().get(i), within(2e-5));
      assertThat(bf16.losses().get(i)).isCloseTo(one.losses().get(i), within(0.1));
      assertThat(several.steps().get(i).supervisedWeight())
          .isEqualTo(one.steps().get(i).supervisedWeight());
    }
    assertThat(several.logits()).containsExactly(one.logits(), within(5e-3f));
    assertThat(one.losses()).isNotEqualTo(run(training(), list(RandomModel.examples(32))).losses());
  }

  @Test
  void anEvaluationIsTheMeanOfTheTrainingsLoss() {
    List<SupervisedExample> examples = mixed().subList(0, 8);
    double trained =
        run(training().order((size, epoch) -> IntStream.range(0, size).toArray()), examples)
            .losses()
            .get(0);
    try (CausalLm model = CausalLm.load(folder.resolve("base"));
        ModelEvaluator evaluator = ModelEvaluator.of(model)) {
      Evaluation evaluation = evaluator.evaluate(SupervisedDataset.of(examples));
      assertThat(evaluation.loss()).isCloseTo(trained, within(1e-5));
      assertThat(evaluation.perplexity()).isEqualTo(Math.exp(evaluation.loss()));
      assertThat(evaluation.supervisedTokens())
          .isEqualTo(examples.stream().mapToInt(SupervisedExample::supervisedTokens).sum());

      SupervisedExample example = examples.get(1);
      ModelEvaluator.ExampleLoss first = loss(evaluator, weigh(example, 1, 0));
      ModelEvaluator.ExampleLoss second = loss(evaluator, weigh(example, 0, 1));
      ModelEvaluator.ExampleLoss both = loss(evaluator, weigh(example, WEIGHTS[0], WEIGHTS[1]));
      double weight1 = WEIGHTS[0] * first.supervisedTokens();
      double weight2 = WEIGHTS[1] * second.supervisedTokens();
      assertThat(both.supervisedWeight()).isEqualTo(weight1 + weight2);
      assertThat(both.loss())
          .isCloseTo(
              (weight1 * first.loss() + weight2 * second.loss()) / (weight1 + weight2),
              within(1e-5));
    }
  }

  private static ModelEvaluator.ExampleLoss loss(
      ModelEvaluator evaluator, SupervisedExample example) {
    return evaluator.losses(SupervisedDataset.of(List.of(example))).get(0);
  }

  @Test
  void theLossOfExpertsCountsEveryTokenAlike() {
    ModelConfig mixture =
        ModelConfig.builder("mixtral")
            .hiddenSize(16)
            .intermediateSize(12)
            .numHiddenLayers(2)
            .numAttentionHeads(2)
            .numKeyValueHeads(1)
            .vocabSize(RandomModel.VOCABULARY)
            .maxPositionEmbeddings(64)
            .build();
    RandomModel.write(folder.resolve("base"), mixture);
    SftConfig.Builder config = training().maxSteps(1).routerAuxLossCoef(1);
    TrainingListener.Step plain = run(config, list(RandomModel.examples(8))).steps().get(0);
    TrainingListener.Step weighted =
        run(config, weigh(list(RandomModel.examples(8)), 0.25f, 2)).steps().get(0);

    assertThat(weighted.auxiliaryLoss()).isEqualTo(plain.auxiliaryLoss());
    assertThat(weighted.crossEntropy()).isNotEqualTo(plain.crossEntropy());
  }
}
