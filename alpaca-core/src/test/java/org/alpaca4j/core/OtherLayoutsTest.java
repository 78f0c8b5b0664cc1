package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Families that are another one in other tensors, and checkpoints that do not fit. */
class OtherLayoutsTest {
  private static final int[] IDS = {3, 1, 4, 1, 5, 9, 2, 6, 5, 35};
  private static final int HIDDEN = 32;
  private static final int HEAD = 8;

  @TempDir Path folder;

  @Test
  void internLm2IsLlamaWithQueriesKeysAndValuesByGroup() {
    ModelConfig llama = RandomCheckpoint.config("llama").build();
    Path plain = new RandomCheckpoint(llama).write(folder.resolve("llama"));

    ModelConfig internLm2 = RandomCheckpoint.config("internlm2").field("bias", false).build();
    Map<String, float[]> tensors = new LinkedHashMap<>();
    tensors.put("model.tok_embeddings.weight", of("model.embed_tokens.weight", 53 * HIDDEN));
    for (int i = 0; i < 2; i++) {
      String from = "model.layers." + i + ".";
      float[] q = of(from + "self_attn.q_proj.weight", HIDDEN * HIDDEN);
      float[] k = of(from + "self_attn.k_proj.weight", 2 * HEAD * HIDDEN);
      float[] v = of(from + "self_attn.v_proj.weight", 2 * HEAD * HIDDEN);
      float[] grouped = new float[q.length + k.length + v.length];
      int head = HEAD * HIDDEN;
      for (int group = 0; group < 2; group++) {
        int at = group * 4 * head; // two heads of queries, one of keys, one of values
        System.arraycopy(q, group * 2 * head, grouped, at, 2 * head);
        System.arraycopy(k, group * head, grouped, at + 2 * head, head);
        System.arraycopy(v, group * head, grouped, at + 3 * head, head);
      }
      tensors.put(from + "attention.wqkv.weight", grouped);
      tensors.put(
          from + "attention.wo.weight", of(from + "self_attn.o_proj.weight", HIDDEN * HIDDEN));
      tensors.put(from + "attention_norm.weight", of(from + "input_layernorm.weight", HIDDEN));
      tensors.put(from + "ffn_norm.weight", of(from + "post_attention_layernorm.weight", HIDDEN));
      tensors.put(from + "feed_forward.w1.weight", of(from + "mlp.gate_proj.weight", 56 * HIDDEN));
      tensors.put(from + "feed_forward.w3.weight", of(from + "mlp.up_proj.weight", 56 * HIDDEN));
      tensors.put(from + "feed_forward.w2.weight", of(from + "mlp.down_proj.weight", 56 * HIDDEN));
    }
    tensors.put("model.norm.weight", of("model.norm.weight", HIDDEN));
    tensors.put("output.weight", of("lm_head.weight", 53 * HIDDEN));

    assertThat(logits(write(internLm2, tensors))).isEqualTo(logits(plain));
  }

  @Test
  void theFirstQwenIsQwen2WithFusedProjectionsAndTheGateSecond() {
    ModelConfig qwen2 = RandomCheckpoint.config("qwen2").numKeyValueHeads(4).build();
    Path plain = new RandomCheckpoint(qwen2).write(folder.resolve("qwen2"));

    ModelConfig qwen =
        ModelConfig.builder("qwen")
            .hiddenSize(HIDDEN)
            .field("intermediate_size", 2 * 56)
            .numHiddenLayers(2)
            .numAttentionHeads(4)
            .field("kv_channels", HEAD)
            .vocabSize(53)
            .field("seq_length", 128)
            .build();
    Map<String, float[]> tensors = new LinkedHashMap<>();
    tensors.put("transformer.wte.weight", of("model.embed_tokens.weight", 53 * HIDDEN));
    for (int i = 0; i < 2; i++) {
      String from = "model.layers." + i + ".";
      String to = "transformer.h." + i + ".";
      tensors.put(to + "ln_1.weight", of(from + "input_layernorm.weight", HIDDEN));
      for (String part : List.of("weight", "bias")) {
        int size = part.equals("bias") ? HIDDEN : HIDDEN * HIDDEN;
        tensors.put(
            to + "attn.c_attn." + part,
            joined(
                of(from + "self_attn.q_proj." + part, size),
                of(from + "self_attn.k_proj." + part, size),
                of(from + "self_attn.v_proj." + part, size)));
      }
      tensors.put(to + "attn.c_proj.weight", of(from + "self_attn.o_proj.weight", HIDDEN * HIDDEN));
      tensors.put(to + "ln_2.weight", of(from + "post_attention_layernorm.weight", HIDDEN));
      tensors.put(to + "mlp.w1.weight", of(from + "mlp.up_proj.weight", 56 * HIDDEN));
      tensors.put(to + "mlp.w2.weight", of(from + "mlp.gate_proj.weight", 56 * HIDDEN));
      tensors.put(to + "mlp.c_proj.weight", of(from + "mlp.down_proj.weight", 56 * HIDDEN));
    }
    tensors.put("transformer.ln_f.weight", of("model.norm.weight", HIDDEN));
    tensors.put("lm_head.weight", of("lm_head.weight", 53 * HIDDEN));

    assertThat(logits(write(qwen, tensors))).isEqualTo(logits(plain));
  }

