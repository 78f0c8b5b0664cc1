package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.IncrementalDecoder;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Matrices of 16 bits beside fp32 arithmetic. */
class WeightFormatTest {
  private static final int[] IDS = {1, 17, 4, 52, 0, 17, 30};
  private static final int STEPS = 12;

  @TempDir Path folder;

  private Path checkpoint(String family, DType dtype) {
    ModelConfig config = RandomCheckpoint.config(family).numKeyValueHeads(4).build();
    return new RandomCheckpoint(config).dtype(dtype).write(folder.resolve(family + dtype));
  }

  private static CausalLm load(Path path, Precision weights) {
    return CausalLm.builder(path).weights(weights).load();
  }

  private static float[] logits(CausalLm model) {
    try (NDManager scope = NDManager.newBaseManager()) {
      return model.logits(scope, IDS).toFloatArray();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "llama, BF16, BFLOAT16",
    "llama, F16, FLOAT16",
    "qwen3, BF16, BFLOAT16",
    "mixtral, BF16, BFLOAT16", // experts, and a head of its own
    "bloom, BF16, BFLOAT16", // a norm of the embedding, biases
    "opt, F16, FLOAT16" // learned positions
  })
  void aCheckpointOf16BitsComputesTheSameAsWithFp32Weights(
      String family, DType stored, Precision held) {
    Path path = checkpoint(family, stored);
    try (CausalLm wide = CausalLm.load(path);
        CausalLm narrow = load(path, held)) {
      LoadedModel model = Internals.loaded(narrow);
      assertThat(model.storage()).isEqualTo(stored);
      assertThat(model.activations()).isEqualTo(DType.F32);
      assertThat(model.units()).allMatch(unit -> unit.dtype(UnitLayout.DECAYED) == stored);
      assertThat(logits(narrow)).containsExactly(logits(wide), within(1e-5f));

      int[][] prompts = {IDS, {3, 1, 4}};
      int[][] expected = generate(wide, prompts, false);
      assertThat(generate(narrow, prompts, false)).isDeepEqualTo(expected);
      assertThat(generate(narrow, prompts, true)).isDeepEqualTo(expected);
    }
  }

  /** Greedy, with weights as they are held or packed for decoding. */
  private static int[][] generate(CausalLm lm, int[][] prompts, boolean packed) {
    LoadedModel model = Internals.loaded(lm);
    int[][] ids = new int[STEPS][];
    try (IncrementalDecoder decoder = model.decoder().incremental(model)) {
      if (packed) {
        decoder.prepare();
      }
      try (IncrementalDecoder.Sequences rows = decoder.start(prompts, STEPS)) {
        for (int step = 0; step < STEPS; step++) {
          ids[step] = rows.best();
          rows.appendBest();
        }
      }
    }
    return ids;
  }

  @ParameterizedTest
  @EnumSource(
      value = Precision.class,
      names = {"BFLOAT16", "FLOAT16"})
  void savingWritesTheFormatHeldToTheBit(Precision held) throws IOException {
    Path path = checkpoint("llama", held.dtype());
    Path saved = folder.resolve("saved");
    try (CausalLm model = load(path, held)) {
      model.save(saved);
    }
    String weights = "model.safetensors";
    try (Checkpoint before = Checkpoint.open(path);
        Checkpoint after = Checkpoint.open(saved)) {
      assertThat(after.names()).isEqualTo(before.names());
      for (String name : before.names()) {
        assertThat(after.tensor(name).dtype()).isEqualTo(held.dtype());
        assertThat(after.map(name)).as(name).isEqualTo(before.map(name));
      }
    }
    assertThat(Files.size(saved.resolve(weights))).isEqualTo(Files.size(path.resolve(weights)));
  }

  @Test
  void aWeightBeyondTheRangeOfFloat16IsRefusedByName() {
    String name = "model.layers.1.mlp.down_proj.weight";
    ModelConfig config = RandomCheckpoint.config("llama").build();
    Path path = folder.resolve("large");
    CheckpointWriter.Builder writer = CheckpointWriter.builder(path).config(config);
    config.tensorShapes().forEach((tensor, shape) -> writer.tensor(tensor, DType.F32, shape));
    writer
        .build()
        .write(
            (tensor, out) -> {
              long elements = 1;
              for (long size : config.tensorShapes().get(tensor)) {
                elements *= size;
              }
              ByteBuffer bytes =
                  ByteBuffer.allocate(Math.toIntExact(4 * elements)).order(ByteOrder.LITTLE_ENDIAN);
              bytes.putFloat(8, tensor.equals(name) ? 70_000 : 1);
              out.write(bytes);
            });
    assertThatThrownBy(() -> load(path, Precision.FLOAT16).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(name)
        .hasMessageContaining("65,504");
    load(path, Precision.BFLOAT16).close();
  }

  @Test
  void formatsThatDoNotGoTogetherAreRefused() {
    Path path = checkpoint("llama", DType.F32);
    CausalLm.Builder builder = CausalLm.builder(path);
    assertThatThrownBy(() -> builder.precision(Precision.FLOAT16))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("weights(FLOAT16)");
    assertThatThrownBy(builder.precision(Precision.BFLOAT16).weights(Precision.FLOAT32)::load)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("weights(FLOAT32)")
        .hasMessageContaining("precision(BFLOAT16)");
  }

  @Test
  void theFormatIsThePrecisionUnlessSet() {
    Path path = checkpoint("llama", DType.F32);
    try (CausalLm single = CausalLm.load(path);
        CausalLm half = CausalLm.builder(path).precision(Precision.BFLOAT16).load()) {
      assertThat(Internals.loaded(single).storage()).isEqualTo(DType.F32);
      assertThat(Internals.loaded(half).storage()).isEqualTo(DType.BF16);
      assertThat(Internals.loaded(half).activations()).isEqualTo(DType.BF16);
    }
  }
}
