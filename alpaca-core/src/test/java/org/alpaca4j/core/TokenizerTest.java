package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerTest {

  private static Tokenizer tokenizer;

  @TempDir Path folder;

  @BeforeAll
  static void loadTokenizer() {
    tokenizer = Tokenizer.load(resources());
  }

  @AfterAll
  static void closeTokenizer() {
    tokenizer.close();
  }

  @Test
  void appliesMergesAndLeavesEverythingElseToBytes() {
    assertThat(tokenizer.encode("hello").ids()).containsExactly(259, 260, id('o'));
  }

  @Test
  void addsTheTemplatesTokensOnlyWhenAskedTo() {
    assertThat(tokenizer.encode("a", true))
        .isEqualTo(
            new Encoding(
                new int[] {1, id('a')},
                new int[] {0, 0},
                new int[] {0, 1},
                new boolean[] {true, false}));
    assertThat(tokenizer.encode("a").ids()).containsExactly(id('a'));
    assertThat(tokenizer.prefixIds()).containsExactly(1);
    assertThat(tokenizer.suffixIds()).isEmpty();
  }

  @Test
  void neitherTruncatesNorPadsWhateverTheFileAsksFor() {
    String longer = "0123456789".repeat(2000);

    assertThat(tokenizer.encode(longer).size()).isEqualTo(20_000);
    assertThat(tokenizer.encodeBatch(List.of("a", longer), true))
        .extracting(Encoding::size)
        .containsExactly(2, 20_001);
  }

  @Test
  void countsOffsetsInCodePoints() {
    Encoding encoding = tokenizer.encode("\uD83D\uDE00!");

    assertThat(encoding.starts()).containsExactly(0, 0, 0, 0, 1);
    assertThat(encoding.ends()).containsExactly(1, 1, 1, 1, 2);
  }

  @Test
  void decodesWithAndWithoutSpecialTokens() {
    int[] ids = tokenizer.encodeIds("<|im_start|>h\u00E9llo</s>", true);

    assertThat(tokenizer.decode(ids, false)).isEqualTo("<s><|im_start|>h\u00E9llo</s>");
    assertThat(tokenizer.decode(ids, true)).isEqualTo("h\u00E9llo");
  }

  @Test
  void keepsNullCharacters() {
    assertThat(tokenizer.decode(tokenizer.encodeIds("a\u0000b", false), false))
        .isEqualTo("a\u0000b");
  }

  @Test
  void refusesHalfACharacter() {
    assertThatThrownBy(() -> tokenizer.encode("ab\uD83D"))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("unpaired surrogate \\ud83d")
        .hasMessageContaining("index 2");
    assertThatThrownBy(() -> tokenizer.encode("\uDE00")).isInstanceOf(TokenizerException.class);
  }

  @Test
  void refusesToDecodeAnIgnoredLabel() {
    assertThatThrownBy(() -> tokenizer.decode(new int[] {5, -100}, false))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("id -100 at position 1");
  }

  @Test
  void decodesNothingForIdsBeyondTheVocabulary() {
    assertThat(tokenizer.decode(new int[] {id('a'), 100_000}, false)).isEqualTo("a");
  }

  @Test
  void keepsTheOrderOfABatch() {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      texts.add(Integer.toString(i));
    }

    List<int[]> ids = tokenizer.encodeBatchIds(texts, false);

    for (int i = 0; i < texts.size(); i++) {
      assertThat(tokenizer.decode(ids.get(i), false)).isEqualTo(texts.get(i));
    }
  }

  @Test
  void knowsRolesIdsAndSize() {
    assertThat(tokenizer.bosId()).hasValue(1);
    assertThat(tokenizer.eosToken()).hasValue("</s>");
    assertThat(tokenizer.unkId()).hasValue(0);
    assertThat(tokenizer.padId()).isEmpty();
    assertThat(tokenizer.padToken()).isEmpty();
    assertThat(tokenizer.size()).isEqualTo(265);
    assertThat(tokenizer.requiredEmbeddingRows()).isEqualTo(265);
    assertThat(tokenizer.tokenToId("he")).hasValue(259);
    assertThat(tokenizer.tokenToId("nothing")).isEmpty();
    assertThat(tokenizer.idToToken(264)).isEqualTo("<|im_end|>");
    assertThat(tokenizer.specialTokens())
        .containsExactly("<unk>", "<s>", "</s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>");
    assertThatThrownBy(() -> tokenizer.idToToken(265))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("the largest id is 264");
  }

  @Test
  void addsTokensAfterTheVocabularyAndKeepsIdsThatExist() {
    try (Tokenizer extended =
        tokenizer.withAddedTokens(
            List.of(
                AddedToken.special("[PAD]"),
                AddedToken.ordinary("he"),
                AddedToken.ordinary("[PAD]"),
                AddedToken.ordinary("<new>")))) {
      assertThat(extended.size()).isEqualTo(267);
      assertThat(extended.tokenToId("[PAD]")).hasValue(265);
      assertThat(extended.tokenToId("<new>")).hasValue(266);
      assertThat(extended.tokenToId("he")).hasValue(259);
      assertThat(extended.encodeIds("a[PAD]<new>", false)).containsExactly(id('a'), 265, 266);
      assertThat(extended.decode(new int[] {265, 266}, true)).isEqualTo("<new>");
    }
    assertThat(tokenizer.size()).isEqualTo(265);
  }

  @Test
  void addsTheMissingSpecialTokensAsTrainPyDoes() {
    Tokenizer.WithMissingTokens result = tokenizer.withMissingSpecialTokens();

    try (Tokenizer complete = result.tokenizer()) {
      assertThat(result.assigned()).isEqualTo(Map.of(SpecialToken.PAD, "[PAD]"));
      assertThat(result.newTokens()).isEqualTo(1);
      assertThat(complete.padId()).hasValue(265);
      assertThat(complete.bosId()).hasValue(1);
    }
  }

  @Test
  void addsNothingWhereNothingIsMissing() {
    try (Tokenizer complete = tokenizer.withMissingSpecialTokens().tokenizer()) {
      Tokenizer.WithMissingTokens again = complete.withMissingSpecialTokens();
      try (Tokenizer same = again.tokenizer()) {
        assertThat(again.assigned()).isEmpty();
        assertThat(again.newTokens()).isZero();
        assertThat(same.size()).isEqualTo(complete.size());
      }
    }
  }

  @Test
  void savesAnUntouchedTokenizerByteForByte() throws IOException {
    tokenizer.save(folder.resolve("saved"));

    for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
      assertThat(folder.resolve("saved").resolve(name))
          .hasSameBinaryContentAs(resources().resolve(name));
    }
  }

  @Test
  void savesAddedTokensAndRoles() {
    Path saved = folder.resolve("saved");
    try (Tokenizer complete = tokenizer.withMissingSpecialTokens().tokenizer()) {
      complete.save(saved);
    }

    try (Tokenizer reloaded = Tokenizer.load(saved)) {
      assertThat(reloaded.padId()).hasValue(265);
      assertThat(reloaded.eosId()).hasValue(2);
      assertThat(reloaded.size()).isEqualTo(266);
      assertThat(reloaded.encodeIds("[PAD]", false)).containsExactly(265);
    }
  }

  @Test
  void savesChatTemplatesUnchanged() throws IOException {
    Path source = copyOfResources();
    Files.writeString(source.resolve("chat_template.jinja"), "{{ messages }}");
    Files.createDirectory(source.resolve("additional_chat_templates"));
    Files.writeString(source.resolve("additional_chat_templates/tool_use.jinja"), "{{ tools }}");

    try (Tokenizer loaded = Tokenizer.load(source)) {
      loaded.save(folder.resolve("saved"));
    }

    assertThat(folder.resolve("saved/chat_template.jinja")).hasContent("{{ messages }}");
    assertThat(folder.resolve("saved/additional_chat_templates/tool_use.jinja"))
        .hasContent("{{ tools }}");
  }

  @Test
  void addsTokensThatOnlyTheOtherFilesName() throws IOException {
    Path source = copyOfResources();
    Files.writeString(
        source.resolve("tokenizer_config.json"),
        "{\"eos_token\": \"</s>\", \"pad_token\": \"<pad>\", \"additional_special_tokens\":"
            + " [\"<tool>\"], \"added_tokens_decoder\": {\"265\": {\"content\": \"<extra>\","
            + " \"special\": false}}}");

    try (Tokenizer loaded = Tokenizer.load(source)) {
      assertThat(loaded.tokenToId("<extra>")).hasValue(265);
      assertThat(loaded.padId()).hasValue(266);
      assertThat(loaded.tokenToId("<tool>")).hasValue(267);
      assertThat(loaded.encodeIds("<tool>", false)).containsExactly(267);
    }
  }

  @Test
  void letsTheSpecialTokensMapOverrideOldConfigurations() throws IOException {
    Path source = copyOfResources();
    Files.writeString(source.resolve("tokenizer_config.json"), "{\"eos_token\": \"<unk>\"}");
    Files.writeString(
        source.resolve("special_tokens_map.json"),
        "{\"eos_token\": {\"content\": \"</s>\"}, \"pad_token\": \"<|endoftext|>\"}");

    try (Tokenizer loaded = Tokenizer.load(source)) {
      assertThat(loaded.eosToken()).hasValue("</s>");
      assertThat(loaded.padId()).hasValue(262);
    }
  }

  @Test
  void loadsTheFileItself() {
    try (Tokenizer loaded = Tokenizer.load(resources().resolve("tokenizer.json"))) {
      assertThat(loaded.eosId()).hasValue(2);
    }
  }

  @Test
  void refusesAnAddedTokenWithoutText() throws IOException {
    String deep = "[".repeat(900) + "]".repeat(900);
    for (String token :
        List.of(
            "null", "{\"id\": 1, \"content\": \"\"}", "{\"id\": 1, \"content\": " + deep + "}")) {
      Path file = folder.resolve("tokenizer.json");
      Files.writeString(file, "{\"added_tokens\": [" + token + "], \"model\": {}}");
      assertThatThrownBy(() -> Tokenizer.load(file))
          .isInstanceOf(TokenizerException.class)
          .hasMessageContaining("an entry of added_tokens has no id or no content")
          .satisfies(e -> assertThat(e.getMessage().length()).isLessThan(400));
    }
  }

  @Test
  void saysWhatAFolderWithoutTokenizerJsonHolds() throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertThatThrownBy(() -> Tokenizer.load(empty))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining(empty + ": no tokenizer.json, ice_text.model, tokenizer.model")
        .hasMessageContaining("(it is empty)");

    Files.writeString(empty.resolve("tokenizer.model"), "x");
    assertThatThrownBy(() -> Tokenizer.load(empty))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("tokenizer.model")
        .hasMessageContaining("SentencePiece");

    assertThatThrownBy(() -> Tokenizer.load(folder.resolve("nothing")))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("does not exist");
  }

  @Test
  void refusesMalformedFiles() throws IOException {
    Path source = copyOfResources();
    Path json = source.resolve("tokenizer.json");
    byte[] good = Files.readAllBytes(json);

    Files.writeString(json, "{\"model\": {\"type\": \"Nothing\", \"vocab\": {}}}");
    assertThatThrownBy(() -> Tokenizer.load(source))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining(json.toString());

    Files.writeString(json, "{\"version\": \"1.0\"}");
    assertThatThrownBy(() -> Tokenizer.load(source))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("has no \"model\"");

    Files.writeString(json, "{\"model\": ");
    assertThatThrownBy(() -> Tokenizer.load(source))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("not readable as JSON");

    Files.write(json, good);
    Files.writeString(source.resolve("tokenizer_config.json"), "[]");
    assertThatThrownBy(() -> Tokenizer.load(source))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("tokenizer_config.json");
  }

  @Test
  void offersTheCheckpointsChatTemplate() {
    ChatTemplate template = tokenizer.chatTemplate().orElseThrow();

    assertThat(template.render(List.of(ChatMessage.user("q"))).text())
        .isEqualTo("<|im_start|>user\nq<|im_end|>\n");
    assertThat(tokenizer.chatTemplate("other")).isEmpty();
  }

  @Test
  void tellsTheChatTemplateAboutNewRoles() throws IOException {
    Path source = copyOfResources();
    Files.writeString(source.resolve("chat_template.jinja"), "{{ pad_token }}");
    try (Tokenizer plain = Tokenizer.load(source);
        Tokenizer complete = plain.withMissingSpecialTokens().tokenizer()) {
      List<ChatMessage> messages = List.of(ChatMessage.user("q"));
      assertThat(plain.chatTemplate().orElseThrow().render(messages).text()).isEmpty();
      assertThat(complete.chatTemplate().orElseThrow().render(messages).text()).isEqualTo("[PAD]");
    }
  }

  @Test
  void refusesToWorkWhenClosed() {
    Tokenizer closed = Tokenizer.load(resources());
    closed.close();
    closed.close();

    assertThatThrownBy(() -> closed.encode("a")).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> closed.decode(new int[] {5}, false))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void streamsWholeCharactersOnly() {
    StreamingDecoder decoder = tokenizer.streamingDecoder(true);
    int[] ids = tokenizer.encodeIds("h\u4F60\uD83D\uDE00", false);

    List<String> pieces = new ArrayList<>();
    for (int id : ids) {
      pieces.add(decoder.append(id));
    }

    assertThat(pieces).containsExactly("h", "", "", "\u4F60", "", "", "", "\uD83D\uDE00");
    assertThat(decoder.finish()).isEmpty();
  }

  @Test
  void streamsNothingForASkippedSpecialToken() {
    StreamingDecoder decoder = tokenizer.streamingDecoder(true);

    assertThat(decoder.append(id('a'))).isEqualTo("a");
    assertThat(decoder.append(264)).isEmpty();
    assertThat(decoder.append(id('b'))).isEqualTo("b");
  }

  @Test
  void handsOutAnUnfinishedCharacterAtTheEndAsReplacement() {
    StreamingDecoder decoder = tokenizer.streamingDecoder(true);
    byte[] bytes = "\u4F60".getBytes(StandardCharsets.UTF_8);

    assertThat(decoder.append(3 + (bytes[0] & 0xFF))).isEmpty();
    assertThat(decoder.finish()).isEqualTo("\uFFFD");
    assertThat(decoder.append(id('a'))).isEqualTo("a");
  }

  private static int id(char ascii) {
    return 3 + ascii;
  }

  private Path copyOfResources() throws IOException {
    Path copy = Files.createDirectories(folder.resolve("copy"));
    for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
      Files.copy(resources().resolve(name), copy.resolve(name));
    }
    return copy;
  }

  private static Path resources() {
    try {
      return Path.of(TokenizerTest.class.getResource("/byte-level-tokenizer").toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }
}
