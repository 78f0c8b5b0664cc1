package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.torch.Tensors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GeneratorTest {
  private static final int[] PROMPT = {1, 50, 60, 70, 80};
  private static final List<int[]> PROMPTS =
      List.of(PROMPT, new int[] {90}, new int[] {1, 20, 33, 47, 51, 66, 72, 88, 91});
  private static final GenerationConfig GREEDY =
      GenerationConfig.builder().maxNewTokens(24).eosTokenIds(List.of()).build();
  private static final GenerationConfig SAMPLED =
      GREEDY.toBuilder().doSample(true).temperature(1.5).topK(0).topP(0.95).seed(7).build();

  @TempDir private static Path folder;

  private static CausalLm model;

  @BeforeAll
  static void load() throws IOException {
    model = CausalLm.load(TinyModel.write(folder.resolve("tiny")));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @Test
  void givesWhatTheWholeSequenceGivesWithoutCache() {
    int[] ids = model.generator().generate(PROMPT, GREEDY).ids();

    int[] sequence = PROMPT;
    for (int id : ids) {
      assertThat(id).isEqualTo(bestAfter(sequence));
      sequence = Arrays.copyOf(sequence, sequence.length + 1);
      sequence[sequence.length - 1] = id;
    }
    assertThat(ids).hasSize(24);
  }

  private static int bestAfter(int[] ids) {
    try (NDManager scope = NDManager.newBaseManager();
        NDArray logits = model.logits(scope, ids)) {
      return (int) logits.get(ids.length - 1).argMax().getLong();
    }
  }

  @Test
  void givesABatchWhatEachPromptAloneGets() {
    requireWhatEachAloneGets(PROMPTS);
  }

  @Test
  void givesPromptsThatBeginAlikeWhatEachAloneGets() {
    int[] beginning = {1, 20, 33, 47, 51, 66, 72, 88, 91, 12};
    int[] longer = {1, 20, 33, 47, 51, 66, 72, 88, 91, 12, 7, 3};
    int[] other = {1, 20, 33, 47, 51, 66, 72, 88, 91, 12, 40};
    requireWhatEachAloneGets(List.of(longer, beginning, new int[] {90}, other, beginning));
  }

  private static void requireWhatEachAloneGets(List<int[]> prompts) {
    for (GenerationConfig config :
        List.of(
            GREEDY,
            GREEDY.toBuilder().repetitionPenalty(1.3).build(),
            GREEDY.toBuilder().numBeams(3).build())) {
      List<GenerationResult> batch = model.generator().generate(prompts, config);

      for (int i = 0; i < prompts.size(); i++) {
        assertThat(batch.get(i).ids())
            .isEqualTo(model.generator().generate(prompts.get(i), config).ids());
      }
    }
  }

  @Test
  void samplesTheSameWithTheSameSeed() {
    int[] first = model.generator().generate(PROMPT, SAMPLED).ids();

    assertThat(model.generator().generate(PROMPT, SAMPLED).ids()).isEqualTo(first);
    assertThat(model.generator().generate(PROMPT, SAMPLED.toBuilder().seed(8).build()).ids())
        .isNotEqualTo(first);
    assertThat(model.generator().generate(PROMPTS, SAMPLED).get(0).ids()).isEqualTo(first);
  }

  @Test
  void samplesGreedilyFromTheBestTokenAlone() {
    GenerationConfig config = SAMPLED.toBuilder().topK(1).build();

    assertThat(model.generator().generate(PROMPT, config).ids())
        .isEqualTo(model.generator().generate(PROMPT, GREEDY).ids());
  }

  @Test
  void decodesThePackedWeightsToTheSameIds(@TempDir Path other) throws IOException {
    try (CausalLm second = CausalLm.load(TinyModel.write(other.resolve("tiny")))) {
      second.generator().prepare();

      List<GenerationResult> results = second.generator().generate(PROMPTS, GREEDY);

      for (int i = 0; i < PROMPTS.size(); i++) {
        assertThat(results.get(i).ids())
            .isEqualTo(model.generator().generate(PROMPTS.get(i), GREEDY).ids());
      }
    }
  }

  @Test
  void noticesThatWeightsHaveChangedSinceTheyWerePacked(@TempDir Path other) throws IOException {
    try (CausalLm second = CausalLm.load(TinyModel.write(other.resolve("tiny")))) {
      second.generator().prepare();
      int[] before = second.generator().generate(PROMPT, GREEDY).ids();

      Tensors.fillNormal(Internals.loaded(second).layer(0).flat(0), 0.4, 3);

      assertThat(second.generator().generate(PROMPT, GREEDY).ids()).isNotEqualTo(before);
    }
  }

  @Test
  void endsWithAnEosToken() {
    int[] all = model.generator().generate(PROMPT, GREEDY).ids();
    int eos = all[6];
    int end = 0;
    while (all[end] != eos) {
      end++;
    }
    GenerationConfig config = GREEDY.toBuilder().eosTokenIds(List.of(eos)).build();

    List<GenerationResult> results = model.generator().generate(PROMPTS, config);

    assertThat(results.get(0).ids()).isEqualTo(Arrays.copyOf(all, end + 1));
    assertThat(results.get(0).finishReason()).isEqualTo(FinishReason.EOS);
  }

  @Test
  void endsWithAStopStringThatBeginsInOneTokenAndEndsInAnother() {
    // Ids 3 to 258 are bytes: every new token is at most a byte or two.
    GenerationConfig ascii = GREEDY.toBuilder().maxNewTokens(200).build();
    GenerationResult all = model.generator().generate(PROMPT, ascii);
    int at = asciiPair(all.text());
    String stop = all.text().substring(at, at + 3);
    GenerationConfig config = ascii.toBuilder().stopStrings(List.of("never", stop)).build();
    StringBuilder pieces = new StringBuilder();

    GenerationResult result =
        model
            .generator()
            .generate(
                PROMPT,
                config,
                (sequence, id, text) -> {
                  pieces.append(text);
                  return true;
                });

    assertThat(result.finishReason()).isEqualTo(FinishReason.STOP_STRING);
    assertThat(result.text()).isEqualTo(all.text().substring(0, all.text().indexOf(stop)));
    assertThat(pieces).hasToString(result.text());
    assertThat(result.ids()).hasSizeLessThan(all.ids().length);
    assertThat(model.tokenizer().decode(result.ids(), true)).contains(stop);
  }

  /** Where three characters stand that three tokens of a byte each stand for. */
  private static int asciiPair(String text) {
    for (int i = 3; i + 3 < text.length(); i++) {
      if (text.substring(i, i + 3).chars().allMatch(c -> c > ' ' && c < 127)) {
        return i;
      }
    }
    return 3;
  }

  @Test
  void streamsPiecesThatTogetherAreTheText() {
    StringBuilder[] pieces = {new StringBuilder(), new StringBuilder(), new StringBuilder()};
    List<List<Integer>> ids = List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());

    List<GenerationResult> results =
        model
            .generator()
            .generate(
                PROMPTS,
                SAMPLED.toBuilder().maxNewTokens(60).build(),
                (sequence, id, text) -> {
                  pieces[sequence].append(text);
                  if (id >= 0) {
                    ids.get(sequence).add(id);
                  }
                  return true;
                });

    for (int i = 0; i < results.size(); i++) {
      int[] expected = results.get(i).ids();
      assertThat(pieces[i]).hasToString(results.get(i).text());
      assertThat(pieces[i]).hasToString(model.tokenizer().decode(expected, true));
      assertThat(ids.get(i).stream().mapToInt(Integer::intValue).toArray()).isEqualTo(expected);
    }
  }

  @Test
  void stopsASequenceWhenTheListenerWantsNoMore() {
    List<GenerationResult> results =
        model.generator().generate(PROMPTS, GREEDY, (sequence, id, text) -> sequence != 1);

    assertThat(results.get(1).ids()).hasSize(1);
    assertThat(results.get(1).finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(results.get(0).ids()).isEqualTo(model.generator().generate(PROMPT, GREEDY).ids());
  }

  @Test
  void returnsTheScoresOfEachStepWhenAsked() {
    GenerationResult result =
        model.generator().generate(PROMPT, GREEDY.toBuilder().outputScores(true).build());

    assertThat(result.scores()).hasSize(24).allMatch(row -> row.length == TinyModel.VOCABULARY);
    for (int step = 0; step < 24; step++) {
      float[] row = result.scores().get(step);
      for (float score : row) {
        assertThat(score).isLessThanOrEqualTo(row[result.ids()[step]]);
      }
    }
  }

  @Test
  void countsThePromptIntoMaxLength() {
    GenerationConfig config =
        GenerationConfig.builder().eosTokenIds(List.of()).maxLength(9).build();

    assertThat(model.generator().generate(PROMPT, config).ids()).hasSize(4);
    assertThatThrownBy(() -> model.generator().generate(PROMPTS, config))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("maxLength 9");
  }

  @Test
  void refusesPromptsThatTheModelCannotRead() {
    assertThatThrownBy(() -> model.generator().generate(new int[0], GREEDY))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("empty");
    assertThatThrownBy(() -> model.generator().generate(new int[] {3, 265}, GREEDY))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("265");
  }

  @Test
  void needsATokenizerForStopStrings(@TempDir Path other) throws IOException {
    Path bare =
        new RandomCheckpoint(TinyModel.config().build())
            .dtype(DType.BF16)
            .write(other.resolve("bare"));
    try (CausalLm second = CausalLm.load(bare)) {
      assertThat(second.generator().generate(PROMPT, GREEDY).ids())
          .isEqualTo(model.generator().generate(PROMPT, GREEDY).ids());
      assertThatThrownBy(
              () ->
                  second
                      .generator()
                      .generate(PROMPT, GREEDY.toBuilder().stopStrings(List.of("x")).build()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("tokenizer");
    }
  }

  @Test
  void generatesWithBfloat16Weights() {
    try (CausalLm half =
        CausalLm.builder(folder.resolve("tiny")).precision(Precision.BFLOAT16).load()) {
      assertThat(half.generator().generate(PROMPTS, GREEDY)).allMatch(r -> r.ids().length == 24);
      half.generator().prepare();
      assertThat(half.generator().generate(PROMPTS, GREEDY)).allMatch(r -> r.ids().length == 24);
    }
  }

  @Test
  void rendersAConversationWithTheChatTemplate() {
    int[] ids =
        model.chatIds(
            List.of(ChatMessage.system("You are a helpful assistant."), ChatMessage.user("hello")));

    assertThat(model.tokenizer().decode(ids, false))
        .isEqualTo(
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
                + "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
  }

  @Test
  void rendersAnInstructionWithThePromptTemplateStoredWithTheModel(@TempDir Path other)
      throws IOException {
    Path alpaca = TinyModel.write(other.resolve("alpaca"));
    PromptTemplate.ALPACA.save(alpaca);
    Files.writeString(
        alpaca.resolve("generation_config.json"),
        "{\"max_new_tokens\": 5, \"eos_token_id\": []}",
        StandardCharsets.UTF_8);
    try (CausalLm second = CausalLm.load(alpaca)) {
      int[] ids = second.chatIds(List.of(ChatMessage.user("hello")));

      assertThat(second.tokenizer().decode(ids, false))
          .isEqualTo("<s>" + PromptTemplate.ALPACA.render("hello", null));
      assertThat(second.chat("hello")).isEqualTo(second.chat(List.of(ChatMessage.user("hello"))));
      assertThatThrownBy(
              () -> second.chat(List.of(ChatMessage.system("x"), ChatMessage.user("hello"))))
          .isInstanceOf(ChatTemplateException.class)
          .hasMessageContaining("system");
    }
  }
}
