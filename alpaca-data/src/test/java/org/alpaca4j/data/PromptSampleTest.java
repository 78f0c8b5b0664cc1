package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.Conformance.Prompt;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A dataset keeps a few of its prompts, as they would be asked. */
class PromptSampleTest {
  @TempDir Path folder;
  private final Tokenizer tokenizer = TestTokenizer.load();

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private SupervisedDataset.Builder instructions(int count) {
    return SupervisedDataset.builder()
        .tokenizer(tokenizer)
        .records(
            IntStream.range(0, count)
                .mapToObj(i -> new InstructionRecord("say", "" + i, "it is"))
                .toList());
  }

  private List<Prompt> sample(Conversation conversation) {
    return SupervisedDataset.conversations()
        .tokenizer(tokenizer)
        .chatMl(ChatMlPreprocessor.LabelMask.ASSISTANT)
        .thinking(SupervisedDataset.Thinking.DROP)
        .maxLength(20_000)
        .records(List.of(conversation))
        .build()
        .promptSample();
  }

  @Test
  void isSpreadOverTheRecordsHoweverFewAreTaken() {
    List<Integer> records =
        instructions(5000).build().promptSample().stream()
            .map(prompt -> Integer.parseInt(prompt.input()))
            .toList();

    assertThat(records).hasSize(64).doesNotHaveDuplicates();
    for (int count : new int[] {16, 64}) {
      long late = records.subList(0, count).stream().filter(record -> record >= 2500).count();
      assertThat(late).isBetween(count / 4L, 3L * count / 4);
    }
  }

  @Test
  void isTheSameFromACacheAndInASubset() {
    List<Prompt> expected = instructions(300).build().promptSample();
    assertThat(expected).hasSize(64);
    for (int run = 0; run < 2; run++) {
      SupervisedDataset cached = instructions(300).cache(folder).build();
      assertThat(cached.promptSample()).isEqualTo(expected);
      assertThat(cached.splitByRatio(0.1, 1).train().promptSample()).isEqualTo(expected);
    }
  }

  @Test
  void asksForTheLastAnswerWithoutWeightsAndThoughts() {
    ChatMessage first =
        new ChatMessage("assistant", "<think>so</think>b", Map.of(Conversation.WEIGHT, 1));
    List<ChatMessage> messages =
        List.of(ChatMessage.user("a"), first, ChatMessage.user("c"), ChatMessage.assistant("d"));

    assertThat(sample(new Conversation(messages)))
        .containsExactly(
            Prompt.of(
                List.of(ChatMessage.user("a"), ChatMessage.assistant("b"), ChatMessage.user("c"))));
  }

  @Test
  void asksForTheFirstAnswerWhereTheRestIsLong() {
    ChatMessage question = ChatMessage.user("a");
    assertThat(
            sample(
                Conversation.of(
                    question,
                    ChatMessage.assistant("b".repeat(5000)),
                    ChatMessage.user("c"),
                    ChatMessage.assistant("d"))))
        .containsExactly(Prompt.of(List.of(question)));
    assertThat(
            sample(Conversation.of(ChatMessage.user("a".repeat(5000)), ChatMessage.assistant("b"))))
        .isEmpty();
  }

  @Test
  void adgensPromptsAreThoseWithoutHistory() {
    AdgenRecord.Round round = new AdgenRecord.Round("q", "a");
    List<AdgenRecord> records =
        List.of(
            new AdgenRecord("c", "s", List.of(round)),
            new AdgenRecord("", "s", List.of()),
            new AdgenRecord("d", "s", List.of()));
    assertThat(
            SupervisedDataset.adgen()
                .tokenizer(tokenizer)
                .prompt(AdgenPreprocessor.Prompt.ROUNDS)
                .records(records)
                .build()
                .promptSample())
        .containsExactly(Prompt.instruction("d", ""));
  }

  @Test
  void examplesOfTokensHaveNone() {
    SupervisedExample example = new SupervisedExample(new int[] {1, 2}, new int[] {-100, 2});
    assertThat(SupervisedDataset.of(List.of(example)).promptSample()).isEmpty();
  }
}
