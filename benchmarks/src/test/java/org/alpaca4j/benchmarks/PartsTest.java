package org.alpaca4j.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import java.util.stream.IntStream;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.Decoder;
import org.alpaca4j.core.internal.model.PackedInput;
import org.alpaca4j.core.internal.torch.Torch;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The parts of a step can still be run by themselves: they lean on the decoder's inside. */
class PartsTest {
  private static final ModelConfig CONFIG =
      ModelConfig.builder("llama")
          .hiddenSize(32)
          .intermediateSize(56)
          .numHiddenLayers(2)
          .numAttentionHeads(4)
          .numKeyValueHeads(2)
          .vocabSize(97)
          .maxPositionEmbeddings(128)
          .build();

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16"})
  void attentionRunsAlone(DType dtype) {
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
        Decoder decoder = new Decoder(Internals.description(CONFIG), Device.cpu());
        AttentionTime attention = new AttentionTime(decoder, dtype)) {
      PackedInput input =
          decoder.pack(scope, IntStream.range(0, 8).toArray(), new int[] {5, 3}, null, dtype);
      assertThat(attention.seconds(input)).hasSize(2).doesNotContain(0);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16"})
  void matrixProductsRunAlone(DType dtype) {
    try (GemmFloor floor = new GemmFloor(CONFIG, dtype)) {
      double layers = floor.layers(40, 7);
      floor.measureAgain();
      assertThat(floor.layers(40, 7)).isPositive().isLessThanOrEqualTo(layers);
      assertThat(floor.head(7)).isPositive();
    }
  }
}
