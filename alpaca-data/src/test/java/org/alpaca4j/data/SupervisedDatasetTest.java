package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.common.primitives.Ints;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.SpecialToken;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SupervisedDatasetTest {

  private static final int IGNORE = SupervisedExample.IGNORE_INDEX;
  private static final PromptTemplate SHORT =
      PromptTemplate.of("{instruction}|{input}:", "{instruction}:");

  private static Tokenizer tokenizer;

  @TempDir Path folder;

  @BeforeAll
  static void loadTokenizer() {
    tokenizer = TestTokenizer.load();
  }

  @AfterAll
  static void closeTokenizer() {
    tokenizer.close();
  }

  @Test
  void masksExactlyTheSourceEvenWhereAMergeWouldCrossTheBorder() {
    SupervisedExample example = dataset(InstructionRecord.of("x", "Two")).get(0);

    assertThat(example.ids())
        .isEqualTo(
            Ints.concat(
                new int[] {TestTokenizer.BOS},
                TestTokenizer.bytes("x:Two"),
                new int[] {TestTokenizer.EOS}));
    assertThat(example.labels())
        .isEqualTo(
            Ints.concat(
                new int[] {IGNORE, IGNORE, IGNORE},
                TestTokenizer.bytes("Two"),
                new int[] {TestTokenizer.EOS}));
  }

  @Test
  void losesTheFirstWordInCompatibleModeAsTrainPyDoes() {
    try (Tokenizer padded = tokenizer.withMissingSpecialTokens().tokenizer()) {
      SupervisedExample example =
          SupervisedDataset.builder()
              .tokenizer(padded)
              .template(SHORT)
              .records(List.of(InstructionRecord.of("x", "Two")))
              .mode(SupervisedDataset.Mode.COMPATIBLE)
              .build()
              .get(0);

      assertThat(example.ids())
          .isEqualTo(
              Ints.concat(
                  new int[] {
                    TestTokenizer.BOS, TestTokenizer.id('x'), TestTokenizer.MERGED_COLON_T
                  },
                  TestTokenizer.bytes("wo"),
                  new int[] {TestTokenizer.EOS}));
      assertThat(example.labels())
          .isEqualTo(
              Ints.concat(
                  new int[] {IGNORE, IGNORE, IGNORE},
                  TestTokenizer.bytes("wo"),
                  new int[] {TestTokenizer.EOS}));
    }
  }

  @Test
  void supervisesTheClosingEosOfEveryExample() {
    SupervisedDataset dataset =
        dataset(InstructionRecord.of("a", ""), InstructionRecord.of("b", "c"));

    for (int i = 0; i < dataset.size(); i++) {
      int[] labels = dataset.get(i).labels();
      assertThat(labels[labels.length - 1]).isEqualTo(TestTokenizer.EOS);
    }
  }

  @Test
  void putsOneBosEvenWhenTheTemplateWritesItToo() {
    SupervisedDataset dataset =
        SupervisedDataset.builder()
            .tokenizer(tokenizer)
            .template(PromptTemplate.of("<s>{instruction}{input}", "<s>{instruction}"))
            .records(List.of(InstructionRecord.of("x", "y")))
            .build();

    assertThat(dataset.get(0).ids())
        .containsExactly(
            TestTokenizer.BOS, TestTokenizer.id('x'), TestTokenizer.id('y'), TestTokenizer.EOS);
  }

  @Test
  void refusesAPromptWithTwoBos() {
    assertThatThrownBy(
            () -> builder(InstructionRecord.of("<s><s>x", "y")).splitSpecialTokens(false).build())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("record 0")
        .hasMessageContaining("more than one begin-of-sequence token");
  }

  @Test
  void specialTokensInARecordAreTextAndCounted() {
    SupervisedDataset dataset =
        builder(InstructionRecord.of("<s>x", "y</s>z"), InstructionRecord.of("x", "y")).build();

    assertThat(dataset.get(0).ids())
        .isEqualTo(
            Ints.concat(
                new int[] {TestTokenizer.BOS},
                TestTokenizer.bytes("<s>x:y</s>z"),
                new int[] {TestTokenizer.EOS}));
    assertThat(dataset.report().specialTokensAsText()).isEqualTo(1);
  }

  @Test
  void specialTokensInARecordAreTokensWhereAskedFor() {
    SupervisedDataset dataset =
        builder(InstructionRecord.of("x", "y</s>z")).splitSpecialTokens(false).build();

    assertThat(dataset.get(0).ids())
        .isEqualTo(
            Ints.concat(
                new int[] {TestTokenizer.BOS},
                TestTokenizer.bytes("x:y"),
                new int[] {TestTokenizer.EOS},
                TestTokenizer.bytes("z"),
                new int[] {TestTokenizer.EOS}));
    assertThat(dataset.report().specialTokensAsText()).isZero();
  }

  @Test
  void saysInWhichFormItAsks() {
    SupervisedDataset dataset = dataset(InstructionRecord.of("x", "y"));
    assertThat(dataset.promptForm()).containsInstanceOf(PromptTemplate.class);
    assertThat(dataset.subset(new int[] {0}).promptForm()).isEqualTo(dataset.promptForm());
    assertThat(SupervisedDataset.of(List.of(dataset.get(0))).promptForm()).isEmpty();
  }

  @Test
  void countsWhatItCuts() {
    SupervisedDataset dataset =
        builder(InstructionRecord.of("x", "12345678"), InstructionRecord.of("x", "1"))
            .maxLength(6)
            .build();

    assertThat(dataset.report().truncated()).isEqualTo(1);
    assertThat(dataset.get(0).ids())
        .isEqualTo(Ints.concat(new int[] {TestTokenizer.BOS}, TestTokenizer.bytes("x:123")));
    assertThat(dataset.report().longest()).isEqualTo(6);
  }

  @Test
  void leavesOutTooLongExamplesWhenAskedTo() {
    SupervisedDataset dataset =
        builder(InstructionRecord.of("x", "12345678"), InstructionRecord.of("x", "1"))
            .maxLength(6)
            .onTooLong(SupervisedDataset.OnTooLong.DROP)
            .build();

    assertThat(dataset.size()).isEqualTo(1);
    assertThat(dataset.recordIndex(0)).isEqualTo(1);
    assertThat(dataset.report().tooLong()).containsExactly(0);
    assertThat(dataset.report().dropped()).isEqualTo(1);
  }

  @Test
  void refusesTooLongExamplesWhenAskedTo() {
    assertThatThrownBy(
            () ->
                builder(InstructionRecord.of("x", "1"), InstructionRecord.of("x", "12345678"))
                    .maxLength(6)
                    .onTooLong(SupervisedDataset.OnTooLong.ERROR)
                    .build())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("record 1: has 12 tokens, more than maxLength 6");
  }

  @Test
  void listsExamplesWithoutASupervisedToken() {
    SupervisedDataset dataset =
        builder(InstructionRecord.of("long prompt", "x"), InstructionRecord.of("x", "1"))
            .maxLength(6)
            .build();

    assertThat(dataset.size()).isEqualTo(1);
    assertThat(dataset.report().records()).isEqualTo(2);
    assertThat(dataset.report().fullyMasked()).containsExactly(0);
  }

  @Test
  void refusesExamplesWithoutASupervisedTokenWhenAskedTo() {
    assertThatThrownBy(
            () ->
                builder(InstructionRecord.of("long prompt", "x"))
                    .maxLength(6)
                    .onFullyMasked(SupervisedDataset.OnFullyMasked.ERROR)
                    .build())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("record 0: has no supervised token within maxLength 6");
  }

  @Test
  void refusesDataInWhichEverythingIsMasked() {
    assertThatThrownBy(() -> builder(InstructionRecord.of("long prompt", "x")).maxLength(2).build())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("no example is left of 1 records")
        .hasMessageContaining("maxLength is 2");
  }

  @Test
  void refusesEmptyData() throws IOException {
    Path file = Files.writeString(folder.resolve("empty.jsonl"), "\n");
    Path array = Files.writeString(folder.resolve("empty.json"), "[]");

    assertThatThrownBy(() -> SupervisedDataset.builder().tokenizer(tokenizer).jsonl(file).build())
        .isInstanceOf(DataException.class)
        .hasMessage(file + ": holds no record");
    assertThatThrownBy(() -> SupervisedDataset.builder().tokenizer(tokenizer).json(array).build())
        .isInstanceOf(DataException.class)
        .hasMessage(array + ": holds no record");
  }

  @Test
  void namesTheRecordWhoseTextIsBroken() {
    assertThatThrownBy(
            () -> dataset(InstructionRecord.of("x", "1"), InstructionRecord.of("x", "\uD83D")))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("record 1")
        .hasMessageContaining("unpaired surrogate");
  }

  @Test
  void refusesATokenizerWithoutEos() throws IOException {
    Path bare = Files.createDirectory(folder.resolve("bare"));
    Files.copy(TestTokenizer.folder().resolve("tokenizer.json"), bare.resolve("tokenizer.json"));
    try (Tokenizer withoutRoles = Tokenizer.load(bare)) {
      assertThatThrownBy(
              () ->
                  SupervisedDataset.builder()
                      .tokenizer(withoutRoles)
                      .records(List.of(InstructionRecord.of("a", "b")))
                      .build())
          .isInstanceOf(DataException.class)
          .hasMessageContaining("names no end-of-sequence token");
    }
  }

  @Test
  void refusesCompatibleModeWithoutAPadToken() {
    assertThatThrownBy(
            () ->
                builder(InstructionRecord.of("a", "b"))
                    .mode(SupervisedDataset.Mode.COMPATIBLE)
                    .build())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("needs a pad token")
        .hasMessageContaining("withMissingSpecialTokens");
  }

  @Test
  void refusesTwoSourcesASecondCallAndMissingProperties() {
    assertThatThrownBy(() -> builder(InstructionRecord.of("a", "b")).json(Path.of("x")))
        .hasMessage("json cannot be set: records is set already; choose one");
    assertThatThrownBy(() -> SupervisedDataset.builder().maxLength(5).maxLength(6))
        .hasMessage("maxLength is set already");
    assertThatThrownBy(
            () ->
                SupervisedDataset.builder()
                    .template(PromptTemplate.ALPACA)
                    .template(PromptTemplate.ALPACA))
        .hasMessage("template is set already");
    assertThatThrownBy(
            () ->
                SupervisedDataset.conversations()
                    .chatMl(ChatMlPreprocessor.LabelMask.QWEN)
                    .chatTemplate(ChatTemplate.of("x")))
        .hasMessage("chatTemplate cannot be set: chatMl is set already; choose one");
    assertThatThrownBy(() -> SupervisedDataset.builder().maxLength(1))
        .hasMessageContaining("maxLength must be at least 2");
    assertThatThrownBy(() -> SupervisedDataset.builder().build())
        .hasMessageContaining("tokenizer is not set");
    assertThatThrownBy(() -> SupervisedDataset.builder().tokenizer(tokenizer).build())
        .hasMessageContaining("the data is not set");
  }

  @Test
  void saysThatTheTokenizerIsClosed() {
    Tokenizer closed = TestTokenizer.load();
    closed.close();
    Conversation conversation = Conversation.of(ChatMessage.user("a"), ChatMessage.assistant("b"));
    for (DatasetBuilder<?, ?> builder :
        List.of(
            SupervisedDataset.builder()
                .tokenizer(closed)
                .records(List.of(InstructionRecord.of("a", "b"))),
            SupervisedDataset.conversations().tokenizer(closed).records(List.of(conversation)),
            SupervisedDataset.conversations()
                .tokenizer(closed)
                .chatMl(ChatMlPreprocessor.LabelMask.QWEN)
                .records(List.of(conversation)),
            SupervisedDataset.adgen()
                .tokenizer(closed)
                .records(List.of(AdgenRecord.of("a", "b"))))) {
      assertThatThrownBy(builder::build)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the tokenizer of " + TestTokenizer.folder() + " is closed");
    }
  }

  @Test
  void keepsTheOrderOfManyRecordsTokenisedInParallel() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 20_000; i++) {
      lines.append("{\"instruction\": \"x\", \"output\": \"").append(i).append("\"}\n");
    }
    Path file = Files.writeString(folder.resolve("many.jsonl"), lines);
    SupervisedDataset dataset =
        SupervisedDataset.builder().tokenizer(tokenizer).template(SHORT).jsonl(file).build();

    assertThat(dataset.size()).isEqualTo(20_000);
    for (int i : new int[] {0, 255, 256, 16_383, 16_384, 19_999}) {
      SupervisedExample example = dataset.get(i);
      assertThat(tokenizer.decode(example.ids(), true)).isEqualTo("x:" + i);
      assertThat(dataset.length(i)).isEqualTo(example.length());
      assertThat(dataset.supervisedTokens(i)).isEqualTo(example.supervisedTokens());
    }
    assertThat(dataset.report().tokens())
        .isEqualTo(IntStream.range(0, 20_000).mapToLong(dataset::length).sum());
  }

  @Test
  void readsTheFirstRecordsOnly() {
    SupervisedDataset dataset =
        builder(InstructionRecord.of("a", "1"), InstructionRecord.of("b", "2")).limit(1).build();

    assertThat(dataset.size()).isEqualTo(1);
    assertThat(dataset.report().records()).isEqualTo(1);
  }

  @Test
  void splitsBySeedWithoutLosingOrRepeatingAnExample() {
    List<InstructionRecord> records = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      records.add(InstructionRecord.of("x", Integer.toString(i)));
    }
    SupervisedDataset dataset =
        SupervisedDataset.builder().tokenizer(tokenizer).template(SHORT).records(records).build();

    SupervisedDataset.Split split = dataset.splitByRatio(0.1, 42);

    assertThat(split.eval().size()).isEqualTo(10);
    assertThat(split.train().size()).isEqualTo(90);
    int[] eval = recordIndexes(split.eval());
    int[] train = recordIndexes(split.train());
    assertThat(eval).isSorted();
    assertThat(train).isSorted();
    int[] all = Ints.concat(eval, train);
    Arrays.sort(all);
    assertThat(all).isEqualTo(IntStream.range(0, 100).toArray());
    assertThat(recordIndexes(dataset.splitByCount(10, 42).eval())).isEqualTo(eval);
    assertThat(recordIndexes(dataset.splitByCount(10, 43).eval())).isNotEqualTo(eval);
    assertThat(split.train().report().tokens() + split.eval().report().tokens())
        .isEqualTo(dataset.report().tokens());
    assertThatThrownBy(() -> dataset.splitByCount(100, 1))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void buildsChatMlConversations() {
    SupervisedDataset dataset =
        SupervisedDataset.conversations()
            .tokenizer(tokenizer)
            .chatMl(ChatMlPreprocessor.LabelMask.ASSISTANT)
            .records(
                List.of(
                    Conversation.of(ChatMessage.of("user", "q"), ChatMessage.of("assistant", "a"))))
            .build();

    assertThat(Arrays.stream(dataset.get(0).labels()).filter(label -> label != IGNORE).toArray())
        .containsExactly(TestTokenizer.id('a'), TestTokenizer.IM_END);
  }

  @Test
  void takesRolesGivenToATokenizerThatNamesNone() throws IOException {
    Path bare = Files.createDirectory(folder.resolve("roles"));
    Files.copy(TestTokenizer.folder().resolve("tokenizer.json"), bare.resolve("tokenizer.json"));
    try (Tokenizer withoutRoles = Tokenizer.load(bare);
        Tokenizer withEos = withoutRoles.withSpecialTokens(Map.of(SpecialToken.EOS, "</s>"))) {
      SupervisedDataset dataset =
          SupervisedDataset.builder()
              .tokenizer(withEos)
              .records(List.of(InstructionRecord.of("a", "b")))
              .build();
      assertThat(dataset.get(0).ids()).endsWith(TestTokenizer.id('b'), TestTokenizer.EOS);
    }
  }

  private static int[] recordIndexes(SupervisedDataset dataset) {
    return IntStream.range(0, dataset.size()).map(dataset::recordIndex).toArray();
  }

  private static SupervisedDataset.Builder builder(InstructionRecord... records) {
    return SupervisedDataset.builder()
        .tokenizer(tokenizer)
        .template(SHORT)
        .records(List.of(records));
  }

  private static SupervisedDataset dataset(InstructionRecord... records) {
    return builder(records).build();
  }
}
