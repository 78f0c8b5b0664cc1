package org.alpaca4j.weights.gguf;

import static org.alpaca4j.weights.gguf.GgufQuantisation.Q4_K_M;
import static org.alpaca4j.weights.gguf.GgufQuantisation.Q5_K_M;
import static org.alpaca4j.weights.gguf.GgufQuantisation.Q6_K;
import static org.alpaca4j.weights.gguf.GgufQuantisation.Q8_0;
import static org.assertj.core.api.Assertions.assertThat;

import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.Internals;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Types that llama.cpp's own quantiser (as of October 2026) gave to the same models: for each layer
 * the digit of its type, such as 4 for Q4_K.
 */
class GgufQuantisationTest {
  private static ModelConfig.Builder config(String family, int layers) {
    return TinyModel.config(family)
        .remove("hidden_act")
        .hiddenSize(256)
        .intermediateSize(512)
        .headDim(64)
        .numHiddenLayers(layers);
  }

  /** Returns the digits of a block's types, from the first layer to the last. */
  private static String types(
      ModelConfig.Builder builder, GgufQuantisation quantisation, String role) {
    ModelConfig config = builder.build();
    StringBuilder digits = new StringBuilder();
    for (GgufLayout.Entry entry : GgufLayout.of(config)) {
      for (GgufLayout.Part part : entry.parts()) {
        if (part.name().matches("(blk\\.\\d+\\.)?" + role + "\\.weight")) {
          GgufType type =
              quantisation.typeOf(
                  GgufArchitecture.of(config),
                  Internals.description(config),
                  part.name(),
                  part.shape());
          digits.append(type.name().charAt(1));
        }
      }
    }
    return digits.toString();
  }

  @Test
  void falconHasFewerBitsInDownProjectionsAndMoreInTheHead() {
    ModelConfig.Builder falcon =
        config("falcon", 32).remove("num_key_value_heads").remove("head_dim").field("bias", false);

    assertThat(types(falcon, Q4_K_M, "attn_qkv")).isEqualTo("66664464464464464464464464466666");
    assertThat(types(falcon, Q4_K_M, "ffn_down")).isEqualTo("66554454454454454454454454455555");
    assertThat(types(falcon, Q5_K_M, "ffn_down")).isEqualTo("66665565565565565565565565566666");
    assertThat(types(falcon, Q4_K_M, "token_embd")).isEqualTo("8");
    assertThat(types(falcon, Q6_K, "token_embd")).isEqualTo("8");
  }

  @ParameterizedTest
  @ValueSource(strings = {"phi3", "gpt_neox", "bloom", "gpt2", "qwen"})
  void queriesKeysAndValuesInOneMatrixAreAsValues(String family) {
    ModelConfig.Builder config = config(family, 16).remove("num_key_value_heads");
    if (!family.equals("qwen")) {
      config.remove("head_dim");
    }
    assertThat(types(config, Q4_K_M, "attn_qkv")).isEqualTo("6644644644644666");
    assertThat(types(config, Q5_K_M, "attn_qkv")).isEqualTo("6655655655655666");
    assertThat(types(config, Q8_0, "attn_qkv")).isEqualTo("8888888888888888");
    assertThat(types(config, Q4_K_M, "attn_output")).isEqualTo("4444444444444444");
  }

  @Test
  void eightExpertsHaveMoreBitsInAttention() {
    ModelConfig.Builder eight = config("mixtral", 8).field("num_local_experts", 8);

    assertThat(types(eight, Q4_K_M, "attn_v")).isEqualTo("88888888");
    assertThat(types(eight, Q4_K_M, "attn_k")).isEqualTo("88888888");
    assertThat(types(eight, Q4_K_M, "attn_q")).isEqualTo("44444444");
    assertThat(types(eight, Q4_K_M, "attn_output")).isEqualTo("55555555");
    assertThat(types(eight, Q5_K_M, "attn_output")).isEqualTo("55555555");
    assertThat(types(eight, Q6_K, "attn_output")).isEqualTo("66666666");
    assertThat(types(eight, Q6_K, "attn_k")).isEqualTo("88888888");
    assertThat(types(eight, Q4_K_M, "ffn_down_exps")).isEqualTo("64464466");
    assertThat(types(eight, Q4_K_M, "ffn_up_exps")).isEqualTo("44444444");
  }

  @Test
  void otherNumbersOfExpertsDoNot() {
    ModelConfig.Builder three = config("mixtral", 8).field("num_local_experts", 3);

    assertThat(types(three, Q4_K_M, "attn_v")).isEqualTo("64464466");
    assertThat(types(three, Q4_K_M, "attn_k")).isEqualTo("44444444");
    assertThat(types(three, Q4_K_M, "attn_output")).isEqualTo("44444444");
  }

  /** 80 layers make a "70B" of Llama with shared heads and of Qwen 2, whatever the width. */
  @ParameterizedTest
  @CsvSource({"llama, 2, 5", "llama, 4, 4", "mistral, 2, 5", "qwen2, 4, 5", "qwen3, 2, 4"})
  void eightyLayersHaveMoreBitsInValues(String family, int keyValueHeads, String rest) {
    ModelConfig.Builder model = config(family, 80).numKeyValueHeads(keyValueHeads);

    String between = (rest + rest + "6").repeat(20);
    assertThat(types(model, Q4_K_M, "attn_v")).isEqualTo("6666666666" + between + "6666666666");
    assertThat(types(model, Q4_K_M, "attn_k")).isEqualTo("4".repeat(80));
  }
}
