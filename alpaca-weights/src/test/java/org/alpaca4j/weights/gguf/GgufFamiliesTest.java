package org.alpaca4j.weights.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.UnsupportedModelException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Each family that llama.cpp has becomes its architecture, and comes back. */
class GgufFamiliesTest {
  private static final List<Double> SHORT = List.of(1.0, 1.1, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0);
  private static final List<Double> LONG = List.of(1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0);
  private static final String CHATGLM3 =
      """
      {"model_type": "chatglm", "padded_vocab_size": 320, "hidden_size": 64, "num_layers": 2,
       "num_attention_heads": 4, "kv_channels": 16, "ffn_hidden_size": 96, "seq_length": 128,
       "multi_query_attention": true, "multi_query_group_num": 2, "add_qkv_bias": true,
       "rope_ratio": 50, "classifier_dropout": null, "torch_dtype": "float32",
       "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
      """;

  @TempDir Path folder;

  private static ModelConfig.Builder tiny(String family) {
    return TinyModel.config(family).remove("hidden_act").dtype(DType.F32);
  }

  /** Without heads of keys and values of their own. */
  private static ModelConfig.Builder plain(String family) {
    return tiny(family).remove("num_key_value_heads").remove("head_dim");
  }

  private static ModelConfig.Builder baichuan(int layers) {
    ModelConfig.Builder config = plain("baichuan").hiddenSize(32).numHiddenLayers(layers);
    return layers == 40
        ? config.remove("max_position_embeddings").field("model_max_length", 128)
        : config;
  }

  /** The name of a case, what it becomes, its configuration. */
  static Stream<Arguments> families() {
    Map<String, ModelConfig.Builder> cases = new LinkedHashMap<>();
    cases.put("baichuan 7b", baichuan(32));
    cases.put("baichuan 13b", baichuan(40));
    cases.put("bloom", plain("bloom"));
    cases.put("chatglm 3", ModelConfig.parse(CHATGLM3, "test").toBuilder());
    cases.put("chatglm glm", tiny("glm"));
    cases.put("command-r", tiny("cohere").field("logit_scale", 0.25));
    cases.put(
        "command-r norms",
        tiny("cohere").hiddenSize(16).headDim(4).numHiddenLayers(64).field("use_qk_norm", true));
    cases.put("ernie4_5", tiny("ernie4_5"));
    cases.put("falcon 7b", falcon().field("multi_query", true));
    cases.put("falcon 40b", falcon().field("num_kv_heads", 2));
    cases.put("falcon 11b", falcon().field("num_kv_heads", 2).field("num_ln_in_parallel_attn", 1));
    cases.put("falcon rw", falcon().field("multi_query", false));
    cases.put("gemma", tiny("gemma").headDim(32));
    cases.put(
        "gemma2", tiny("gemma2").field("query_pre_attn_scalar", 16).field("sliding_window", 32));
    cases.put(
        "gemma2 pattern",
        tiny("gemma2")
            .field("query_pre_attn_scalar", 16)
            .field("attn_logit_softcapping", 20.0)
            .field("layer_types", List.of("full_attention", "sliding_attention")));
    cases.put(
        "gemma3",
        tiny("gemma3_text")
            .numHiddenLayers(7)
            .field("query_pre_attn_scalar", 16)
            .field("sliding_window", 32)
            .ropeScaling(RopeScaling.linear(8)));
    cases.put(
        "gemma3 untied",
        tiny("gemma3_text")
            .field("query_pre_attn_scalar", 16)
            .field("final_logit_softcapping", 30.0)
            .field("layer_types", List.of("full_attention", "full_attention"))
            .tieWordEmbeddings(false));
    cases.put("glm4", tiny("glm4").headDim(32));
    cases.put("gpt2", plain("gpt2"));
    cases.put("gptneox", plain("gpt_neox").field("rotary_pct", 0.25));
    cases.put("gptneox sequential", plain("gpt_neox").field("use_parallel_residual", false));
    cases.put(
        "granite",
        tiny("granite")
            .field("embedding_multiplier", 12.0)
            .field("attention_multiplier", 0.015625)
            .field("residual_multiplier", 0.22)
            .field("logits_scaling", 8.0));
    cases.put("hunyuan-dense", tiny("hunyuan_v1_dense").headDim(32));
    cases.put("internlm2", tiny("internlm2").field("bias", false).tieWordEmbeddings(false));
    cases.put("llama", tiny("llama").attentionBias(true).mlpBias(true));
    cases.put("llama 3", tiny("llama").ropeScaling(RopeScaling.llama3(8, 1, 4, 64)));
    cases.put("llama mistral", tiny("mistral").field("sliding_window", 32));
    cases.put("llama mixtral", tiny("mixtral").field("num_local_experts", 3));
    cases.put("phi2", tiny("phi").field("partial_rotary_factor", 0.5));
    cases.put("phi3", tiny("phi3"));
    cases.put(
        "phi3 longrope",
        tiny("phi3")
            .field("original_max_position_embeddings", 64)
            .ropeScaling(RopeScaling.longrope(2, 64, null, SHORT, LONG)));
    cases.put("qwen", plain("qwen").headDim(16));
    cases.put("qwen2", tiny("qwen2").tieWordEmbeddings(true));
    cases.put(
        "qwen2moe",
        tiny("qwen2_moe")
            .field("num_experts", 3)
            .field("num_experts_per_tok", 2)
            .field("moe_intermediate_size", 32)
            .field("shared_expert_intermediate_size", 64));
    cases.put("qwen3", tiny("qwen3").headDim(32));
    cases.put(
        "qwen3moe",
        tiny("qwen3_moe")
            .field("num_experts", 4)
            .field("num_experts_per_tok", 2)
            .field("moe_intermediate_size", 32)
            .field("norm_topk_prob", true));
    cases.put("smollm3", tiny("smollm3").numHiddenLayers(4));
    cases.put("starcoder2", tiny("starcoder2"));
    return cases.entrySet().stream()
        .map(entry -> Arguments.of(entry.getKey(), entry.getValue().build()));
  }

