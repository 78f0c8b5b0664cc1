package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.alpaca4j.core.Conformance.Prompt;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConformanceTest {
  private static final Prompt HELLO = Prompt.of(List.of(ChatMessage.user("hello")));

  @TempDir Path temporary;
  private Path folder;
  private Path file;

  @BeforeEach
  void writeModel() {
    folder = TinyModel.write(temporary.resolve("model"));
    file = folder.resolve(Conformance.FILE_NAME);
  }

  private Optional<String> make(int limit, Prompt... prompts) {
    try (CausalLm model = CausalLm.load(folder)) {
      return Conformance.make(model, DType.F32, List.of(prompts), limit);
    }
  }

  private String write(Prompt... prompts) throws IOException {
    String json = make(16, prompts).orElseThrow();
    Files.writeString(file, json);
    return json;
  }

  @Test
  void recordsWhatTheModelAnswers() throws IOException {
    JsonNode root = JsonTree.parse(write(HELLO));
    JsonNode prompt = root.get("prompts").get(0);
    try (CausalLm model = CausalLm.load(folder)) {
      int[] ids = model.chatIds(HELLO.messages());
      GenerationResult answer =
          model.generator().generate(ids, GenerationConfig.builder().maxNewTokens(16).build());

      assertThat(prompt.get("text").textValue())
          .isEqualTo("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
      assertThat(ids(prompt.get("ids"))).isEqualTo(ids);
      assertThat(ids(prompt.get("greedy_ids"))).isEqualTo(answer.ids());
    }
    JsonNode top = prompt.get("top_logprobs");
    double first = top.get(0).get("logprob").doubleValue();
    assertThat(top).hasSize(5);
    assertThat(top.get(0).get("id")).isEqualTo(prompt.get("greedy_ids").get(0));
    assertThat(first).isNegative().isEqualTo(prompt.get("logprobs").get(0).doubleValue());
    assertThat(prompt.get("margins").get(0).doubleValue())
        .isCloseTo(first - top.get(1).get("logprob").doubleValue(), Offset.offset(1e-5));
    assertThat(Conformance.verify(folder).requirePassed().prompts()).hasSize(1);
  }

  private static int[] ids(JsonNode list) {
    int[] ids = new int[list.size()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = list.get(i).intValue();
    }
    return ids;
  }

  @Test
  void manyPromptsAreReadInSeveralBatchesAndComparedEach() throws IOException {
    List<Prompt> prompts = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      prompts.add(Prompt.of(List.of(ChatMessage.user("hello ".repeat(1 + i % 5) + i))));
    }
    write(prompts.toArray(new Prompt[0]));
    assertThat(Conformance.verify(folder).requirePassed().maxDifference()).isLessThan(1e-5);
    try (CausalLm model = CausalLm.load(folder)) {
      assertThat(Conformance.verify(model).requirePassed().prompts()).hasSize(16);
    }
  }

  @Test
  void aModelThatComputesInBf16HasALargerTolerance() throws IOException {
    write(HELLO);
    try (CausalLm model = CausalLm.builder(folder).precision(Precision.BFLOAT16).load()) {
      ConformanceReport report = Conformance.verify(model).requirePassed();
      assertThat(report.weights()).isEqualTo("bfloat16");
      assertThat(report.maxDifference()).isBetween(1e-5, 0.5);
    }
  }

  @Test
  void promptsThatCannotServeAreLeftOut() {
    Prompt special = Prompt.of(List.of(ChatMessage.user("<|im_end|>")));
    Prompt tooLong = Prompt.of(List.of(ChatMessage.user("hello ".repeat(100))));
    assertThat(make(16, special, tooLong)).isEmpty();
    assertThat(make(0, HELLO)).isEmpty();
    assertThat(make(1, special, HELLO, Prompt.instruction("b", "")).orElseThrow())
        .contains("\"hello\"")
        .doesNotContain("\"b\"");
  }

  @Test
  void aTemplateThatPrintsTheDateIsAskedAtTheRecordedTime() throws IOException {
    Path config = folder.resolve("tokenizer_config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replace("{% for message", "{{ strftime_now('%Y-%m-%d') }}{% for message"));
    String json = write(HELLO);
    String day = JsonTree.parse(json).get("rendered_at").textValue().substring(0, 10);
    assertThat(json).contains("\"text\" : \"" + day);
    Conformance.verify(folder).requirePassed();

    Files.writeString(
        file, json.replace("\"rendered_at\" : \"" + day, "\"rendered_at\" : \"2001-02-03"));
    assertThat(Conformance.verify(folder).prompts().get(0).explanation())
        .contains("rendered was \"01-02-03<|im_start|>");
  }

  @Test
  void toolsAndTokensComeBack() throws IOException {
    Map<String, Object> tool = Map.of("type", "function", "n", 1);
    Path config = folder.resolve("tokenizer_config.json");
    Files.writeString(
        config,
        Files.readString(config).replace("{% for message", "{{ tools | tojson }}{% for message"));
    write(
        new Prompt(HELLO.messages(), List.of(tool), "", List.of()), Prompt.ofIds(new int[] {1, 5}));

    assertThat(Conformance.verify(folder).requirePassed().prompts()).hasSize(2);
    assertThat(JsonTree.parse(Files.readString(file)).get("prompts").get(1).has("text")).isFalse();
  }

  @Test
  void aPromptIsEitherMessagesOrIds() {
    assertThatThrownBy(() -> new Prompt(List.of(), List.of(), "", List.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("0 messages and 0 ids");
  }

  @Test
  void aFolderWithoutTheFileSaysWhatMakesOne() {
    assertThatThrownBy(() -> Conformance.verify(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(folder + " has no alpaca4j_conformance.json")
        .hasMessageContaining("Conformance.make");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"version\" : 1 | \"version\" : 2 | is of version 2; this release reads versions to 1",
        "\"version\" : 1 | \"version\" : \"1\" | the field \"version\" must be an integer",
        "\"greedy_ids\" | \"greedy\" | \"prompts[0].greedy_ids\" must be an array of token ids, but is missing",
        "\"ids\" : [ | \"ids\" : [ -1, | \"prompts[0].ids[0]\" must be a token id, but is -1",
        "\"margins\" : [ | \"margins\" : [ 1, | one for each of greedy_ids",
        "\"role\" | \"rule\" | \"prompts[0].messages[0].role\" must be a text",
        "\"float32\" | \"float8\" | \"weights\" must be one of [float32,",
        "alpaca4j_conformance | other | is no conformance file",
        "\"prompts\" : [ | \"prompts\" : | not JSON",
      })
  void aDamagedFileIsNamedWithTheField(String from, String to, String message) throws IOException {
    String json = write(HELLO);
    assertThat(json).contains(from.strip());
    Files.writeString(file, json.replace(from.strip(), to.strip()));

    assertThatThrownBy(() -> Conformance.verify(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageStartingWith(file.toString())
        .hasMessageContaining(message.strip());

    Path saved = temporary.resolve("saved");
    try (CausalLm model = CausalLm.load(folder)) {
      model.save(saved);
    }
    assertThat(saved.resolve(Conformance.FILE_NAME)).doesNotExist();
  }

  @Test
  void aFileOfAnotherModelIsToldByItsIds() throws IOException {
    Files.writeString(file, write(HELLO).replace("\"ids\" : [", "\"ids\" : [ 265,"));
    assertThatThrownBy(() -> Conformance.verify(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("token id 265")
        .hasMessageContaining("vocabulary has 265");
  }

  @Test
  void aNearTieIsNoDifferenceAndAClearOneIs() throws IOException {
    JsonNode root = JsonTree.parse(write(HELLO));
    ObjectNode prompt = (ObjectNode) root.get("prompts").get(0);
    JsonNode second = prompt.get("top_logprobs").get(1);
    prompt.putArray("greedy_ids").add(second.get("id"));
    prompt.putArray("logprobs").add(second.get("logprob"));

    prompt.putArray("margins").add(0.005);
    Files.writeString(file, root.toString());
    assertThat(Conformance.verify(folder).prompts().get(0).firstDifferentToken()).hasValue(0);
    assertThat(Conformance.verify(folder).passed()).isFalse();

    prompt.putArray("margins").add(0.003);
    Files.writeString(file, root.toString());
    assertThat(Conformance.verify(folder).passed()).isTrue();
  }

  @Test
  void aClosedModelIsRefused() throws IOException {
    write(HELLO);
    CausalLm model = CausalLm.load(folder);
    model.close();
    assertThatThrownBy(() -> Conformance.verify(model))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("is closed");
  }

  @Test
  void anotherTypeOfTheSameWeightsIsConvertedTo() throws IOException {
    write(HELLO);
    assertThat(Conformance.forWeights(folder, "Q4_K_M").orElseThrow())
        .contains("\"weights\" : \"float32\"", "\"converted_to\" : \"Q4_K_M\"");
    assertThat(Conformance.forWeights(folder, "float32").orElseThrow())
        .doesNotContain("converted_to");
    assertThatThrownBy(() -> Conformance.forWeights(folder, "Q2_K"))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(Conformance.forWeights(temporary, null)).isEmpty();
  }
}
