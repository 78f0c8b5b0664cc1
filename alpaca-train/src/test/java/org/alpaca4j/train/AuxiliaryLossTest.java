package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.Decoder;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.PackedInput;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The loss that spreads tokens over experts; its values are checked by AuxiliaryLossParityIT. */
class AuxiliaryLossTest {
  @TempDir Path folder;
  private int models;

  private static ModelConfig mixture() {
    return ModelConfig.builder("mixtral")
        .hiddenSize(16)
        .intermediateSize(12)
        .numHiddenLayers(2)
        .numAttentionHeads(2)
        .numKeyValueHeads(1)
        .vocabSize(RandomModel.VOCABULARY)
        .maxPositionEmbeddings(64)
        .build();
  }

  private Path model(ModelConfig config) {
    return RandomModel.write(folder.resolve("model-" + models++), config);
  }

  private static TrainingListener.Step step(
      Path folder, SupervisedDataset examples, SftConfig.Builder config) {
    try (CausalLm model = CausalLm.load(folder)) {
      return SftTrainer.builder()
          .model(model)
          .dataset(examples)
          .config(config.maxSteps(1).build())
          .build()
          .train()
          .steps()
          .get(0);
    }
  }

  private static SftConfig.Builder weighing(double factor) {
    return SftConfig.builder().routerAuxLossCoef(factor);
  }

  @Test
  void aStepReportsItBesideTheCrossEntropy() {
    Path mixture = model(mixture());
    SupervisedDataset examples = RandomModel.examples(4);
    TrainingListener.Step without = step(mixture, examples, weighing(0));
    TrainingListener.Step with = step(mixture, examples, weighing(0.5));
    assertThat(without.auxiliaryLoss()).isZero();
    assertThat(without.loss()).isEqualTo(without.crossEntropy());
    assertThat(with.crossEntropy()).isCloseTo(without.crossEntropy(), within(1e-6));
    assertThat(with.auxiliaryLoss()).isGreaterThan(0.5);
    assertThat(with.loss()).isEqualTo(with.crossEntropy() + with.auxiliaryLoss());
  }

  @Test
  void theConfigurationDecidesWhereTheOptionIsNotSet() {
    ModelConfig silent = mixture();
    String fields = "{\"output_router_logits\": true, \"router_aux_loss_coef\": 0.25,";
    ModelConfig active = ModelConfig.parse(fields + silent.toJson().strip().substring(1), "test");
    assertThat(silent.routerAuxLossCoef()).isZero();
    assertThat(active.routerAuxLossCoef()).isEqualTo(0.25);
    assertThat(RandomModel.config().routerAuxLossCoef()).isZero();

    SupervisedDataset examples = RandomModel.examples(4);
    double expected = step(model(silent), examples, weighing(0.25)).auxiliaryLoss();
    assertThat(step(model(active), examples, SftConfig.builder()).auxiliaryLoss())
        .isEqualTo(expected);
    assertThat(step(model(active), examples, weighing(0)).auxiliaryLoss()).isZero();
    assertThat(step(model(silent), examples, SftConfig.builder()).auxiliaryLoss()).isZero();
  }

  @Test
  void microBatchesCountByTheirShareOfTheTokens() {
    SupervisedExample example = RandomModel.examples(1).get(0);
    SupervisedDataset alike = SupervisedDataset.of(Collections.nCopies(4, example));
    Path mixture = model(mixture());
    double whole = step(mixture, alike, weighing(1).batchSize(4)).auxiliaryLoss();
    double parts =
        step(mixture, alike, weighing(1).batchSize(1).gradientAccumulationSteps(4)).auxiliaryLoss();
    assertThat(parts).isCloseTo(whole, within(1e-6));
  }

  @Test
  void aTokenThatExamplesShareCountsForEachOfThem() {
    int[] a = new Random(3).ints(20, 1, RandomModel.VOCABULARY).toArray();
    int[] b = new Random(4).ints(12, 1, RandomModel.VOCABULARY).toArray();
    try (CausalLm lm = CausalLm.load(model(mixture()));
        NDManager scope = NDManager.newBaseManager()) {
      LoadedModel model = Internals.loaded(lm);
      List<Routed> alone = List.of(route(model, scope, a), route(model, scope, b));
      Routed together = route(model, scope, a, b, a);
      assertThat(together.input.tokens()).isEqualTo(a.length + b.length);

      double loss = balance(model, scope, together).get(0).toDoubleArray()[0];

      int layers = model.decoder().layers();
      double[] choices = new double[8];
      double[] probabilities = new double[8];
      for (int example : new int[] {0, 1, 0}) {
        for (int layer = 0; layer < layers; layer++) {
          for (long expert : alone.get(example).choices[layer].toLongArray()) {
            choices[(int) expert]++;
          }
          float[] p = alone.get(example).probabilities[layer].toFloatArray();
          for (int i = 0; i < p.length; i++) {
            probabilities[i % 8] += p[i];
          }
        }
      }
      double tokens = layers * (2.0 * a.length + b.length);
      double sum = IntStream.range(0, 8).mapToDouble(e -> choices[e] * probabilities[e]).sum();
      assertThat(loss).isCloseTo(8 * sum / (tokens * tokens), within(1e-5));
    }
  }

  private record Routed(PackedInput input, NDArray[] probabilities, NDArray[] choices) {}

  private static Routed route(LoadedModel model, NDManager scope, int[]... examples) {
    Decoder decoder = model.decoder();
    int[] ids =
        IntStream.range(0, examples.length).flatMap(i -> IntStream.of(examples[i])).toArray();
    int[] lengths = IntStream.range(0, examples.length).map(i -> examples[i].length).toArray();
    PackedInput input =
        decoder.packForBalance(scope, ids, lengths, new int[] {0}, model.activations());
    NDArray[] p = new NDArray[decoder.layers()];
    NDArray[] chosen = new NDArray[decoder.layers()];
    NDArray x = decoder.embed(scope, input, model.embedding(), model.activations());
    for (int layer = 0; layer < p.length; layer++) {
      NDList results = decoder.layerRouting(scope, layer, x, input, model.layer(layer));
      x = results.get(0);
      p[layer] = results.get(1);
      chosen[layer] = results.get(2);
    }
    return new Routed(input, p, chosen);
  }

  private static NDList balance(LoadedModel model, NDManager scope, Routed routed) {
    return model.decoder().balance(scope, routed.probabilities, routed.choices, routed.input, 1);
  }

  @Test
  void aModelWithoutExpertsRefusesIt() {
    try (CausalLm model = CausalLm.load(model(RandomModel.config()))) {
      SftTrainer.Builder builder =
          SftTrainer.builder()
              .model(model)
              .dataset(RandomModel.examples(2))
              .config(weighing(0.1).build());
      assertThatThrownBy(builder::build)
          .isInstanceOf(TrainingException.class)
          .hasMessageContaining("routerAuxLossCoef");
    }
    assertThatThrownBy(() -> SftConfig.builder().routerAuxLossCoef(-1))
        .hasMessageContaining("routerAuxLossCoef is -1");
  }
}
