package org.alpaca4j.weights.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class GgufRoundTripTest {
  private static final List<String> TEXTS =
      List.of(
          "hello world",
          "a  2 b 1212  x\n\n  y",
          "<s>hello</s> hell </s>",
          "I'Ve 'told \u00fc\u65e5\u672c \ud83d\ude00",
          "  lead");

  @TempDir Path folder;

  static Stream<ModelConfig.Builder> models() {
    return Stream.of(
        TinyModel.config("llama"),
        TinyModel.config("llama").tieWordEmbeddings(true),
        TinyModel.config("llama").attentionBias(true).mlpBias(true).headDim(24),
        TinyModel.config("llama").ropeTheta(500_000).ropeScaling(RopeScaling.llama3(8, 1, 4, 64)),
        TinyModel.config("llama").ropeScaling(RopeScaling.linear(4)),
        TinyModel.config("mistral").field("sliding_window", 32),
        TinyModel.config("qwen2").tieWordEmbeddings(true),
        TinyModel.config("qwen2").ropeScaling(RopeScaling.yarn(4, 32)),
        TinyModel.config("qwen2")
            .field("use_sliding_window", true)
            .field("sliding_window", 16)
            .field("layer_types", List.of("full_attention", "sliding_attention")),
        TinyModel.config("qwen3").headDim(32));
  }

  @ParameterizedTest
  @MethodSource("models")
  void keepsConfigurationAndEveryBitOfTheWeights(ModelConfig.Builder model) {
    for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
      ModelConfig config = model.dtype(dtype).build();
      Path source = folder.resolve("source" + dtype);
      Path back = folder.resolve("back" + dtype);
      TinyModel.write(source, config, dtype, TinyModel.byteLevel(GgufPreTokenizer.GPT2));

      roundTrip(source, back, true);

      assertThat(ModelConfig.load(back.resolve("config.json"))).isEqualTo(config);
      assertSameWeights(source, back);
    }
  }

  private void roundTrip(Path source, Path back, boolean embedJson) {
    Path file = folder.resolve("model.gguf");
    GgufExport.builder(source)
        .embedTokenizerJson(embedJson)
        .replaceExisting(true)
        .build()
        .write(file);
    GgufImport.builder(file).build().write(back);
  }

  private static void assertSameWeights(Path source, Path back) {
    try (Checkpoint expected = Checkpoint.open(source);
        Checkpoint found = Checkpoint.open(back)) {
      assertThat(found.names()).isEqualTo(expected.names());
      for (String name : expected.names()) {
        assertThat(found.tensor(name).dtype()).isEqualTo(expected.tensor(name).dtype());
        assertThat(found.map(name)).as(name).isEqualTo(expected.map(name));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(GgufPreTokenizer.class)
  void rebuildsEveryByteLevelTokenizer(GgufPreTokenizer pre) {
    assertSameTokenizer(TinyModel.byteLevel(pre));
  }

  @Test
  void rebuildsSentencePieceTokenizersFromScores() {
    assertSameTokenizer(TinyModel.sentencePiece());
  }

  /** As Gemma's: blanks are replaced, none is added, and a splitter at blanks finds none. */
  @Test
  void rebuildsSentencePieceTokenizersThatAddNoBlank() {
    ObjectNode json = TinyModel.sentencePiece();
    JsonNode replace = json.at("/normalizer/normalizers/1");
    json.set("normalizer", replace);
    ObjectNode split = json.putObject("pre_tokenizer").put("type", "Split");
    split.putObject("pattern").put("String", " ");
    split.put("behavior", "MergedWithPrevious").put("invert", false);
    ((ArrayNode) json.at("/decoder/decoders")).remove(3);

    assertSameTokenizer(json);
  }

  private void assertSameTokenizer(ObjectNode json) {
    ModelConfig config = TinyModel.config("llama").build();
    Path source = TinyModel.write(folder.resolve("source"), config, DType.BF16, json);
    Path back = folder.resolve("back");

    roundTrip(source, back, false);

    try (Tokenizer expected = Tokenizer.load(source);
        Tokenizer found = Tokenizer.load(back)) {
      for (String text : TEXTS) {
        int[] ids = expected.encodeIds(text, true);
        assertThat(found.encodeIds(text, true)).as(text).isEqualTo(ids);
        assertThat(found.decode(ids, true)).isEqualTo(expected.decode(ids, true));
      }
      assertThat(found.size()).isEqualTo(expected.size());
      assertThat(found.bosId()).isEqualTo(expected.bosId());
      assertThat(found.eosId()).isEqualTo(expected.eosId());
      assertThat(found.padToken()).isEqualTo(expected.padToken());
      assertThat(found.chatTemplate().map(ChatTemplate::source)).contains(TinyModel.TEMPLATE);
    }
  }

  @Test
  void keepsTheTokenizerJsonThatTheFileCarries() throws IOException {
    ModelConfig config = TinyModel.config("llama").build();
    ObjectNode json = TinyModel.byteLevel(GgufPreTokenizer.QWEN2);
    Path source = TinyModel.write(folder.resolve("source"), config, DType.BF16, json);
    Path back = folder.resolve("back");

    roundTrip(source, back, true);

    assertThat(new ObjectMapper().readTree(back.resolve("tokenizer.json").toFile()))
        .isEqualTo(json);
  }
}
