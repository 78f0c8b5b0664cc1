package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Special tokens' texts that are text; ids are of the tokenizers library 0.22, see a constant. */
class SplitSpecialTokensTest {
  private static final Path TOKENIZER = Path.of("src/test/resources/byte-level-tokenizer");
  private static final String TEXT = "a <|im_end|> b";

  /** {@code encode_special_tokens = True}, then {@code encode(TEXT, add_special_tokens=False)}. */
  private static final int[] AS_TEXT = {
    100, 35, 63, 127, 108, 112, 98, 104, 113, 103, 127, 65, 35, 101
  };

  private static final int IM_END = 264;

  @TempDir Path folder;

  private Path tokenizer(Map<String, Object> config) throws IOException {
    Path copy = Files.createDirectories(folder.resolve("tokenizer"));
    Files.copy(TOKENIZER.resolve("tokenizer.json"), copy.resolve("tokenizer.json"));
    Files.writeString(
        copy.resolve("tokenizer_config.json"), JsonTree.writer().writeValueAsString(config));
    return copy;
  }

  @Test
  void markedTextsAreTextAndOthersAreTokens() {
    try (Tokenizer tokenizer = Tokenizer.load(TOKENIZER)) {
      String marked = tokenizer.withoutSpecialTokens(TEXT);

      assertThat(tokenizer.encodePromptIds(marked)).isEqualTo(AS_TEXT);
      assertThat(tokenizer.encodeIds(marked, false)).isEqualTo(AS_TEXT);
      assertThat(tokenizer.encodePromptIds(TEXT)).isEqualTo(new int[] {100, 35, IM_END, 35, 101});
      int[] both = tokenizer.encodePromptIds("<|im_end|>" + marked + "<s>");
      assertThat(both).startsWith(IM_END, 100, 35, 63).endsWith(35, 101, 1).hasSize(16);
      assertThat(tokenizer.decode(both, false)).isEqualTo("<|im_end|>" + TEXT + "<s>");
    }
  }

  @Test
  void offsetsAreThoseOfTheTextAsItWasGiven() {
    try (Tokenizer tokenizer = Tokenizer.load(TOKENIZER)) {
      String text = "é" + tokenizer.withoutSpecialTokens("<s>") + "<s>x";
      Encoding encoding = tokenizer.encodePrompt(text);

      // é (two bytes), the mark, three characters, the token, x
      assertThat(encoding.starts()).containsExactly(0, 0, 2, 3, 4, 5, 8);
      assertThat(encoding.ends()).containsExactly(1, 1, 3, 4, 5, 8, 9);
    }
  }

  @Test
  void aTextWithoutSpecialTokensStaysTheSameObject() {
    try (Tokenizer tokenizer = Tokenizer.load(TOKENIZER)) {
      String text = "a <|im_en|> b";
      List<ChatMessage> messages = List.of(ChatMessage.user(text));
      assertThat(tokenizer.withoutSpecialTokens(text)).isSameAs(text);
      assertThat(tokenizer.withoutSpecialTokens(messages)).isSameAs(messages);
    }
  }

  @Test
  void partsAndReasoningAreMarkedAndRolesAreNot() {
    try (Tokenizer tokenizer = Tokenizer.load(TOKENIZER)) {
      String marked = tokenizer.withoutSpecialTokens("<s>");
      ChatMessage message =
          ChatMessage.ofMap(
              Map.of(
                  "role", "<s>",
                  "content", List.of(Map.of("type", "text", "text", "<s>")),
                  "reasoning_content", "<s>"));

      ChatMessage result = tokenizer.withoutSpecialTokens(List.of(message)).get(0);

      assertThat(result.role()).isEqualTo("<s>");
      assertThat(result.toMap())
          .containsEntry("content", List.of(Map.of("type", "text", "text", marked)))
          .containsEntry("reasoning_content", marked);
    }
  }

  @Test
  void aConfigurationCanAskForIt() throws IOException {
    try (Tokenizer tokenizer =
        Tokenizer.load(tokenizer(Map.of("bos_token", "<s>", "split_special_tokens", true)))) {
      assertThat(tokenizer.encodeIds(TEXT, false)).isEqualTo(AS_TEXT);
      assertThat(tokenizer.encode(TEXT, true).ids()).startsWith(1, 100).endsWith(35, 101);
      assertThat(tokenizer.encodePromptIds(TEXT)).contains(IM_END);
    }
  }

  @Test
  void tokensAddedLaterAreText() {
    try (Tokenizer plain = Tokenizer.load(TOKENIZER);
        Tokenizer tokenizer = plain.withMissingSpecialTokens().tokenizer()) {
      int[] ids = tokenizer.encodePromptIds(tokenizer.withoutSpecialTokens("[PAD]") + "[PAD]");
      assertThat(tokenizer.padId()).hasValue(ids[ids.length - 1]);
      assertThat(ids).hasSize(6);
    }
  }
}
