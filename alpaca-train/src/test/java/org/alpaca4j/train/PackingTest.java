package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.WeightStore;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.alpaca4j.data.PackedBatch;
import org.alpaca4j.data.SupervisedDataset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Examples packed side by side give the loss and the gradients that they give one by one. */
class PackingTest {
  @TempDir Path folder;

  @Test
  void packedIsUnpackedForLlama() {
    check(RandomModel.config());
  }

  @Test
  void packedIsUnpackedForUntiedQwen3() {
    check(
        ModelConfig.builder("qwen3")
            .hiddenSize(32)
            .intermediateSize(48)
            .numHiddenLayers(2)
            .numAttentionHeads(4)
            .numKeyValueHeads(1)
            .headDim(12)
            .vocabSize(RandomModel.VOCABULARY)
            .maxPositionEmbeddings(64)
            .build());
  }

  @Test
  void packedIsUnpackedForASlidingWindow() {
    check(
        ModelConfig.builder("mistral")
            .hiddenSize(32)
            .intermediateSize(48)
            .numHiddenLayers(2)
            .numAttentionHeads(4)
            .numKeyValueHeads(4)
            .vocabSize(RandomModel.VOCABULARY)
            .maxPositionEmbeddings(64)
            .field("sliding_window", 4)
            .build());
  }

  private void check(ModelConfig config) {
    check(config, RandomModel.examples(6), "different");
    check(config, RandomModel.examplesOfCommonBeginnings(), "alike");
    check(config, SupervisedDataset.of(RandomModel.examplesOfSeveralSequences()), "several");
  }

  private void check(ModelConfig config, SupervisedDataset examples, String name) {
    List<PackedBatch> alone =
        IntStream.range(0, examples.size())
            .mapToObj(i -> PackedBatch.of(List.of(examples.get(i))))
            .toList();
    PackedBatch packed =
        PackedBatch.of(IntStream.range(0, examples.size()).mapToObj(examples::get).toList());
    double scale = 1.0 / packed.supervisedTokens();

    Path base = RandomModel.write(folder.resolve(name), config);
    try (CausalLm model = CausalLm.load(base);
        NDManager manager = NDManager.newBaseManager();
        TorchProgram program =
            TorchProgram.load(
                manager.getDevice(), SftTrainer.class, Map.of("chunk", 1000L), "optimizer.py");
        WeightStore store = WeightStore.of(Internals.loaded(model), DType.F32, parameter -> true);
        ModelPass pass = new ModelPass(Internals.loaded(model), store, 64)) {
      LoadedModel loaded = Internals.loaded(model);
      List<UnitLayout> units = loaded.decoder().units();
      Workspace workspace =
          new Workspace(manager, loaded.decoder(), packed.tokens(), 8, store, true);
      Gradients together = new Gradients(manager, store.trained(), workspace, program);
      double loss =
          pass.forwardBackward(packed, scale, 0, 0, workspace, together, false).crossEntropy();

      Workspace other = new Workspace(manager, loaded.decoder(), packed.tokens(), 8, store, true);
      Gradients oneByOne = new Gradients(manager, store.trained(), null, program);
      double sum = 0;
      boolean accumulate = false;
      for (PackedBatch batch : alone) {
        sum += pass.forwardBackward(batch, scale, 0, 0, other, oneByOne, accumulate).crossEntropy();
        accumulate = true;
      }

      assertThat(loss).isCloseTo(sum, within(1e-4));
      assertThat(together.norm()).isGreaterThan(0.1);
      for (int unit = 0; unit < units.size(); unit++) {
        for (UnitLayout.Parameter parameter : units.get(unit).parameters()) {
          float[] expected = oneByOne.unit(unit).parameter(manager, parameter).toFloatArray();
          assertThat(together.unit(unit).parameter(manager, parameter).toFloatArray())
              .as(parameter.name())
              .containsExactly(expected, within(1e-6f));
        }
      }
    }
  }
}
