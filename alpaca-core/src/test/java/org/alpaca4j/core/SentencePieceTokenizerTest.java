package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Folders that have no tokenizer.json, but SentencePiece's tokenizer.model. */
class SentencePieceTokenizerTest {
  @TempDir Path folder;

  private Tokenizer load(SentencePieceModels model) throws IOException {
    Files.write(folder.resolve("tokenizer.model"), model.toBytes());
    return Tokenizer.load(folder);
  }

  @Test
  void aTextBecomesThePiecesOfTheBestScores() throws IOException {
    try (Tokenizer tokenizer = load(SentencePieceModels.hello())) {
      int[] ids = tokenizer.encodeIds("hello he", true);
      assertThat(Arrays.stream(ids).mapToObj(tokenizer::idToToken))
          .containsExactly("<s>", "\u2581hello", "\u2581he");
      assertThat(tokenizer.decode(ids, true)).isEqualTo("hello he");
    }
  }

  @Test
  void aCharacterWithoutAPieceBecomesItsBytes() throws IOException {
    try (Tokenizer tokenizer = load(SentencePieceModels.hello())) {
      int[] ids = tokenizer.encodeIds("h\u00e9", false);
      assertThat(Arrays.stream(ids).mapToObj(tokenizer::idToToken))
          .containsExactly("\u2581", "h", "<0xC3>", "<0xA9>");
      assertThat(tokenizer.decode(ids, true)).isEqualTo("h\u00e9");
    }
  }

  @Test
  void specialTokensHaveTheirRolesAndThereIsNoPad() throws IOException {
    try (Tokenizer tokenizer = load(SentencePieceModels.hello())) {
      assertThat(tokenizer.unkId()).hasValue(0);
      assertThat(tokenizer.bosId()).hasValue(1);
      assertThat(tokenizer.eosId()).hasValue(2);
      assertThat(tokenizer.padId()).isEmpty();
      assertThat(tokenizer.prefixIds()).containsExactly(1);
      assertThat(tokenizer.suffixIds()).isEmpty();
    }
  }

  @Test
  void savedItIsAHuggingFaceTokenizer() throws IOException {
    Path saved = folder.resolve("saved");
    try (Tokenizer tokenizer = load(SentencePieceModels.hello())) {
      tokenizer.save(saved);
      assertThat(saved.resolve("tokenizer.model")).exists();
      Files.delete(saved.resolve("tokenizer.model"));
      try (Tokenizer again = Tokenizer.load(saved)) {
        assertThat(again.encodeIds("hello", true)).isEqualTo(tokenizer.encodeIds("hello", true));
        assertThat(again.eosId()).hasValue(2);
      }
    }
  }

