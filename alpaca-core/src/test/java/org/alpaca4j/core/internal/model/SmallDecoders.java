package org.alpaca4j.core.internal.model;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.family.Families;

/** A small decoder of every family, and of kinds of models within one. */
final class SmallDecoders {
  /** Families some of whose models have fewer heads of keys than of queries. */
  private static final Set<String> GROUPED =
      Set.of(
          "cohere",
          "ernie4_5",
          "gemma2",
          "gemma3_text",
          "glm",
          "glm4",
          "granite",
          "hunyuan_v1_dense",
          "internlm2",
          "llama",
          "mistral",
          "mixtral",
          "phi3",
          "qwen2",
          "qwen2_moe",
          "qwen3",
          "qwen3_moe",
          "smollm3",
          "starcoder2");

  /** Layers of families of whose layers one differs. */
  private static final Map<String, Integer> LAYERS = Map.of("gemma3_text", 6, "smollm3", 4);

  private static final Map<String, Object> FEW_EXPERTS =
      Map.of(
          "num_experts", 4,
          "num_experts_per_tok", 2,
          "moe_intermediate_size", 6,
          "shared_expert_intermediate_size", 10);

  /** What some families need beside sizes. */
  private static final Map<String, Map<String, Object>> OTHERS =
      Map.of(
          "chatglm", Map.of("mask_token_id", 28, "gmask_token_id", 29, "bos_token_id", 30),
          "gptj", Map.of("rotary_dim", 4),
          "granite", Map.of("residual_multiplier", 0.3, "attention_multiplier", 0.6),
          "mixtral", Map.of("num_local_experts", 4),
          "qwen2", Map.of("use_sliding_window", true, "max_window_layers", 1),
          "qwen2_moe", FEW_EXPERTS,
          "qwen3_moe", FEW_EXPERTS);

  private static final Map<String, DecoderDescription> ALL = make();

  private SmallDecoders() {}

  /** Returns the decoders by name. */
  static Map<String, DecoderDescription> all() {
    return ALL;
  }

  private static Map<String, DecoderDescription> make() {
    Map<String, DecoderDescription> decoders = new LinkedHashMap<>();
    for (String modelType : Families.modelTypes()) {
      if (!modelType.startsWith("RefinedWeb")) { // Falcon's former name
        decoders.put(modelType, describe(modelType));
      }
    }
    decoders.put(
        "baichuan with distances",
        describe(
            "baichuan",
            "num_attention_heads",
            8,
            "num_key_value_heads",
            8,
            "model_max_length",
            64));
    decoders.put(
        "chatglm2",
        describe(
            "chatglm",
            "padded_vocab_size",
            31,
            "kv_channels",
            8,
            "ffn_hidden_size",
            12,
            "seq_length",
            64,
            "multi_query_attention",
            true,
            "multi_query_group_num",
            2));
    decoders.put("cohere with head norms", describe("cohere", "use_qk_norm", true));
    decoders.put(
        "falcon with distances",
        describe("falcon", "alibi", true, "parallel_attn", false, "multi_query", false));
    decoders.put("gpt_neox in sequence", describe("gpt_neox", "use_parallel_residual", false));
    decoders.put("opt with norms of sums", describe("opt", "do_layer_norm_before", false));
    return decoders;
  }

  /** Describes a small model of a family, some fields changed: name, value, name, value, ... */
  static DecoderDescription describe(String modelType, Object... fields) {
    ModelConfig.Builder config =
        ModelConfig.builder(modelType)
            .vocabSize(31)
            .hiddenSize(32)
            .intermediateSize(12)
            .numHiddenLayers(LAYERS.getOrDefault(modelType, 2))
            .numAttentionHeads(4)
            .numKeyValueHeads(GROUPED.contains(modelType) ? 2 : 4)
            .maxPositionEmbeddings(64)
            .field("sliding_window", 3);
    OTHERS.getOrDefault(modelType, Map.of()).forEach(config::field);
    if (config.build().headDim() != 8) {
      config.headDim(8);
    }
    for (int i = 0; i < fields.length; i += 2) {
      config.field((String) fields[i], fields[i + 1]);
    }
    return Internals.description(config.build());
  }
}
