package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.ConformanceReport;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.data.Conversation;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedDataset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a training saves carries a file that tells whether it is asked and answers as it was. */
class ConformanceTest {
  @TempDir Path folder;

  private Path out() {
    return folder.resolve("out");
  }

  private Path file() {
    return out().resolve(Conformance.FILE_NAME);
  }

  private static List<Conversation> conversations() {
    return IntStream.range(0, 40)
        .mapToObj(
            i ->
                Conversation.of(
                    ChatMessage.system("Repeat."),
                    ChatMessage.user("Say " + i),
                    ChatMessage.assistant("" + i),
                    ChatMessage.user("Again"),
                    ChatMessage.assistant(i + " again")))
        .toList();
  }

  /** Trains on conversations and saves. */
  private void train(DType saved) throws IOException {
    Path base = TextModel.write(folder.resolve("base"), 2, true);
    try (CausalLm model = CausalLm.load(base)) {
      trainer(model, conversations(model)).saveDtype(saved).build().train();
    }
  }

  private static SupervisedDataset conversations(CausalLm model) {
    return SupervisedDataset.conversations()
        .tokenizer(model.tokenizer())
        .records(conversations())
        .build();
  }

  private SftTrainer.Builder trainer(CausalLm model, SupervisedDataset dataset) {
    return SftTrainer.builder()
        .model(model)
        .dataset(dataset)
        .config(SftConfig.builder().maxSteps(12).learningRate(5e-3).batchSize(8).build())
        .outputDirectory(out());
  }

  private JsonNode json() throws IOException {
    return new ObjectMapper().readTree(file().toFile());
  }

