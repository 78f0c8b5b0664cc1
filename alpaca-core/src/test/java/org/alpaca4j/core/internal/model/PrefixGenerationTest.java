package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Generation behind keys and values of a prefix gives the logits of the whole sequences. */
class PrefixGenerationTest {
  private static final ModelConfig ANY =
      ModelConfig.builder("llama")
          .vocabSize(8)
          .hiddenSize(8)
          .intermediateSize(8)
          .numHiddenLayers(1)
          .numAttentionHeads(1)
          .build();

  private static final int[][] PROMPTS = {{1, 2, 3, 4, 5}, {6, 7}};

  private static final int[][] STEPS = {{8, 9}, {1, 3}, {0, 2}};

  @ParameterizedTest
  @ValueSource(
      strings = {"Llama", "a prefix", "a prefix and a window", "a prefix and biases by distance"})
  void theCacheBeginsWithThePrefix(String name) {
    DecoderDescription description = RandomDecoder.of(name, 4).build();
    NDManager manager = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
    Decoder decoder = new Decoder(description, Device.cpu());
    try (LoadedModel model =
            LoadedModel.of(ANY, decoder, manager, DType.F32, weights(manager, decoder));
        CachedDecoder cached = new CachedDecoder(model);
        IncrementalDecoder.Sequences sequences = cached.start(PROMPTS, 1)) {
      int[][] read = PROMPTS.clone();
      requireAlike(sequences.logits(), model, read);
      for (int[] ids : STEPS) {
        sequences.append(ids);
        for (int row = 0; row < read.length; row++) {
          read[row] = Arrays.copyOf(read[row], read[row].length + 1);
          read[row][read[row].length - 1] = ids[row];
        }
        requireAlike(sequences.logits(), model, read);
      }
    }
  }

  private static List<UnitTensors> weights(NDManager manager, Decoder decoder) {
    List<UnitTensors> units = new ArrayList<>();
    for (UnitLayout layout : decoder.units()) {
      UnitTensors unit = UnitTensors.zeros(manager, layout, DType.F32);
      for (NDArray argument : unit.arguments()) {
        if (!argument.isEmpty()) {
          Tensors.fillNormal(argument, 0.5f, 7 + units.size());
        }
      }
      units.add(unit);
    }
    return units;
  }

  private static void requireAlike(float[][] actual, LoadedModel model, int[][] sequences) {
    for (int row = 0; row < sequences.length; row++) {
      int[] ids = sequences[row];
      try (NDManager scope = model.manager().newSubManager()) {
        PackedInput input =
            model
                .decoder()
                .pack(scope, ids, new int[] {ids.length}, new int[] {ids.length - 1}, DType.F32);
        NDArray hidden =
            model.decoder().finalHidden(scope, model.hiddenStates(scope, input), model.head());
        float[] expected =
            model.decoder().logits(scope, hidden, model.embedding(), model.head()).toFloatArray();
        assertThat(actual[row]).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
          assertThat(actual[row][i]).isCloseTo(expected[i], within(2e-5f));
        }
      }
    }
  }
}
