package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.ChatMlPreprocessor.LabelMask;
import org.alpaca4j.data.SupervisedDataset.OnTooLong;
import org.alpaca4j.data.SupervisedDataset.Turns;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What turns weigh, from the file to the batch. */
class TurnWeightsTest {

  private static final String CHATML =
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
          + "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

  private static final String BLOCKS =
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}{% if m.role == 'assistant' %}"
          + "{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}"
          + "{% else %}{{ m.content + '<|im_end|>\\n' }}{% endif %}{% endfor %}";

  /** An answer that others follow is in capitals, so each answer has a sequence of its own. */
  private static final String SEVERAL_SEQUENCES =
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n'"
          + " + (m.content if loop.last else m.content | upper) + '<|im_end|>\\n' }}"
          + "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

  private static final Conversation CONVERSATION =
      Conversation.of(
          ChatMessage.user("1"),
          answer("ab", 0.25),
          ChatMessage.user("2"),
          answer("cd", 0),
          ChatMessage.user("3"),
          ChatMessage.assistant("ef"),
          ChatMessage.user("4"),
          answer("gh", 2));

  @TempDir Path folder;
  private final Tokenizer tokenizer = TestTokenizer.load();

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private static ChatMessage answer(String text, Number weight) {
    return new ChatMessage("assistant", text, Map.of(Conversation.WEIGHT, weight));
  }

  private SupervisedDataset.ConversationsBuilder builder(String template) {
    SupervisedDataset.ConversationsBuilder builder =
        SupervisedDataset.conversations().tokenizer(tokenizer);
    return template.isEmpty()
        ? builder.chatMl(LabelMask.ASSISTANT)
        : builder.chatTemplate(ChatTemplate.of(template));
  }

  private SupervisedExample example(String template, Conversation conversation) {
    return builder(template).records(List.of(conversation)).build().get(0);
  }

  /** The learnt tokens with their weights, such as "a0.25 b0.25". */
  private String learnt(SupervisedExample example) {
    List<String> learnt = new ArrayList<>();
    for (int t = 0; t < example.length(); t++) {
      int label = example.labels()[t];
      if (label != SupervisedExample.IGNORE_INDEX) {
        String token = label == TestTokenizer.IM_END ? "." : tokenizer.decode(ids(label), false);
        learnt.add(token + (example.weights().length == 0 ? "" : example.weights()[t]));
      }
    }
    return String.join(" ", learnt);
  }

  private static int[] ids(int... ids) {
    return ids;
  }

  @ParameterizedTest
  @ValueSource(strings = {"", CHATML, BLOCKS, SEVERAL_SEQUENCES})
  void areTheWeightsOfTheirTokens(String template) {
    SupervisedExample example = example(template, CONVERSATION);

    assertThat(learnt(example)).isEqualTo("a0.25 b0.25 .0.25 e1.0 f1.0 .1.0 g2.0 h2.0 .2.0");
    assertThat(example.starts()).hasSize(template.equals(SEVERAL_SEQUENCES) ? 3 : 1);
    assertThat(example.supervisedTokens()).isEqualTo(9);
  }

  @Test
  void areNotStoredWhereAllAreOne() {
    Conversation ones =
        Conversation.of(
            ChatMessage.user("1"), answer("ab", 1), ChatMessage.user("2"), answer("cd", 1.0));

    for (String template : List.of("", CHATML, BLOCKS)) {
      assertThat(example(template, ones).weights()).isEmpty();
      assertThat(learnt(example(template, ones))).isEqualTo("a b . c d .");
    }
  }

  @Test
  void countForTheLastTurnToo() {
    SupervisedDataset last =
        builder(CHATML).turns(Turns.LAST).records(List.of(CONVERSATION)).build();

    assertThat(learnt(last.get(0))).isEqualTo("g2.0 h2.0 .2.0");
  }

  @Test
  void areNotThoseOfTheFrameInQwensMask() {
    Conversation conversation = Conversation.of(ChatMessage.user("1"), answer("ab", 0.5));
    SupervisedExample example =
        SupervisedDataset.conversations()
            .tokenizer(tokenizer)
            .chatMl(LabelMask.QWEN)
            .records(List.of(conversation))
            .build()
            .get(0);

    assertThat(learnt(example)).endsWith("a0.5 b0.5 .1.0 \n1.0");
  }

  @ParameterizedTest
  @ValueSource(doubles = {-0.5, Double.NaN, Double.POSITIVE_INFINITY, 1e39, 1e-46})
  void areRefusedBeyondTheirRange(double weight) {
    Conversation conversation = Conversation.of(ChatMessage.user("1"), answer("ab", weight));

    assertThatThrownBy(() -> example(CHATML, conversation))
        .isInstanceOf(DataException.class)
        .hasMessage(
            "records, record 0: messages[1] has the weight "
                + weight
                + ", but a weight is 0, or a number from 1.4e-45 to 3.4e38");
  }

  @Test
  void areRefusedAsText() {
    ChatMessage text = new ChatMessage("assistant", "a", Map.of(Conversation.WEIGHT, "0.5"));

    assertThatThrownBy(() -> example("", Conversation.of(ChatMessage.user("1"), text)))
        .hasMessageContaining("messages[1] has the weight 0.5, but a weight is 0, or a number");
  }

  @Test
  void stayWithTheirTokensWhereTheEndIsCut() {
    for (String template : List.of(CHATML, SEVERAL_SEQUENCES)) {
      int toTheSecond = example(template, CONVERSATION).sequences().get(0).length();
      SupervisedExample cut =
          builder(template)
              .records(List.of(CONVERSATION))
              .maxLength(template.equals(CHATML) ? toTheSecond - 3 : toTheSecond - 2)
              .build()
              .get(0);

      assertThat(learnt(cut))
          .isEqualTo(template.equals(CHATML) ? "a0.25 b0.25 .0.25 e1.0 f1.0 .1.0 g2.0" : "a0.25");
    }
  }

  @Test
  void stayWithTheirTokensWhereOldTurnsAreLeftOut() {
    SupervisedExample shorter =
        builder(CHATML)
            .records(List.of(CONVERSATION))
            .maxLength(example(CHATML, CONVERSATION).length() - 1)
            .onTooLong(OnTooLong.DROP_TURNS)
            .build()
            .get(0);

    assertThat(learnt(shorter)).isEqualTo("e1.0 f1.0 .1.0 g2.0 h2.0 .2.0");
  }

  @Test
  void areReadFromFilesOfBothLayouts() throws IOException {
    Path messages =
        write(
            "m.jsonl",
            "{'messages':[{'role':'user','content':'1'},"
                + "{'role':'assistant','content':'a','weight':0.25},{'role':'user','content':'2'},"
                + "{'role':'assistant','content':'b','loss':true}]}");
    Path shareGpt =
        write(
            "s.jsonl",
            "{'conversations':[{'from':'human','value':'1'},"
                + "{'from':'gpt','value':'a','loss':0.25},{'from':'human','value':'2'},"
                + "{'from':'gpt','value':'b','train':1}]}");

    for (Path file : List.of(messages, shareGpt)) {
      assertThat(learnt(builder(CHATML).file(file).build().get(0)))
          .isEqualTo("a0.25 .0.25 b1.0 .1.0");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "'weight:-1', 'the number -1'",
    "'loss:1e39', 'the number 1.0E39'",
    "'train:1e-50', 'the number 1.0E-50'",
    "'train:~yes~', '\"yes\"'",
    "'loss:[1]', 'an array'",
  })
  void areRefusedWithFileAndLine(String field, String found) throws IOException {
    String good = "{'messages':[{'role':'assistant','content':'a'}]}";
    Path file =
        write(
            "bad.jsonl",
            good
                + "\n"
                + good.replace("}]", ",'" + field.replace(":", "':").replace("~", "\"") + "}]"));

    assertThatThrownBy(() -> builder(CHATML).file(file).build())
        .isInstanceOf(DataException.class)
        .hasMessageContaining(file + ", line 2, record 1, field \"messages[0].")
        .hasMessageContaining(
            "expected true, false, 0, or a number from 1.4e-45 to 3.4e38, found " + found);
  }

  @Test
  void surviveTheCacheWhichIsNoLargerWithoutThem() throws IOException {
    List<Conversation> records = new ArrayList<>();
    List<Conversation> plain = new ArrayList<>();
    for (int i = 0; i < 600; i++) {
      Number weight = i % 3 == 0 ? 1 : i / 100.0f;
      records.add(Conversation.of(ChatMessage.user("q" + i), answer("ab", weight)));
      plain.add(Conversation.of(ChatMessage.user("q" + i), ChatMessage.assistant("ab")));
    }
    SupervisedDataset inMemory = builder(CHATML).records(records).build();
    Path weighted = folder.resolve("weighted");
    for (int run = 0; run < 2; run++) {
      SupervisedDataset cached = builder(CHATML).records(records).cache(weighted).build();
      assertThat(all(cached)).isEqualTo(all(inMemory));
    }
    builder(CHATML).records(plain).cache(folder.resolve("plain")).build();

    assertThat(inMemory.get(1).weights()).contains(0.01f);
    assertThat(size(weighted) - size(folder.resolve("plain"))).isEqualTo(600 * 4);
  }

  @Test
  void liveInAPageBesideTheSequencesOfAnExample() {
    SupervisedExample example = example(SEVERAL_SEQUENCES, CONVERSATION);
    SupervisedExample unweighted =
        new SupervisedExample(example.ids(), example.labels(), example.starts());
    TokenPage.Builder builder = new TokenPage.Builder();
    builder.add(0, unweighted);
    builder.add(1, example);
    TokenPage page = new TokenPage(builder.build().bytes());

    assertThat(page.example(0)).isEqualTo(unweighted);
    assertThat(page.example(1)).isEqualTo(example).isNotEqualTo(unweighted);
    assertThat(page.supervisedTokens(1)).isEqualTo(9);
    assertThat(SupervisedExample.of(example.sequences())).isEqualTo(example);
  }

  @Test
  void liveInAPageWhereTokensOfDifferentWeightsAreNeighbours() {
    int[] ids = {1, 2, 3, 4};
    SupervisedExample example = new SupervisedExample(ids, ids, new int[1], weights(1, 1, 3, 0.5f));
    TokenPage.Builder builder = new TokenPage.Builder();
    builder.add(0, example);

    assertThat(builder.build().example(0)).isEqualTo(example);
    assertThat(builder.build().supervisedTokens(0)).isEqualTo(3);
  }

  @Test
  void areThoseOfTheirTokensInBatches() {
    int x = SupervisedExample.IGNORE_INDEX;
    SupervisedExample weighted =
        new SupervisedExample(ids(5, 6, 9), ids(x, 6, 9), new int[1], weights(0, 0.5f, 3));
    SupervisedExample plain = new SupervisedExample(ids(7, 9), ids(7, 9));

    PackedBatch packed = PackedBatch.of(List.of(weighted, plain));
    assertThat(packed.weights()).containsExactly(0, 0.5f, 3, 1, 1);
    assertThat(packed.supervisedWeight()).isEqualTo(4.5); // nothing predicts the first token
    assertThat(packed).isNotEqualTo(PackedBatch.of(List.of(plain, weighted)));
    assertThat(PackedBatch.of(List.of(plain)).weights()).isEmpty();
    assertThat(PackedBatch.of(List.of(plain)).supervisedWeight()).isEqualTo(1);

    PaddingCollator collator =
        PaddingCollator.builder().padId(0).side(PaddingCollator.Side.LEFT).build();
    assertThat(collator.collate(List.of(weighted, plain)).weights())
        .isDeepEqualTo(new float[][] {{0, 0.5f, 3}, {0, 1, 1}});
    assertThat(collator.collate(List.of(plain)).weights()).isEmpty();
    assertThat(SupervisedExample.of(List.of(plain, weighted)).weights())
        .containsExactly(1, 1, 0, 0.5f, 3);
  }

  @Test
  void ofAnExampleMustBeThoseOfItsLabels() {
    int[] labels = {SupervisedExample.IGNORE_INDEX, 2};
    for (float[] bad :
        List.of(weights(1), weights(1, 1), weights(0, 0), weights(0, -1), weights(0, 1f / 0))) {
      assertThatThrownBy(() -> new SupervisedExample(ids(1, 2), labels, new int[1], bad))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("weight");
      assertThatThrownBy(() -> new PackedBatch(ids(1, 2), labels, ids(0, 2), bad))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(new SupervisedExample(ids(1, 2), labels, new int[1], weights(0, 1)))
        .isEqualTo(new SupervisedExample(ids(1, 2), labels));
  }

  private static float[] weights(float... weights) {
    return weights;
  }

  private static List<SupervisedExample> all(SupervisedDataset dataset) {
    return IntStream.range(0, dataset.size()).mapToObj(dataset::get).toList();
  }

  private static long size(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return Files.size(files.findFirst().orElseThrow());
    }
  }

  private Path write(String name, String lines) throws IOException {
    return Files.writeString(folder.resolve(name), lines.replace('\'', '"'));
  }
}