  private static ModelConfig.Builder falcon() {
    return plain("falcon").remove("num_key_value_heads of no Falcon").field("bias", false);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("families")
  void comesBackWithEveryBit(String name, ModelConfig config) {
    Path source = write(config);
    Path file = export(source, GgufType.F32);
    Path back = folder.resolve("back");

    GgufImport.builder(file).build().write(back);

    assertThat(ModelConfig.load(back.resolve("config.json"))).isEqualTo(config);
    try (Checkpoint expected = Checkpoint.open(source);
        Checkpoint found = Checkpoint.open(back)) {
      assertThat(found.names()).isEqualTo(expected.names());
      for (String tensor : expected.names()) {
        assertThat(found.map(tensor)).as(tensor).isEqualTo(expected.map(tensor));
      }
    }
  }

  private Path write(ModelConfig config) {
    return TinyModel.write(
        folder.resolve("source"), config, DType.F32, TinyModel.byteLevel(GgufPreTokenizer.GPT2));
  }

  private Path export(Path source, GgufType type) {
    Path file = folder.resolve("model.gguf");
    GgufExport.builder(source).type(type).build().write(file);
    return file;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("families")
  void writesTheNamesAndKeysOfItsArchitecture(String name, ModelConfig config) throws IOException {
    Map<String, Set<String>> constants = constants();
    String architecture = name.split(" ")[0];

    Map<String, GgufValue> keys = GgufHyperparameters.write(config);
    Set<String> tensors = new TreeSet<>(GgufRope.tensors(config).keySet());
    for (GgufLayout.Entry entry : GgufLayout.of(config)) {
      entry.parts().forEach(part -> tensors.add(part.name()));
    }

    assertThat(GgufArchitecture.of(config).ggufName()).isEqualTo(architecture);
    assertThat(tensors)
        .allMatch(tensor -> tensor.endsWith(".weight") || tensor.endsWith(".bias"))
        .extracting(tensor -> template(tensor))
        .isSubsetOf(constants.get(architecture));
    assertThat(keys.keySet())
        .allMatch(key -> key.startsWith(architecture + "."))
        .extracting(key -> key.substring(architecture.length() + 1))
        .isSubsetOf(constants.get("keys"));
  }

  /** {@code blk.{bid}.attn_q} of {@code blk.3.attn_q.weight}. */
  private static String template(String tensor) {
    return tensor.replaceAll("^blk\\.\\d+\\.", "blk.{bid}.").replaceAll("\\.[a-z]+$", "");
  }

  private static Map<String, Set<String>> constants() throws IOException {
    Map<String, Set<String>> constants = new HashMap<>();
    for (String line : resource("gguf-constants.txt")) {
      String[] parts = line.split(": ", 2);
      constants.put(parts[0], Set.of(parts[1].split(" ")));
    }
    return constants;
  }

  private static List<String> resource(String name) throws IOException {
    try (InputStream in = GgufFamiliesTest.class.getResourceAsStream(name)) {
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return text.lines().filter(line -> !line.startsWith("#") && !line.isBlank()).toList();
    }
  }

  /** What llama.cpp was seen to load and to compute as transformers does; see the resource. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("families")
  void writesWhatWasSeenToRun(String name, ModelConfig config) throws IOException {
    List<String> lines = new ArrayList<>();
    List<String> keys = new ArrayList<>();
    GgufHyperparameters.write(config)
        .forEach((key, value) -> keys.add(key.replaceFirst("^[^.]+\\.", "") + "=" + text(value)));
    lines.add("[" + name + "]");
    lines.add(String.join(" ", keys));
    List<String> tensors = new ArrayList<>();
    for (GgufLayout.Entry entry : GgufLayout.of(config)) {
      for (GgufLayout.Part part : entry.parts()) {
        if (!part.name().matches("blk\\.[1-9].*")) {
          tensors.add((part.name() + part.shape()).replace(" ", ""));
        }
      }
    }
    lines.add(String.join(" ", tensors));

    List<String> expected = resource("gguf-families.txt");

    int at = expected.indexOf(lines.get(0));
    assertThat(at).as("case " + name).isNotNegative();
    assertThat(lines).isEqualTo(expected.subList(at, at + lines.size()));
  }

  private static String text(GgufValue value) {
    if (value.value() instanceof GgufValue.Elements elements) {
      StringBuilder flags = new StringBuilder();
      for (int i = 0; i < elements.count(); i++) {
        flags.append(elements.bytes().get(i));
      }
      return flags.toString();
    }
    return value.value() instanceof Double number
        ? String.valueOf(number.floatValue())
        : value.value().toString();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("families")
  void findsTheRowsOfQuantisedTensors(String name, ModelConfig config) {
    Path source = write(config);
    Path back = folder.resolve("back");

    GgufImport.builder(export(source, GgufType.Q8_0)).dtype(DType.F32).build().write(back);

    try (Checkpoint expected = Checkpoint.open(source);
        Checkpoint found = Checkpoint.open(back)) {
      for (String tensor : expected.names()) {
        float[] first = floats(expected.map(tensor));
        float[] second = floats(found.map(tensor));
        double error = 0;
        for (int i = 0; i < first.length; i++) {
          error = Math.max(error, Math.abs(first[i] - second[i]));
        }
        // The largest weights are about 1: steps of 1/127, rounded.
        assertThat(error).as(tensor).isLessThan(0.01);
      }
    }
  }

  private static float[] floats(ByteBuffer bytes) {
    float[] floats = new float[bytes.remaining() / 4];
    bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(floats);
    return floats;
  }

  @Test
  void normsTheRowsOfTheHeadOfBaichuan2() throws IOException {
    ModelConfig config = baichuan(32).field("z_loss_weight", 0).build();
    Path file = export(write(config), GgufType.F32);

    try (GgufFile gguf = GgufFile.open(file)) {
      GgufTensor head = Objects.requireNonNull(gguf.tensor("output.weight"));
      ByteBuffer bytes = ByteBuffer.allocate((int) head.byteLength());
      gguf.read(head, 0, bytes);
      float[] rows = floats(bytes.flip());
      for (int row = 0; row < rows.length; row += 32) {
        double squares = 0;
        for (int i = row; i < row + 32; i++) {
          squares += rows[i] * rows[i];
        }
        assertThat(squares).isCloseTo(1, within(1e-5));
      }
    }
  }

  @Test
  void putsTheStretchOfAlphaIntoTheBase() {
    ModelConfig config =
        tiny("hunyuan_v1_dense")
            .ropeTheta(10_000)
            .field("rope_scaling", Map.of("type", "dynamic", "alpha", 1000.0, "factor", 1.0))
            .build();

    GgufValue base = GgufHyperparameters.write(config).get("hunyuan-dense.rope.freq_base");

    assertThat((Double) base.value()).isCloseTo(10_000 * Math.pow(1000, 16 / 14.0), within(32.0));
  }

  static Stream<Arguments> refused() {
    UnaryOperator<ModelConfig.Builder> same = config -> config;
    return Stream.of(
        refused("opt", same, "opt", "llama.cpp has no such model", "phi3"),
        refused(
            "gptj", config -> config.field("rotary_dim", 8), "gptj", "llama.cpp has no such model"),
        refused("falcon", config -> config.field("bias", false).field("alibi", true), "ALiBi"),
        refused("falcon", config -> config.field("parallel_attn", false), "parallel_attn"),
        refused(
            "qwen3", config -> config.attentionBias(true), "a bias of queries, keys and values"),
        refused("gpt_neox", config -> config.attentionBias(false), "no bias", "needs"),
        refused("gpt_neox", config -> config.tieWordEmbeddings(true), "tie_word_embeddings"),
        refused("gemma", config -> config.tieWordEmbeddings(false), "a head of its own"),
        refused("gemma2", same, "layers[0].attention.scale 0.0625", "0.25"),
        refused("baichuan", same, "2 layers", "32 (rotary) or 40 (ALiBi)"),
        refused("qwen2", config -> config.headDim(32), "head_dim 32"),
        refused(
            "llama", config -> config.field("partial_rotary_factor", 0.5), "partial_rotary_factor"),
        refused("smollm3", config -> config.field("no_rope_layers", List.of(0, 1)), "layers[0]"),
        refused("cohere", config -> config.field("use_qk_norm", true), "headNorm"),
        refused("phi", config -> config.field("qk_layernorm", true), "headNorm"),
        refused(
            "qwen3_moe",
            config ->
                config
                    .field("num_experts", 4)
                    .field("num_experts_per_tok", 2)
                    .field("moe_intermediate_size", 32),
            "renormalised"),
        refused(
            "qwen2",
            config -> config.ropeScaling(RopeScaling.longrope(2, 64, null, SHORT, LONG)),
            "longrope"),
        refused("bloom", config -> config.field("hidden_act", "relu"), "activation RELU"));
  }

  private static Arguments refused(
      String family, UnaryOperator<ModelConfig.Builder> change, String... why) {
    boolean plain = Set.of("opt", "gptj", "falcon", "gpt_neox", "bloom").contains(family);
    ModelConfig.Builder config = plain ? plain(family) : tiny(family);
    return Arguments.of(family, change.apply(config), why);
  }

  @ParameterizedTest(name = "{0}, {2}")
  @MethodSource("refused")
  void refusesByNameWhatLlamaCppDoesNotCompute(
      String family, ModelConfig.Builder config, String[] why) {
    ModelConfig built = config.build();

    assertThatThrownBy(() -> GgufHyperparameters.write(built))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageContaining("cannot be exported")
        .hasMessageContainingAll(why);
  }

  @Test
  void refusesTheFirstChatGlm() {
    ModelConfig config = ModelConfig.builder("chatglm").build();

    assertThatThrownBy(() -> GgufHyperparameters.write(config))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageContainingAll("the first ChatGLM-6B", "chatglm2", "Keep the checkpoint folder");
  }
}