  private static float[] of(String name, int count) {
    return RandomCheckpoint.values(name, count);
  }

  private static float[] joined(float[]... parts) {
    float[] all = new float[Arrays.stream(parts).mapToInt(part -> part.length).sum()];
    int at = 0;
    for (float[] part : parts) {
      System.arraycopy(part, 0, all, at, part.length);
      at += part.length;
    }
    return all;
  }

  private Path write(ModelConfig config, Map<String, float[]> tensors) {
    Path target = folder.resolve(config.modelType());
    CheckpointWriter.Builder writer = CheckpointWriter.builder(target).config(config);
    Map<String, long[]> shapes = config.tensorShapes();
    assertThat(shapes).containsOnlyKeys(tensors.keySet());
    shapes.forEach((name, shape) -> writer.tensor(name, DType.F32, shape));
    writer
        .build()
        .write(
            (name, out) -> {
              float[] values = tensors.get(name);
              ByteBuffer bytes =
                  ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
              bytes.asFloatBuffer().put(values);
              out.write(bytes);
            });
    return target;
  }

  private static float[] logits(Path checkpoint) {
    try (CausalLm model = CausalLm.load(checkpoint);
        NDManager scope = NDManager.newBaseManager()) {
      return model.logits(scope, IDS).toFloatArray();
    }
  }

  private static ModelConfig mixtral() {
    return RandomCheckpoint.config("mixtral")
        .field("num_local_experts", 4)
        .field("num_experts_per_tok", 2)
        .build();
  }

  @Test
  void aTensorThatOneExpertLacksIsNamed() {
    String missing = "model.layers.1.block_sparse_moe.experts.2.w2.weight";
    Path model = new RandomCheckpoint(mixtral()).without(missing).write(folder.resolve("model"));
    assertThatThrownBy(() -> CausalLm.load(model))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("1 missing: " + missing);
  }

  @Test
  void aTensorOfAnExpertThatIsMisshapenIsNamed() {
    String misshapen = "model.layers.0.block_sparse_moe.experts.3.w1.weight";
    Path model =
        new RandomCheckpoint(mixtral()).with(misshapen, 55, 32).write(folder.resolve("model"));
    assertThatThrownBy(() -> CausalLm.load(model))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(misshapen + " [55, 32] instead of [56, 32]");
  }

  @Test
  void aSequenceLongerThanLearnedPositionsIsRefused() {
    ModelConfig config =
        ModelConfig.builder("gpt2")
            .hiddenSize(HIDDEN)
            .numHiddenLayers(1)
            .numAttentionHeads(4)
            .vocabSize(53)
            .maxPositionEmbeddings(9)
            .build();
    Path model = new RandomCheckpoint(config).write(folder.resolve("model"));
    try (CausalLm lm = CausalLm.load(model);
        NDManager scope = NDManager.newBaseManager()) {
      assertThatThrownBy(() -> lm.logits(scope, IDS))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("10 tokens, but the model has learned 9 positions");
      GenerationConfig many =
          GenerationConfig.builder().maxNewTokens(20).eosTokenIds(List.of()).build();
      assertThatThrownBy(() -> lm.generator().generate(new int[] {1, 2}, many))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("the model has learned 9 positions");
    }
  }
}
