package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelConfigTest {
  private static final String LLAMA_V4 =
      """
      {
        "architectures": ["LlamaForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": 64,
        "initializer_range": 0.02,
        "intermediate_size": 112,
        "max_position_embeddings": 256,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "pad_token_id": null,
        "rms_norm_eps": 1e-06,
        "rope_scaling": {"type": "linear", "factor": 4.0},
        "rope_theta": 500000.0,
        "torch_dtype": "bfloat16",
        "vocab_size": 512
      }
      """;

  private static final String LLAMA_V5 =
      """
      {
        "attention_bias": false,
        "bos_token_id": 1,
        "dtype": "bfloat16",
        "eos_token_id": [2],
        "head_dim": 16,
        "hidden_size": 64,
        "intermediate_size": 112,
        "max_position_embeddings": 256,
        "mlp_bias": false,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 4,
        "pad_token_id": null,
        "rope_parameters": {"factor": 4.0, "rope_theta": 500000.0, "rope_type": "linear"},
        "vocab_size": 512
      }
      """;

  private static ModelConfig parse(String json) {
    return ModelConfig.parse(json, "config.json");
  }

  private static ModelConfig with(String type, String fields) {
    return parse(
        """
        {"model_type": "%s", "hidden_size": 64, "intermediate_size": 112,
         "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 4,
         "vocab_size": 512%s}
        """
            .formatted(type, fields.isEmpty() ? "" : ", " + fields));
  }

  private static List<OptionalInt> windows(ModelConfig config) {
    return IntStream.range(0, config.numHiddenLayers()).mapToObj(config::slidingWindow).toList();
  }

  @Test
  void theSpellingsOfTransformers4And5GiveEqualConfigurations() {
    ModelConfig old = parse(LLAMA_V4);

    assertThat(old).isEqualTo(parse(LLAMA_V5)).hasSameHashCodeAs(parse(LLAMA_V5));
    assertThat(old.headDim()).isEqualTo(16);
    assertThat(old.numKeyValueHeads()).isEqualTo(4);
    assertThat(old.ropeTheta()).isEqualTo(500000);
    assertThat(old.ropeScaling()).isEqualTo(RopeScaling.linear(4));
    assertThat(old.dtype()).contains(DType.BF16);
    assertThat(old.eosTokenIds()).containsExactly(2);
    assertThat(old.padTokenId()).isEmpty();
  }

  @Test
  void missingFieldsHaveTheFamilysDefaults() {
    ModelConfig llama = parse("{\"model_type\": \"llama\"}");
    assertThat(llama.numKeyValueHeads()).isEqualTo(32);
    assertThat(llama.bosTokenId()).hasValue(1);
    assertThat(llama.ropeTheta()).isEqualTo(10000);
    assertThat(llama.rmsNormEps()).isEqualTo(1e-6);

    ModelConfig qwen3 = parse("{\"model_type\": \"qwen3\"}");
    assertThat(qwen3.headDim()).isEqualTo(128);
    assertThat(qwen3.vocabSize()).isEqualTo(151936);
    assertThat(qwen3.bosTokenId()).isEmpty();
    assertThat(qwen3.eosTokenIds()).isEmpty();

    assertThat(parse("{\"model_type\": \"mistral\"}").numKeyValueHeads()).isEqualTo(8);
  }

  @Test
  void anExplicitNullIsNoTokenAndNoWindow() {
    ModelConfig mistral =
        with("mistral", "\"bos_token_id\": null, \"eos_token_id\": null, \"sliding_window\": null");

    assertThat(mistral.bosTokenId()).isEmpty();
    assertThat(mistral.eosTokenIds()).isEmpty();
    assertThat(windows(mistral)).containsOnly(OptionalInt.empty());
  }

  @Test
  void aNegativeTokenIdIsNoToken() {
    assertThat(with("llama", "\"pad_token_id\": -1").padTokenId()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "llama, false, false, false, false",
    "mistral, false, false, false, false",
    "qwen2, true, false, false, false",
    "qwen3, false, false, false, true"
  })
  void eachFamilyHasItsBiasesAndNorms(
      String family, boolean attention, boolean output, boolean mlp, boolean qkNorm) {
    ModelConfig config = with(family, "");
    assertThat(config.attentionBias()).isEqualTo(attention);
    assertThat(config.outputBias()).isEqualTo(output);
    assertThat(config.mlpBias()).isEqualTo(mlp);
    assertThat(config.qkNorm()).isEqualTo(qkNorm);
  }

  @Test
  void attentionBiasOfLlamaAndQwen3IncludesTheOutputProjection() {
    for (String family : List.of("llama", "qwen3")) {
      ModelConfig config = with(family, "\"attention_bias\": true, \"mlp_bias\": true");
      assertThat(config.attentionBias()).isTrue();
      assertThat(config.outputBias()).isTrue();
      assertThat(config.mlpBias()).isEqualTo(family.equals("llama"));
    }
  }

  @Test
  void mistralsWindowIsOnEveryLayerAndDefaultsTo4096() {
    assertThat(windows(with("mistral", "\"sliding_window\": 8"))).containsOnly(OptionalInt.of(8));
    assertThat(windows(with("mistral", ""))).containsOnly(OptionalInt.of(4096));
  }

  @Test
  void qwensWindowBeginsAtMaxWindowLayersAndOnlyIfUsed() {
    String fields = "\"sliding_window\": 8, \"max_window_layers\": 3, \"use_sliding_window\": ";
    assertThat(windows(with("qwen2", fields + "true")))
        .containsExactly(
            OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty(), OptionalInt.of(8));
    assertThat(windows(with("qwen2", fields + "false"))).containsOnly(OptionalInt.empty());
  }

  @Test
  void layerTypesDecidePerLayer() {
    ModelConfig config =
        with(
            "qwen3",
            """
            "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 0,
            "layer_types": ["full_attention", "sliding_attention",
                            "full_attention", "sliding_attention"]
            """);
    assertThat(windows(config))
        .containsExactly(
            OptionalInt.empty(), OptionalInt.of(8), OptionalInt.empty(), OptionalInt.of(8));
  }

  @Test
  void layerTypesThatContradictTheWindowAreRefused() {
    String types =
        "\"layer_types\": [\"sliding_attention\", \"full_attention\", \"full_attention\","
            + " \"full_attention\"]";
    assertThatThrownBy(() -> with("qwen2", types))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("layer_types");
    assertThatThrownBy(() -> with("mistral", types + ", \"sliding_window\": 8"))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageContaining("layer_types");
  }

  @Test
  void aFieldBesideTheRopeSettingsComesBeforeOneAmongThem() {
    ModelConfig config =
        with(
            "llama",
            """
            "original_max_position_embeddings": 128, "rope_theta": 5,
            "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 7,
                             "original_max_position_embeddings": 64, "beta_fast": 0}
            """);
    assertThat(config.ropeScaling()).isEqualTo(RopeScaling.yarn(4, 128));
    assertThat(config.ropeTheta()).isEqualTo(7);
  }

  @Test
  void yarnWithoutAFactorTakesTheRatioOfLengths() {
    ModelConfig config =
        with(
            "qwen2",
            """
            "max_position_embeddings": 4096,
            "rope_scaling": {"type": "yarn", "factor": null,
                             "original_max_position_embeddings": 1024}
            """);
    assertThat(config.ropeScaling()).isEqualTo(RopeScaling.yarn(4, 1024));
  }

  @Test
  void anEmptyRopeScalingCountsAsNone() {
    assertThat(with("llama", "\"rope_scaling\": {}").ropeScaling()).isEqualTo(RopeScaling.DEFAULT);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"hidden_act\": \"sigmoidal\"",
        "\"rope_scaling\": {\"type\": \"spiral\", \"factor\": 2}",
        "\"partial_rotary_factor\": 0.5",
        "\"rope_parameters\": {\"rope_theta\": 1e4, \"partial_rotary_factor\": 0.5}",
        "\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 1e4}}",
        "\"layer_types\": [\"linear_attention\", \"full_attention\", \"full_attention\","
            + " \"full_attention\"]",
        "\"dtype\": \"float8_e4m3fn\""
      })
  void whatWouldChangeTheComputationIsRefusedByName(String field) {
    String name = field.substring(1, field.indexOf('"', 1));
    assertThatThrownBy(() -> with("qwen2", field))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageStartingWith("config.json: ")
        .satisfies(
            e ->
                assertThat(e.getMessage())
                    .containsAnyOf(name, "rope_type", "partial_rotary_factor"))
        .hasMessageContaining("supported: ");
  }

  @Test
  void anotherFamilyIsRefusedWithTheSupportedOnes() {
    assertThatThrownBy(() -> parse("{\"model_type\": \"llamma\"}"))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageContaining("config.json: model_type llamma")
        .hasMessageContaining("llama, ")
        .hasMessageContaining("mistral, ")
        .hasMessageContaining("qwen2, qwen2_moe, qwen3, ");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"vocab_size\": 0",
        "\"vocab_size\": 1.5",
        "\"vocab_size\": 1e300",
        "\"hidden_size\": \"64\"",
        "\"num_hidden_layers\": 2147483647",
        "\"num_key_value_heads\": 3",
        "\"head_dim\": 15",
        "\"rms_norm_eps\": \"small\"",
        "\"tie_word_embeddings\": 1",
        "\"rope_theta\": -1",
        "\"rope_scaling\": [1]",
        "\"rope_scaling\": {\"type\": \"linear\"}",
        "\"rope_scaling\": {\"type\": \"linear\", \"factor\": -2}",
        "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 2}",
        "\"eos_token_id\": [\"a\"]",
        "\"layer_types\": [\"full_attention\"]"
      })
  void impossibleValuesAreRefused(String field) {
    assertThatThrownBy(() -> with("qwen2", field))
        .isInstanceOf(CheckpointException.class)
        .hasMessageStartingWith("config.json: ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "[]", "{", "{\"model_type\": \"llama\"} x", "null", "{}"})
  void whatIsNotAConfigurationIsRefused(String json) {
    assertThatThrownBy(() -> parse(json))
        .isInstanceOf(CheckpointException.class)
        .hasMessageStartingWith("config.json");
  }

  @Test
  void theTextIsWrittenBackAsRead() {
    assertThat(parse(LLAMA_V4).toJson()).isEqualTo(LLAMA_V4);
  }

  @Test
  void aChangeKeepsAllOtherFieldsAndTheirSpelling() {
    ModelConfig old = parse(LLAMA_V4.replace("\"vocab_size\"", "\"x\": [1, {}], \"vocab_size\""));
    ModelConfig changed = old.toBuilder().vocabSize(600).dtype(DType.F32).build();

    assertThat(changed.vocabSize()).isEqualTo(600);
    assertThat(changed.toJson())
        .isEqualTo(
            """
            {
              "architectures": [
                "LlamaForCausalLM"
              ],
              "bos_token_id": 1,
              "eos_token_id": 2,
              "hidden_act": "silu",
              "hidden_size": 64,
              "initializer_range": 0.02,
              "intermediate_size": 112,
              "max_position_embeddings": 256,
              "model_type": "llama",
              "num_attention_heads": 4,
              "num_hidden_layers": 2,
              "pad_token_id": null,
              "rms_norm_eps": 0.000001,
              "rope_scaling": {
                "type": "linear",
                "factor": 4.0
              },
              "rope_theta": 500000.0,
              "torch_dtype": "float32",
              "x": [
                1,
                {}
              ],
              "vocab_size": 600
            }
            """);
    assertThat(old.vocabSize()).isEqualTo(512);
  }

  @Test
  void aChangedTypeGoesWhereTransformers5PutsIt() {
    ModelConfig changed = parse(LLAMA_V5).toBuilder().dtype(DType.F16).ropeTheta(7).build();

    assertThat(changed.dtype()).contains(DType.F16);
    assertThat(changed.ropeTheta()).isEqualTo(7);
    assertThat(changed.ropeScaling()).isEqualTo(RopeScaling.linear(4));
    assertThat(changed.toJson()).doesNotContain("torch_dtype");
  }

  @Test
  void aConfigurationCanBeBuiltFromNothing() {
    ModelConfig config =
        ModelConfig.builder("qwen2")
            .hiddenSize(64)
            .intermediateSize(112)
            .numHiddenLayers(2)
            .numAttentionHeads(4)
            .numKeyValueHeads(2)
            .vocabSize(512)
            .maxPositionEmbeddings(256)
            .rmsNormEps(1e-5)
            .tieWordEmbeddings(true)
            .ropeTheta(1e6)
            .ropeScaling(RopeScaling.yarn(4, 64))
            .eosTokenIds(List.of(3, 4))
            .dtype(DType.F32)
            .build();

    assertThat(ModelConfig.parse(config.toJson(), "copy")).isEqualTo(config);
    assertThat(config.toJson()).contains("Qwen2ForCausalLM").contains("torch_dtype");
    assertThat(config.ropeScaling()).isEqualTo(RopeScaling.yarn(4, 64));
    assertThat(config.eosTokenIds()).containsExactly(3, 4);
    assertThat(config.slidingWindow(0)).isEmpty();
  }

  @Test
  void theTensorsOfACheckpointFollowFromIt() {
    ModelConfig config =
        ModelConfig.builder("qwen2")
            .vocabSize(10)
            .hiddenSize(8)
            .intermediateSize(12)
            .numHiddenLayers(1)
            .numAttentionHeads(2)
            .numKeyValueHeads(1)
            .tieWordEmbeddings(true)
            .build();

    assertThat(config.tensorShapes().keySet())
        .startsWith("model.embed_tokens.weight", "model.layers.0.input_layernorm.weight")
        .endsWith("model.norm.weight")
        .hasSize(14);
    assertThat(config.tensorShapes().get("model.layers.0.self_attn.k_proj.weight"))
        .containsExactly(4, 8);
    assertThat(config.tensorShapes().get("model.layers.0.self_attn.k_proj.bias"))
        .containsExactly(4);
    assertThat(
            config.toBuilder()
                .tieWordEmbeddings(false)
                .build()
                .tensorShapes()
                .get("lm_head.weight"))
        .containsExactly(10, 8);
  }
}