  private static void replace(Path file, String from, String to) throws IOException {
    String text = Files.readString(file);
    assertThat(text).contains(from);
    Files.writeString(file, text.replace(from, to));
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void aSavedModelIsAsItsFileSays(DType saved) throws IOException {
    train(saved);

    ConformanceReport report = Conformance.verify(out()).requirePassed();

    assertThat(report.prompts()).hasSize(16);
    assertThat(report.weights()).isEqualTo(saved.torchName());
    assertThat(report.toString()).contains("all 16 prompts are as recorded");
    assertThat(report.maxDifference()).isLessThan(1e-5); // the numbers are of the rounded weights
  }

  @Test
  void promptsAreAskedAsTheDataAskSpreadOverThem() throws IOException {
    train(DType.F32);
    List<String> asked = new ArrayList<>();
    for (JsonNode prompt : json().get("prompts")) {
      assertThat(prompt.get("messages")).hasSize(4);
      assertThat(prompt.get("messages").get(3).get("content").textValue()).isEqualTo("Again");
      assertThat(prompt.get("text").textValue()).endsWith("<|im_start|>assistant\n");
      assertThat(prompt.get("greedy_ids").size()).isBetween(1, 16);
      asked.add(prompt.get("messages").get(1).get("content").textValue());
    }
    assertThat(asked).doesNotHaveDuplicates().hasSize(16);
    assertThat(asked.stream().filter(text -> Integer.parseInt(text.substring(4)) >= 20))
        .hasSizeBetween(4, 12);
  }

  @Test
  void recordsWithAnInputAreRenderedByThePromptTemplate() throws IOException {
    Path base = TextModel.write(folder.resolve("base"), 2, true);
    try (CausalLm model = CausalLm.load(base)) {
      SupervisedDataset dataset =
          SupervisedDataset.builder()
              .tokenizer(model.tokenizer())
              .records(List.of(new InstructionRecord("Add", "1, 2", "3")))
              .maxLength(400)
              .build();
      trainer(model, dataset).build().train();
    }
    Conformance.verify(out()).requirePassed();
    JsonNode prompt = json().get("prompts").get(0);
    assertThat(json().get("prompt_form").textValue()).isEqualTo("prompt_template");
    assertThat(prompt.get("input").textValue()).isEqualTo("1, 2");
    assertThat(prompt.get("text").textValue()).endsWith("### Input:\n1, 2\n\n### Response:");

    replace(out().resolve("prompt_template.json"), "### Input", "### Inputs");
    assertThat(Conformance.verify(out()).prompts().get(0).textEqual()).isFalse();
  }

  @Test
  void aDatasetOfTokensIsRecordedByTokens() throws IOException {
    Path base = RandomModel.write(folder.resolve("base"), RandomModel.config());
    try (CausalLm model = CausalLm.load(base)) {
      trainer(model, RandomModel.examples(20)).build().train();
    }
    assertThat(Conformance.verify(out()).requirePassed().prompts()).hasSize(16);
    assertThat(json().get("prompts").get(0).has("messages")).isFalse();
  }

  @Test
  void anotherChatTemplateIsToldByTheText() throws IOException {
    train(DType.BF16);
    replace(out().resolve("tokenizer_config.json"), "<|im_start|>", "<|im_begin|>");

    ConformanceReport report = Conformance.verify(out());

    assertThat(report.passed()).isFalse();
    assertThat(report.prompts()).allMatch(prompt -> !prompt.textEqual());
    assertThatThrownBy(report::requirePassed)
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("16 of 16 prompts are not as recorded")
        .hasMessageContaining("recorded is \"start|>")
        .hasMessageContaining("take chat_template.jinja")
        .hasMessageNotContaining("computes otherwise");
  }

  @Test
  void anotherTokenizerIsToldByTheIds() throws IOException {
    train(DType.F32);
    replace(out().resolve("tokenizer.json"), "<|im_start|>", "<|im_begin|>");

    assertThatThrownBy(() -> Conformance.verify(out()).requirePassed())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("its text is the same, but its ids differ from token 0")
        .hasMessageContaining("take the tokenizer's files")
        .hasMessageNotContaining("take chat_template.jinja");
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void otherWeightsAreToldByTheLogProbabilities(DType saved) throws IOException {
    train(saved);
    scale(out(), "model.layers.1.mlp.down_proj.weight", saved);

    ConformanceReport report = Conformance.verify(out());

    assertThat(report.passed()).isFalse();
    assertThat(report.prompts()).allMatch(prompt -> prompt.textEqual() && prompt.idsEqual());
    assertThatThrownBy(report::requirePassed)
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("computes otherwise: take weights and config.json");
  }

  /** Multiplies a matrix by -1. */
  private static void scale(Path model, String tensor, DType dtype) throws IOException {
    long offset;
    int length;
    try (Checkpoint checkpoint = Checkpoint.open(model)) {
      TensorInfo info = checkpoint.tensor(tensor);
      offset = info.offset();
      length = (int) info.byteLength();
    }
    Path file = model.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    ByteBuffer values =
        ByteBuffer.wrap(bytes, (int) offset, length).slice().order(ByteOrder.LITTLE_ENDIAN);
    for (int at = dtype.bytes() - 1; at < length; at += dtype.bytes()) {
      values.put(at, (byte) (values.get(at) ^ 0x80));
    }
    Files.write(file, bytes);
  }

  @Test
  void stepCheckpointsHaveTheirOwn() throws IOException {
    Path base = TextModel.write(folder.resolve("base"), 2, true);
    SftConfig config = SftConfig.builder().maxSteps(2).learningRate(5e-3).saveSteps(1).build();
    try (CausalLm model = CausalLm.load(base)) {
      trainer(model, conversations(model)).config(config).build().train();
    }
    Conformance.verify(out().resolve("checkpoint-1")).requirePassed();
    Conformance.verify(out()).requirePassed();
    Files.copy(
        file(),
        out().resolve("checkpoint-1").resolve(Conformance.FILE_NAME),
        StandardCopyOption.REPLACE_EXISTING);
    assertThat(Conformance.verify(out().resolve("checkpoint-1")).passed()).isFalse();
  }

  @Test
  void theFileGoesAlongUntilTheModelIsTrainedOrAskedOtherwise() throws IOException {
    train(DType.F32);
    Path again = folder.resolve("again");
    Path trained = folder.resolve("trained");
    Path asked = folder.resolve("asked");
    try (CausalLm model = CausalLm.load(out())) {
      model.save(CheckpointWriter.builder(again), DType.BF16);
      model.usePromptForm(PromptTemplate.ALPACA);
      model.save(asked);
    }
    ConformanceReport converted = Conformance.verify(again).requirePassed();
    assertThat(converted.weights()).isEqualTo("bfloat16");
    assertThat(converted.tolerance()).isGreaterThan(Conformance.verify(out()).tolerance());
    assertThat(asked.resolve(Conformance.FILE_NAME)).doesNotExist();
    try (CausalLm model = CausalLm.load(out())) {
      SftConfig config = SftConfig.builder().maxSteps(1).learningRate(5e-3).build();
      SftTrainer.builder()
          .model(model)
          .dataset(conversations(model))
          .config(config)
          .build()
          .train();
      model.save(trained);
    }
    assertThat(trained.resolve(Conformance.FILE_NAME)).doesNotExist();
  }

  @Test
  void anOldFileDoesNotStayBesideNewWeights() throws IOException {
    train(DType.F32);
    try (CausalLm model = CausalLm.load(folder.resolve("base"))) {
      trainer(model, conversations(model))
          .replaceExisting(true)
          .conformancePrompts(0)
          .build()
          .train();
    }
    assertThat(file()).doesNotExist();
    assertThatThrownBy(() -> Conformance.verify(out()))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("has no alpaca4j_conformance.json");
  }

  @Test
  void theNumberOfPromptsIsLimited() {
    assertThatThrownBy(() -> SftTrainer.builder().conformancePrompts(65))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("conformancePrompts is 65");
    assertThatThrownBy(() -> SftTrainer.builder().conformancePrompts(-1))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
