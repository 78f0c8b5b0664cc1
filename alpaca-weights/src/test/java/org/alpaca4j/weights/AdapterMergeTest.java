package org.alpaca4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A merged model computes what the model with its adapters computes. */
class AdapterMergeTest {
  private static final int[] IDS = {1, 5, 9, 2, 7, 30};
  private static final String CONFIG =
      """
      {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 3, "lora_alpha": 6, "use_rslora": %s,
       "rank_pattern": {}, "alpha_pattern": {}, "target_modules": %s}
      """;

  @TempDir Path temporary;

  private static ModelConfig config(String family) {
    ModelConfig.Builder config =
        ModelConfig.builder(family)
            .hiddenSize(32)
            .numHiddenLayers(2)
            .numAttentionHeads(4)
            .vocabSize(40)
            .maxPositionEmbeddings(64);
    return family.equals("gpt2")
        ? config.intermediateSize(128).build()
        : config.intermediateSize(48).build();
  }

  private static Path write(Path folder, Map<String, long[]> shapes, CheckpointWriter.Builder to) {
    shapes.forEach((name, shape) -> to.tensor(name, DType.F32, shape));
    to.build()
        .write(
            (name, out) -> {
              long elements = LongStream.of(shapes.get(name)).reduce(1, Math::multiplyExact);
              Random random = new Random(name.hashCode());
              ByteBuffer bytes =
                  ByteBuffer.allocate(Math.toIntExact(4 * elements)).order(ByteOrder.LITTLE_ENDIAN);
              while (bytes.hasRemaining()) {
                bytes.putFloat((float) (random.nextGaussian() * 0.2));
              }
              out.write(bytes.flip());
            });
    return folder;
  }

  private Path base(String family) {
    Path folder = temporary.resolve(family);
    ModelConfig config = config(family);
    return write(folder, config.tensorShapes(), CheckpointWriter.builder(folder).config(config));
  }

  /** An adapter of the matrices whose names end so, in both layers. */
  private Path adapter(String name, String family, boolean rslora, String... ends)
      throws IOException {
    Path folder = temporary.resolve(name);
    Map<String, long[]> shapes = new TreeMap<>();
    config(family)
        .tensorShapes()
        .forEach(
            (tensor, shape) -> {
              for (String end : ends) {
                if (tensor.endsWith("." + end + ".weight")) {
                  boolean transposed = family.equals("gpt2");
                  String module = "base_model.model." + tensor.substring(0, tensor.length() - 7);
                  shapes.put(module + ".lora_A.weight", new long[] {3, shape[transposed ? 0 : 1]});
                  shapes.put(module + ".lora_B.weight", new long[] {shape[transposed ? 1 : 0], 3});
                }
              }
            });
    String targets = "[\"" + String.join("\", \"", ends) + "\"]";
    return write(
        folder,
        shapes,
        CheckpointWriter.builder(folder)
            .weightsName("adapter_model")
            .file("adapter_config.json", CONFIG.formatted(rslora, targets)));
  }

  private static float[] logits(CausalLm model) {
    try (NDManager scope = NDManager.newBaseManager()) {
      return model.logits(scope, IDS).toFloatArray();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "llama, false, q_proj, down_proj",
    "llama, true, v_proj, up_proj",
    "gpt2, false, c_attn, c_proj",
    "gpt_neox, false, query_key_value, dense",
    "phi3, false, qkv_proj, gate_up_proj"
  })
  void computesWhatTheAdapterDoes(String family, boolean rslora, String first, String second)
      throws IOException {
    Path base = base(family);
    Path adapter = adapter("adapter", family, rslora, first, second);
    Path merged = temporary.resolve("merged");

    AdapterMerge.builder(base, merged).adapter(adapter).build().merge();

    try (CausalLm plain = CausalLm.load(base);
        CausalLm result = CausalLm.load(merged)) {
      float[] before = logits(plain);
      float[] adapted = logits(plain.withAdapter(adapter));
      assertThat(adapted).isNotEqualTo(before);
      assertThat(logits(result)).containsExactly(adapted, within(2e-4f));
    }
  }

  @Test
  void addsUpSeveralAdapters() throws IOException {
    Path base = base("llama");
    Path first = adapter("first", "llama", false, "q_proj");
    Path second = adapter("second", "llama", false, "q_proj", "o_proj");
    Path once = temporary.resolve("once");
    Path twice = temporary.resolve("twice");
    Path both = temporary.resolve("both");

    AdapterMerge.builder(base, once).adapter(first, 0.5).build().merge();
    AdapterMerge.builder(once, twice).adapter(second, -2).build().merge();
    AdapterMerge.builder(base, both).adapter(first, 0.5).adapter(second, -2).build().merge();

    try (CausalLm one = CausalLm.load(twice);
        CausalLm other = CausalLm.load(both)) {
      assertThat(logits(one)).containsExactly(logits(other), within(1e-5f));
    }
  }

  @Test
  void takesTheFormThatTheAdapterWasTrainedIn() throws IOException {
    Path base = base("llama");
    Files.writeString(base.resolve("chat_template.jinja"), "old");
    Files.writeString(base.resolve("generation_config.json"), "{\"eos_token_id\": 1}");
    Path adapter = adapter("adapter", "llama", false, "q_proj");
    Files.writeString(adapter.resolve("chat_template.jinja"), "new");
    Files.writeString(adapter.resolve("generation_config.json"), "{\"eos_token_id\": [1, 2]}");
    Path merged = temporary.resolve("merged");

    AdapterMerge.builder(base, merged).adapter(adapter).dtype(DType.BF16).build().merge();

    assertThat(merged.resolve("chat_template.jinja")).hasContent("new");
    assertThat(merged.resolve("generation_config.json")).hasContent("{\"eos_token_id\": [1, 2]}");
    assertThat(merged.resolve("adapter_config.json")).doesNotExist();
    assertThat(ModelConfig.load(merged.resolve("config.json")).dtype()).contains(DType.BF16);
  }

  @Test
  void refusesWhatDoesNotBelongTogether() throws IOException {
    Path base = base("llama");
    Path merged = temporary.resolve("merged");
    Path other = adapter("other", "gpt_neox", false, "query_key_value");

    assertThatThrownBy(() -> AdapterMerge.builder(base, merged).adapter(other).build().merge())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("query_key_value, which the model does not have");
    assertThatThrownBy(() -> AdapterMerge.builder(base, merged).adapter(base).build().merge())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("adapter_config.json");
    assertThatThrownBy(() -> AdapterMerge.builder(base, merged).build())
        .hasMessageContaining("needs an adapter");
    Path adapter = adapter("adapter", "llama", false, "q_proj");
    assertThatThrownBy(() -> AdapterMerge.builder(base, base).adapter(adapter).build().merge())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("is the target as well");
    assertThat(merged).doesNotExist();
  }
}