  @Test
  void theConfigurationBesideItDecides() throws IOException {
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        "{\"add_bos_token\": false, \"add_eos_token\": true, \"bos_token\": \"\","
            + " \"pad_token\": \"[PAD]\"}");
    try (Tokenizer tokenizer = load(SentencePieceModels.hello())) {
      assertThat(tokenizer.prefixIds()).isEmpty();
      assertThat(tokenizer.suffixIds()).containsExactly(2);
      assertThat(tokenizer.bosId()).hasValue(1);
      assertThat(tokenizer.padId()).hasValue(270);
    }
  }

  @Test
  void withoutADummyPrefixATextBeginsAsItIs() throws IOException {
    try (Tokenizer tokenizer = load(SentencePieceModels.hello().normalizer(3, 0))) {
      int[] ids = tokenizer.encodeIds("hello", false);
      assertThat(Arrays.stream(ids).mapToObj(tokenizer::idToToken)).containsExactly("hello");
      assertThat(tokenizer.decode(ids, true)).isEqualTo("hello");
    }
  }

  private Tokenizer load(SentencePieceModels model, String config) throws IOException {
    Files.writeString(folder.resolve("tokenizer_config.json"), config);
    return load(model);
  }

  private static List<String> tokens(Tokenizer tokenizer, String text) {
    return Arrays.stream(tokenizer.encodeIds(text, false)).mapToObj(tokenizer::idToToken).toList();
  }

  @Test
  void aUnigramModelTakesTheMostProbablePieces() throws IOException {
    SentencePieceModels model = new SentencePieceModels().trainer(3, 1);
    model.piece("<unk>", 0, 2).piece("<s>", 0, 3).piece("</s>", 0, 3);
    model.piece("\u2581a", -3, 1).piece("bc", -1, 1).piece("\u2581ab", -1, 1);
    model.piece("c", -4, 1).piece("cc", -2, 5).piece("b", -5, 1);
    try (Tokenizer tokenizer = load(model)) {
      assertThat(tokens(tokenizer, "abc")).containsExactly("\u2581a", "bc");
      assertThat(tokens(tokenizer, "ab")).containsExactly("\u2581ab");
      // An unused piece stands for nothing.
      assertThat(tokens(tokenizer, "abcc")).containsExactly("\u2581a", "bc", "c");
    }
  }

  @Test
  void spacesAreRemovedWhereTheModelSaysSo() throws IOException {
    try (Tokenizer tokenizer = load(SentencePieceModels.hello().normalizer(4, 1))) {
      assertThat(tokens(tokenizer, "  hello   he ")).containsExactly("\u2581hello", "\u2581he");
      assertThat(tokenizer.encodeIds("  ", false)).isEmpty();
    }
  }

  /** A table of 512 places, by which H becomes h. */
  private static byte[] lowerCaseH(int place, int text) {
    ByteBuffer table =
        ByteBuffer.allocate(4 + 512 * 4 + 2).order(ByteOrder.LITTLE_ENDIAN).putInt(512 * 4);
    int leaf = 256;
    table.putInt(4 + 'H' * 4, (place ^ 'H') << 10 | 1 << 8 | 'H');
    table.putInt(4 + leaf * 4, 1 << 31 | text);
    return table.put(4 + 512 * 4, (byte) 'h').array();
  }

  @Test
  void charactersAreRewrittenAsTheModelSays() throws IOException {
    try (Tokenizer tokenizer = load(SentencePieceModels.hello().characterMap(lowerCaseH(256, 0)))) {
      assertThat(tokens(tokenizer, "Hello He")).containsExactly("\u2581hello", "\u2581he");
    }
  }

  @Test
  void aTableOfCharactersThatLeadsOutOfItselfIsRefused() {
    for (byte[] damaged :
        List.of(
            new byte[3],
            new byte[400],
            lowerCaseH(512, 0),
            lowerCaseH(256, 2),
            Arrays.copyOf(lowerCaseH(256, 0), 1000))) {
      assertRefused(SentencePieceModels.hello().characterMap(damaged), "precompiled_charsmap");
    }
    byte[] noText = lowerCaseH(256, 0);
    noText[noText.length - 2] = (byte) 0x80;
    assertRefused(SentencePieceModels.hello().characterMap(noText), "no UTF-8");
  }

  @Test
  void userDefinedPiecesOfAPythonClassAreFoundInsideAText() throws IOException {
    SentencePieceModels model =
        SentencePieceModels.hello().piece("<reserved_1>", 0, 4).piece("\u2581\u2581", 0, 4);
    try (Tokenizer tokenizer =
        load(model, "{\"tokenizer_class\": \"BaichuanTokenizer\", \"add_bos_token\": false}")) {
      // SentencePiece begins a text with a space, not what follows a piece.
      assertThat(tokens(tokenizer, "<reserved_1>hello  he"))
          .containsExactly("\u2581", "<reserved_1>", "hello", "\u2581\u2581", "he");
      assertThat(tokenizer.prefixIds()).isEmpty();
      assertThat(tokenizer.specialTokens()).doesNotContain("<reserved_1>");
    }
  }

  @Test
  void userDefinedPiecesOfLlamaAreAddedTokens() throws IOException {
    SentencePieceModels model =
        SentencePieceModels.hello().piece("<turn>", 0, 4).piece("\u2581\u2581", 0, 4);
    try (Tokenizer tokenizer = load(model, "{\"tokenizer_class\": \"LlamaTokenizer\"}")) {
      assertThat(tokens(tokenizer, "<turn>hello")).containsExactly("<turn>", "\u2581hello");
      assertThat(tokens(tokenizer, " hello")).containsExactly("\u2581\u2581", "hello");
    }
  }

  @Test
  void withoutLegacyBehaviourOnlyTheTextBeginsWithASpace() throws IOException {
    try (Tokenizer tokenizer =
        load(
            SentencePieceModels.hello(),
            "{\"tokenizer_class\": \"LlamaTokenizer\", \"legacy\": false}")) {
      assertThat(tokens(tokenizer, "hello</s>hello"))
          .containsExactly("\u2581hello", "</s>", "hello");
    }
  }

  @Test
  void aPrefixSpaceCanBeTurnedOff() throws IOException {
    try (Tokenizer tokenizer =
        load(
            SentencePieceModels.hello(),
            "{\"tokenizer_class\": \"LlamaTokenizer\", \"add_prefix_space\": false}")) {
      assertThat(tokens(tokenizer, "hello")).containsExactly("hello");
    }
  }

  @Test
  void theConfigurationGivesPiecesOtherNames() throws IOException {
    SentencePieceModels model = SentencePieceModels.hello().piece("[UNUSED_TOKEN_146]", 0, 1);
    int id = SentencePieceModels.HELLO_SIZE;
    try (Tokenizer tokenizer =
        load(
            model,
            "{\"tokenizer_class\": \"InternLM2Tokenizer\", \"added_tokens_decoder\": {\""
                + id
                + "\": {\"content\": \"<|im_start|>\", \"special\": true}}}")) {
      assertThat(tokenizer.tokenToId("<|im_start|>")).hasValue(id);
      assertThat(tokenizer.encodeIds("<|im_start|>hello", false)).startsWith(id);
      assertThat(tokenizer.size()).isEqualTo(id + 1);
      assertThat(tokenizer.padToken()).hasValue("</s>");
      assertThat(tokenizer.prefixIds()).containsExactly(1);
    }
  }

  @Test
  void aTokenBeyondAGapHasTheIdThatTheFilesGive() throws IOException {
    Files.writeString(folder.resolve("added_tokens.json"), "{\"<far>\": 300}");
    try (Tokenizer tokenizer = load(SentencePieceModels.hello())) {
      assertThat(tokenizer.encodeIds("<far>", false)).contains(300);
      assertThat(tokenizer.requiredEmbeddingRows()).isEqualTo(301);
    }
  }

  @Test
  void aClassThatIsNotKnownIsRefusedByName() {
    assertThatThrownBy(
            () ->
                load(SentencePieceModels.hello(), "{\"tokenizer_class\": \"XGLMTokenizer\"}")
                    .close())
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("tokenizer_config.json: tokenizer_class \"XGLMTokenizer\"")
        .hasMessageContaining("LlamaTokenizer");
  }

  @Test
  void whatIsNotSupportedIsRefusedByName() {
    assertRefused(SentencePieceModels.hello().trainer(3, 3), "Word");
    assertRefused(SentencePieceModels.hello().trainer(24, 1), "treat_whitespace_as_suffix");
    assertRefused(SentencePieceModels.hello().normalizer(5, 0), "escape_whitespaces");
    assertRefused(SentencePieceModels.hello().piece("h", 0, 1), "twice");
    assertRefused(SentencePieceModels.hello().piece("x", Float.NaN, 1), "score NaN");
    assertRefused(SentencePieceModels.hello().piece("x", 0, 5), "unused");
    assertRefused(SentencePieceModels.hello().piece("x", 0, 7), "type 7");
    assertRefused(SentencePieceModels.hello().piece("x".repeat(257), 0, 1), "257 characters");
    assertRefused(SentencePieceModels.hello().piece("?", 0, 2), "2 pieces for the unknown");
    assertRefused(new SentencePieceModels(), "no pieces");
    assertRefused(new SentencePieceModels().trainer(35, 1).piece("<unk>", 0, 2), "no piece <0x00>");
  }

  private void assertRefused(SentencePieceModels model, String why) {
    assertThatThrownBy(() -> load(model).close())
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining(folder.resolve("tokenizer.model").toString())
        .hasMessageContaining(why);
  }

  @Test
  void aTiktokenVocabularyIsRefusedByName() throws IOException {
    String token = Base64.getEncoder().encodeToString("!".getBytes(StandardCharsets.UTF_8));
    Files.writeString(folder.resolve("tokenizer.model"), token + " 0\n" + token + " 1\n");
    assertThatThrownBy(() -> Tokenizer.load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("tiktoken");
  }

  @Test
  void damagedFilesGiveTokenizerExceptionsOnly() throws IOException {
    byte[] good = SentencePieceModels.hello().toBytes();
    Path file = folder.resolve("tokenizer.model");
    long seed = 20261121;
    Random random = new Random(seed);
    for (int round = 0; round < 2_000; round++) {
      byte[] bytes =
          Arrays.copyOf(good, round % 3 == 0 ? random.nextInt(good.length) : good.length);
      for (int i = random.nextInt(4); i >= 0 && bytes.length > 0; i--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
      }
      Files.write(file, bytes);
      try {
        TokenizerFiles files = TokenizerFiles.read(folder);
        TokenizerConversion made =
            TokenizerConversion.of(file, VocabularyFile.SENTENCE_PIECE, files);
        TokenizerJson.parse(made.json(), "made");
      } catch (TokenizerException expected) {
        assertThat(expected).hasMessageContaining("tokenizer.model");
      } catch (RuntimeException e) {
        throw new AssertionError("seed " + seed + ", round " + round, e);
      }
    }
  }
}
