package org.alpaca4j.data;

import static org.alpaca4j.data.TestTokenizer.IM_END;
import static org.alpaca4j.data.TestTokenizer.IM_START;
import static org.alpaca4j.data.TestTokenizer.bytes;
import static org.alpaca4j.data.TestTokenizer.id;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.common.primitives.Ints;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatMlPreprocessorTest {

  private static final int X = SupervisedExample.IGNORE_INDEX;
  private static final List<ChatMessage> MESSAGES =
      List.of(ChatMessage.of("user", "q"), ChatMessage.of("assistant", "ok"));

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
  void framesEveryMessage() {
    assertThat(ChatMlPreprocessor.of(tokenizer).example(MESSAGES).ids())
        .isEqualTo(
            Ints.concat(
                new int[] {IM_START},
                bytes("user\nq"),
                new int[] {IM_END, id('\n'), IM_START},
                bytes("assistant\nok"),
                new int[] {IM_END, id('\n')}));
  }

  @Test
  void learnsTheAnswerAndItsEndByDefault() {
    assertThat(labelsOfTheAnswer(ChatMlPreprocessor.LabelMask.ASSISTANT))
        .containsExactly(X, id('o'), id('k'), IM_END, X);
  }

  @Test
  void learnsTheAnswerAloneWithContentOnly() {
    assertThat(labelsOfTheAnswer(ChatMlPreprocessor.LabelMask.CONTENT_ONLY))
        .containsExactly(X, id('o'), id('k'), X, X);
  }

  @Test
  void learnsTheFramesOfAllMessagesWithQwensMask() {
    int[] labels =
        ChatMlPreprocessor.of(tokenizer, ChatMlPreprocessor.LabelMask.QWEN)
            .example(MESSAGES)
            .labels();

    assertThat(labels).startsWith(IM_START, X, X, X, X, X, X, IM_END, id('\n'), IM_START, X);
    assertThat(labels).endsWith(X, id('o'), id('k'), IM_END, id('\n'));
  }

  @Test
  void padsABatchWithEndOfText() {
    PaddedBatch batch =
        ChatMlPreprocessor.of(tokenizer)
            .batch(
                List.of(
                    new Conversation(MESSAGES), Conversation.of(ChatMessage.of("assistant", "a"))));

    assertThat(batch.inputIds()[1]).endsWith(262);
    assertThat(batch.attentionMask()[1]).endsWith(0);
  }

  @Test
  void refusesATokenizerWithoutChatMl() throws IOException {
    String json = Files.readString(TestTokenizer.folder().resolve("tokenizer.json"));
    Files.writeString(folder.resolve("tokenizer.json"), json.replace("im_start", "other"));
    try (Tokenizer other = Tokenizer.load(folder)) {
      assertThatThrownBy(() -> ChatMlPreprocessor.of(other))
          .isInstanceOf(DataException.class)
          .hasMessageContaining("has no <|im_start|>");
    }
  }

  @Test
  void refusesAnEmptyConversation() {
    assertThatThrownBy(() -> new Conversation(List.of())).isInstanceOf(DataException.class);
  }

  private static int[] labelsOfTheAnswer(ChatMlPreprocessor.LabelMask mask) {
    int[] labels = ChatMlPreprocessor.of(tokenizer, mask).example(MESSAGES).labels();
    return java.util.Arrays.copyOfRange(labels, labels.length - 5, labels.length);
  }
}
