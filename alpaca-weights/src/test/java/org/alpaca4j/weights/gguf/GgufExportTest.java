package org.alpaca4j.weights.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.UnsupportedModelException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GgufExportTest {
  @TempDir Path folder;

  private Path model(ModelConfig.Builder config) {
    return model(config, TinyModel.byteLevel(GgufPreTokenizer.LLAMA3));
  }

  private Path model(ModelConfig.Builder config, ObjectNode tokenizer) {
    return TinyModel.write(folder.resolve("model"), config.build(), DType.F32, tokenizer);
  }

  private Path export(Path source, GgufType type) {
    Path file = folder.resolve("model.gguf");
    GgufExport.builder(source).type(type).build().write(file);
    return file;
  }

  private static byte[] bytes(GgufFile file, String name) throws IOException {
    GgufTensor tensor = file.tensor(name);
    ByteBuffer bytes = ByteBuffer.allocate((int) tensor.byteLength());
    file.read(tensor, 0, bytes);
    return bytes.array();
  }

  @Test
  void refusesAnotherActivation() {
    Path gelu = model(TinyModel.config("llama").field("hidden_act", "gelu"));
    assertThatThrownBy(() -> export(gelu, GgufType.F32))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageContaining("activation GELU, where llama.cpp computes with SILU");
  }

  @Test
  void putsRowsThatAreTurnedTogetherSideBySide() throws IOException {
    Path source = model(TinyModel.config("llama"));

    try (GgufFile file = GgufFile.open(export(source, GgufType.F32));
        Checkpoint checkpoint = Checkpoint.open(source)) {
      byte[] found = bytes(file, "blk.0.attn_k.weight");
      ByteBuffer stored = checkpoint.map("model.layers.0.self_attn.k_proj.weight");
      int row = 64 * 4;
      // Second head, begin at row 16: rows 16 and 24 are a pair.
      assertThat(ByteBuffer.wrap(found, 16 * row, row)).isEqualTo(stored.slice(16 * row, row));
      assertThat(ByteBuffer.wrap(found, 17 * row, row)).isEqualTo(stored.slice(24 * row, row));
      assertThat(ByteBuffer.wrap(found, 18 * row, row)).isEqualTo(stored.slice(17 * row, row));
    }
  }

  @Test
  void keepsTheOrderOfRowsOfQwen() throws IOException {
    Path source = model(TinyModel.config("qwen2"));

    try (GgufFile file = GgufFile.open(export(source, GgufType.F32));
        Checkpoint checkpoint = Checkpoint.open(source)) {
      assertThat(ByteBuffer.wrap(bytes(file, "blk.1.attn_q.weight")))
          .isEqualTo(checkpoint.map("model.layers.1.self_attn.q_proj.weight"));
    }
  }

  @Test
  void quantisesMatricesAndKeepsVectorsInF32() {
    Path source = model(TinyModel.config("qwen2").tieWordEmbeddings(true));

    try (GgufFile file = GgufFile.open(export(source, GgufType.Q8_0))) {
      assertThat(file.tensor("output.weight")).as("tied").isNull();
      for (GgufTensor tensor : file.tensors()) {
        GgufType expected = tensor.shape().size() == 1 ? GgufType.F32 : GgufType.Q8_0;
        assertThat(tensor.type()).as(tensor.name()).isEqualTo(expected);
      }
      assertThat(file.metadata().integer("general.file_type")).contains(7);
    }
  }

  @Test
  void storesRowsThatAreNoWholeBlocksAsF16() {
    Path source = model(TinyModel.config("llama").intermediateSize(80));

    try (GgufFile file = GgufFile.open(export(source, GgufType.Q8_0))) {
      assertThat(file.tensor("blk.0.ffn_down.weight").type()).isEqualTo(GgufType.F16);
      assertThat(file.tensor("blk.0.ffn_up.weight").type()).isEqualTo(GgufType.Q8_0);
    }
  }

  @Test
  void mixesTypesAsLlamaCppDoes() {
    Path source = model(wide("llama", 8));
    Path file = folder.resolve("model.gguf");

    GgufExport.builder(source).quantise(GgufQuantisation.Q4_K_M).build().write(file);

    try (GgufFile written = GgufFile.open(file)) {
      Function<String, List<GgufType>> types =
          role ->
              IntStream.range(0, 8)
                  .mapToObj(layer -> written.tensor("blk." + layer + "." + role).type())
                  .toList();
      GgufType q4 = GgufType.Q4_K;
      GgufType q6 = GgufType.Q6_K;
      assertThat(types.apply("attn_v.weight")).containsExactly(q6, q4, q4, q6, q4, q4, q6, q6);
      assertThat(types.apply("ffn_down.weight")).containsExactly(q6, q4, q4, q6, q4, q4, q6, q6);
      assertThat(types.apply("attn_q.weight")).containsOnly(q4);
      assertThat(types.apply("attn_norm.weight")).containsOnly(GgufType.F32);
      assertThat(written.tensor("token_embd.weight").type()).isEqualTo(q4);
      assertThat(written.tensor("output.weight").type()).isEqualTo(q6);
      assertThat(written.metadata().integer("general.file_type")).contains(15);
    }
  }

  @Test
  void givesATiedEmbeddingTheTypeOfTheHead() {
    Path source = model(wide("qwen2", 1).tieWordEmbeddings(true));
    Path file = folder.resolve("model.gguf");

    GgufExport.builder(source).quantise(GgufQuantisation.Q5_K_M).build().write(file);

    try (GgufFile written = GgufFile.open(file)) {
      assertThat(written.tensor("token_embd.weight").type()).isEqualTo(GgufType.Q6_K);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "Q4_K_M, Q5_0, Q8_0, Q8_0",
    "Q5_K_M, Q5_1, Q8_0, Q8_0",
    "Q6_K, Q8_0, Q8_0, Q8_0",
  })
  void fallsBackWhereRowsAreNoWholeBlocks(
      GgufQuantisation kind, GgufType query, GgufType value, GgufType head) {
    Path source = model(TinyModel.config("llama").intermediateSize(80));
    Path file = folder.resolve("model.gguf");

    GgufExport.builder(source).quantise(kind).build().write(file);

    try (GgufFile written = GgufFile.open(file)) {
      assertThat(written.tensor("blk.0.attn_q.weight").type()).isEqualTo(query);
      assertThat(written.tensor("blk.1.attn_v.weight").type()).isEqualTo(value);
      assertThat(written.tensor("output.weight").type()).isEqualTo(head);
      assertThat(written.tensor("blk.0.ffn_down.weight").type()).isEqualTo(GgufType.F16);
    }
  }

  @Test
  void refusesOneTypeAndAMixtureAtOnce() {
    GgufExport.Builder both =
        GgufExport.builder(folder).type(GgufType.F16).quantise(GgufQuantisation.Q6_K);

    assertThatThrownBy(both::build)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("type F16 and quantise Q6_K exclude each other");
  }

  private static ModelConfig.Builder wide(String family, int layers) {
    return TinyModel.config(family)
        .hiddenSize(256)
        .intermediateSize(512)
        .headDim(64)
        .numHiddenLayers(layers);
  }

  @Test
  void refusesToGuessAPreTokenizer() {
    ObjectNode tokenizer = TinyModel.byteLevel(GgufPreTokenizer.QWEN2);
    ((ObjectNode) tokenizer.at("/pre_tokenizer/pretokenizers/0/pattern")).put("Regex", "\\s+");
    Path source = model(TinyModel.config("llama"), tokenizer);
    Path file = folder.resolve("model.gguf");

    assertThatThrownBy(() -> GgufExport.builder(source).build().write(file))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageContainingAll("pre_tokenizer", "\\s+", "preTokenizer(name)");

    GgufExport.builder(source).preTokenizer("mine").build().write(file);
    try (GgufFile written = GgufFile.open(file)) {
      assertThat(written.metadata().string("tokenizer.ggml.pre")).contains("mine");
    }
    assertThatThrownBy(
            () -> {
              GgufExport.builder(source)
                  .preTokenizer("mine")
                  .embedTokenizerJson(false)
                  .replaceExisting(true)
                  .build()
                  .write(file);
              GgufImport.builder(file).build().write(folder.resolve("back"));
            })
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageContainingAll("'mine'", "qwen2", "preTokenizer(name)");
  }

  @Test
  void refusesATokenizerLargerThanTheModel() {
    Path source = model(TinyModel.config("llama").vocabSize(100));

    assertThatThrownBy(() -> export(source, GgufType.F32))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContainingAll("100 rows", "vocab_size");
  }

  @Test
  void refusesWhatLlamaCppDoesNotCompute() {
    Path source = model(TinyModel.config("llama").ropeScaling(RopeScaling.dynamic(2)));

    assertThatThrownBy(() -> export(source, GgufType.F32))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageContaining("dynamic");
    assertThatThrownBy(() -> GgufExport.builder(source).type(GgufType.Q4_K).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContainingAll("Q4_K", "Q8_0");
  }

  @Test
  void leavesAnExistingFileAloneUnlessToldOtherwise() throws IOException {
    Path source = model(TinyModel.config("llama"));
    Path file = Files.writeString(folder.resolve("model.gguf"), "precious");

    assertThatThrownBy(() -> export(source, GgufType.F32))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("replaceExisting(true)");
    assertThat(file).hasContent("precious");

    GgufExport.builder(source).replaceExisting(true).build().write(file);
    try (GgufFile replaced = GgufFile.open(file);
        Stream<Path> left = Files.list(folder)) {
      assertThat(replaced.tensors()).isNotEmpty();
      assertThat(left).containsExactlyInAnyOrder(source, file);
    }
  }

  @Test
  void leavesNothingBehindWhenATensorFails() throws IOException {
    Path file = folder.resolve("out").resolve("model.gguf");
    List<GgufTensor> tensors =
        List.of(
            GgufTensor.of("a", GgufType.F32, List.of(8L)),
            GgufTensor.of("b", GgufType.F32, List.of(8L)));

    assertThatThrownBy(
            () ->
                new GgufWriter(file, java.util.Map.of(), tensors)
                    .write(
                        false,
                        2,
                        (tensor, out) -> {
                          if (tensor.name().equals("b")) {
                            throw new IOException("disk full");
                          }
                          out.write(ByteBuffer.allocate(32));
                        }))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("disk full");
    try (Stream<Path> left = Files.list(file.getParent())) {
      assertThat(left).isEmpty();
    }
  }

  @Test
  void removesWhatAKilledWriteLeft() throws IOException {
    Path leftover = Files.createDirectory(folder.resolve(".model.gguf.tmp-0123456789abcdef"));
    Files.writeString(leftover.resolve("model.gguf"), "half");

    export(model(TinyModel.config("llama")), GgufType.F16);

    assertThat(leftover).doesNotExist();
  }

  @Test
  void labelsSizes() {
    assertThat(GgufExport.sizeLabel(134_515_008)).isEqualTo("135M");
    assertThat(GgufExport.sizeLabel(1_235_814_400)).isEqualTo("1.2B");
    assertThat(GgufExport.sizeLabel(70_553_706_496L)).isEqualTo("71B");
  }
}
