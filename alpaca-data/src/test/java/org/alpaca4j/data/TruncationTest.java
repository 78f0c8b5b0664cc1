package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.SupervisedDataset.OnTooLong;
import org.alpaca4j.data.SupervisedDataset.Turns;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class TruncationTest {

  private static final ChatMessage SYSTEM = ChatMessage.system("s");

  private final Tokenizer tokenizer = TestTokenizer.load();

  @AfterEach
  void close() {
    tokenizer.close();
  }

  @Test
  void cutsThePromptFromTheLeftAndKeepsTheAnswerWhole() {
    SupervisedDataset dataset =
        SupervisedDataset.builder()
            .tokenizer(tokenizer)
            .template(PromptTemplate.of("{instruction}{input}", "{instruction}"))
            .records(
                List.of(
                    InstructionRecord.of("abcdefgh", "xyz"),
                    InstructionRecord.of("a", "xyz"),
                    InstructionRecord.of("abcdefgh", "vwxyzvwxyz")))
            .maxLength(8)
            .onTooLong(OnTooLong.TRUNCATE_PROMPT)
            .build();

    assertThat(tokenizer.decode(dataset.get(0).ids(), true)).isEqualTo("fghxyz");
    assertThat(dataset.get(0).ids()[0]).isEqualTo(TestTokenizer.BOS);
    assertThat(dataset.supervisedTokens(0)).isEqualTo(4);
    assertThat(dataset.report().shortened()).isEqualTo(1);
    assertThat(dataset.report().truncated()).isZero();
    assertThat(dataset.report().tooLong()).containsExactly(2);
  }

  @Test
  void leavesOutTheOldestTurnsAndKeepsTheSystemMessage() {
    Conversation conversation =
        Conversation.of(
            SYSTEM,
            ChatMessage.user("11111111"),
            ChatMessage.assistant("a"),
            ChatMessage.user("22"),
            ChatMessage.assistant("b"),
            ChatMessage.user("33"),
            ChatMessage.assistant("c"));
    SupervisedDataset whole = chat(100_000, OnTooLong.ERROR, Turns.ALL, conversation);
    SupervisedDataset dataset =
        chat(whole.length(0) - 1, OnTooLong.DROP_TURNS, Turns.ALL, conversation);

    String text = tokenizer.decode(dataset.get(0).ids(), false);
    assertThat(text).contains("system").doesNotContain("1").contains("22").contains("33");
    assertThat(dataset.report().shortened()).isEqualTo(1);

    SupervisedDataset last =
        chat(dataset.length(0) - 1, OnTooLong.DROP_TURNS, Turns.ALL, conversation);
    assertThat(tokenizer.decode(last.get(0).ids(), false)).contains("33").doesNotContain("22");

    assertThatThrownBy(() -> chat(10, OnTooLong.DROP_TURNS, Turns.ALL, conversation))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("1 too long");
  }

  @Test
  void learnsTheLastTurnOnlyOrThoseWithAWeight() {
    Conversation plain =
        Conversation.of(
            ChatMessage.user("1"),
            ChatMessage.assistant("first"),
            ChatMessage.user("2"),
            ChatMessage.assistant("second"));
    assertThat(learnt(chat(1000, OnTooLong.ERROR, Turns.ALL, plain)))
        .isEqualTo("first<|im_end|>second<|im_end|>");
    assertThat(learnt(chat(1000, OnTooLong.ERROR, Turns.LAST, plain)))
        .isEqualTo("second<|im_end|>");

    Conversation weighted =
        Conversation.of(
            ChatMessage.user("1"),
            ChatMessage.assistant("first"),
            ChatMessage.user("2"),
            new ChatMessage("assistant", "second", Map.of("weight", 0)));
    assertThat(learnt(chat(1000, OnTooLong.ERROR, Turns.ALL, weighted)))
        .isEqualTo("first<|im_end|>");
  }

  @Test
  void refusesAPolicyThatIsForOtherData() {
    assertThatThrownBy(
            () ->
                SupervisedDataset.builder()
                    .tokenizer(tokenizer)
                    .records(List.of(InstructionRecord.of("a", "b")))
                    .onTooLong(OnTooLong.DROP_TURNS)
                    .build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("onTooLong DROP_TURNS is for conversations; choose TRUNCATE_PROMPT");
  }

  @Test
  void cutsAdgensPromptAndAnswerApartAndLeavesOutEmptyRecords() {
    SupervisedDataset dataset =
        SupervisedDataset.adgen()
            .tokenizer(tokenizer)
            .prompt(AdgenPreprocessor.Prompt.QUERY_ONLY)
            .maxSourceLength(4)
            .maxTargetLength(3)
            .records(
                List.of(
                    AdgenRecord.of("abcdef", "uvwxyz"),
                    AdgenRecord.of("", "x"),
                    AdgenRecord.of("a", "b")))
            .build();

    assertThat(tokenizer.decode(dataset.get(0).ids(), true)).isEqualTo("abcuv");
    assertThat(dataset.supervisedTokens(0)).isEqualTo(3);
    assertThat(dataset.report().truncated()).isEqualTo(1);
    assertThat(dataset.report().fullyMasked()).containsExactly(1);
  }

  private SupervisedDataset chat(
      int maxLength, OnTooLong policy, Turns turns, Conversation conversation) {
    return SupervisedDataset.conversations()
        .tokenizer(tokenizer)
        .chatMl(ChatMlPreprocessor.LabelMask.ASSISTANT)
        .turns(turns)
        .records(List.of(conversation))
        .maxLength(maxLength)
        .onTooLong(policy)
        .build();
  }

  private String learnt(SupervisedDataset dataset) {
    int[] labels = dataset.get(0).labels();
    return tokenizer.decode(Arrays.stream(labels).filter(l -> l >= 0).toArray(), false);
  }
}
