package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Folders that have no tokenizer.json, but GPT-2's pair of files or the first Qwen's file. */
class ByteLevelVocabularyTest {
  /** Bytes as GPT-2 writes them: a space is U+0120, a newline U+010A. */
  private static final List<String> CHARACTERS =
      List.of("h", "e", "l", "o", "1", "2", "\u0120", "\u010A", "'", "s", "\u00C3", "\u00A9");

  private static final List<String> MERGES =
      List.of("h e", "l l", "he ll", "hell o", "\u0120 hello", "1 2", "\u0120 \u0120", "' s");

  @TempDir Path folder;

  private Tokenizer pairOfFiles(String config) throws IOException {
    StringBuilder vocabulary = new StringBuilder("{");
    for (String token : CHARACTERS) {
      add(vocabulary, token);
    }
    for (String merge : MERGES) {
      add(vocabulary, merge.replace(" ", ""));
    }
    add(vocabulary, "<|endoftext|>");
    Files.writeString(folder.resolve("vocab.json"), vocabulary + "}");
    Files.writeString(
        folder.resolve("merges.txt"), "#version: 0.2\n" + String.join("\n", MERGES) + "\n");
    Files.writeString(folder.resolve("tokenizer_config.json"), config);
    return Tokenizer.load(folder);
  }

  private static void add(StringBuilder vocabulary, String token) {
    long id = vocabulary.chars().filter(c -> c == ':').count();
    vocabulary.append(id == 0 ? "\"" : ", \"").append(token).append("\": ").append(id);
  }

  private static List<String> tokens(Tokenizer tokenizer, String text) {
    return Arrays.stream(tokenizer.encodeIds(text, true)).mapToObj(tokenizer::idToToken).toList();
  }

  @Test
  void gpt2CutsTextIntoWordsAndMergesTheirBytes() throws IOException {
    try (Tokenizer tokenizer = pairOfFiles("{\"tokenizer_class\": \"GPT2Tokenizer\"}")) {
      assertThat(tokens(tokenizer, "hello hello's 12<|endoftext|>"))
          .containsExactly("hello", "\u0120hello", "'s", "\u0120", "12", "<|endoftext|>");
      assertThat(tokenizer.decode(tokenizer.encodeIds("hello hello's 12", false), false))
          .isEqualTo("hello hello's 12");
      assertThat(tokenizer.size()).isEqualTo(21);
      assertThat(tokenizer.bosId()).hasValue(20);
      assertThat(tokenizer.eosId()).hasValue(20);
      assertThat(tokenizer.unkId()).hasValue(20);
      assertThat(tokenizer.padId()).isEmpty();
    }
  }

  @Test
  void qwen2KeepsDigitsApartAndComposesCharacters() throws IOException {
    try (Tokenizer tokenizer = pairOfFiles("{\"tokenizer_class\": \"Qwen2TokenizerFast\"}")) {
      assertThat(tokens(tokenizer, "12")).containsExactly("1", "2");
      // e and U+0301 become one character, whose bytes are C3 A9.
      assertThat(tokens(tokenizer, "e\u0301")).containsExactly("\u00C3", "\u00A9");
      assertThat(tokenizer.bosId()).isEmpty();
      assertThat(tokenizer.padId()).hasValue(20);
    }
  }

  @Test
  void theConfigurationNamesTheTokensThatAreAddedAroundAText() throws IOException {
    try (Tokenizer opt =
        pairOfFiles(
            """
            {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true, "pad_token": "<pad>",
             "bos_token": {"content": "</s>", "__type": "AddedToken"}, "eos_token": "</s>",
             "unk_token": "</s>"}
            """)) {
      assertThat(tokens(opt, "hello")).containsExactly("</s>", "hello");
      assertThat(opt.prefixIds()).containsExactly(21);
      assertThat(opt.padId()).hasValue(22);
    }
  }

  @Test
  void aPrefixSpaceIsAddedWhereTheConfigurationAsksForIt() throws IOException {
    try (Tokenizer tokenizer =
        pairOfFiles("{\"tokenizer_class\": \"GPT2Tokenizer\", \"add_prefix_space\": true}")) {
      assertThat(tokens(tokenizer, "hello")).containsExactly("\u0120hello");
    }
  }

  @Test
  void addedTokensHaveTheIdsThatTheFilesGive() throws IOException {
    String decoder =
        """
        {"tokenizer_class": "CodeGenTokenizer", "added_tokens_decoder": {
         "30": {"content": "<|user|>", "special": true},
         "21": {"content": "  ", "special": false, "normalized": true}}}
        """;
    try (Tokenizer tokenizer = pairOfFiles(decoder)) {
      assertThat(tokenizer.tokenToId("<|user|>")).hasValue(30);
      assertThat(tokenizer.encodeIds("he<|user|>  he", false)).containsExactly(12, 30, 21, 12);
      assertThat(tokenizer.requiredEmbeddingRows()).isEqualTo(31);
      assertThat(tokenizer.decode(new int[] {12, 30, 21, 12}, true)).isEqualTo("he  he");
    }
  }

  @Test
  void olderFoldersNameAddedTokensInAFileOfTheirOwn() throws IOException {
    Files.writeString(folder.resolve("added_tokens.json"), "{\"<b>\": 22, \"<a>\": 21}");
    Files.writeString(folder.resolve("special_tokens_map.json"), "{\"pad_token\": \"<b>\"}");
    try (Tokenizer tokenizer = pairOfFiles("{\"tokenizer_class\": \"GPT2Tokenizer\"}")) {
      assertThat(tokenizer.encodeIds("<a><b>", false)).containsExactly(21, 22);
      assertThat(tokenizer.padId()).hasValue(22);
      assertThat(tokenizer.decode(new int[] {21, 22}, true)).isEqualTo("<a>");
    }
  }

  @Test
  void theModelsTypeTellsTheClassThatTheConfigurationLeavesOut() throws IOException {
    Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"gpt2\"}");
    try (Tokenizer tokenizer = pairOfFiles("{\"model_max_length\": 1024}")) {
      assertThat(tokens(tokenizer, "hello 12")).containsExactly("hello", "\u0120", "12");
      assertThat(tokenizer.eosId()).hasValue(20);
    }
  }

  @Test
  void aTokenizerJsonHasTheRolesOfItsClass() throws IOException {
    Path saved = folder.resolve("saved");
    try (Tokenizer tokenizer = pairOfFiles("{\"tokenizer_class\": \"GPT2Tokenizer\"}")) {
      tokenizer.save(saved);
      assertThat(saved.resolve("tokenizer_config.json"))
          .hasSameBinaryContentAs(folder.resolve("tokenizer_config.json"));
      assertThat(saved.resolve("merges.txt")).hasSameBinaryContentAs(folder.resolve("merges.txt"));
    }
    Files.delete(saved.resolve("vocab.json"));
    try (Tokenizer again = Tokenizer.load(saved)) {
      assertThat(again.eosToken()).hasValue("<|endoftext|>");
      assertThat(tokens(again, "hello")).containsExactly("hello");
    }
  }

  @Test
  void aRoleThatTheConfigurationDeniesStaysWithout() throws IOException {
    try (Tokenizer tokenizer =
        pairOfFiles("{\"tokenizer_class\": \"Qwen2Tokenizer\", \"pad_token\": null}")) {
      assertThat(tokenizer.padId()).isEmpty();
      assertThat(tokenizer.eosId()).hasValue(20);
    }
  }

  @Test
  void aClassThatIsNotKnownIsRefusedByName() throws IOException {
    assertThatThrownBy(() -> pairOfFiles("{\"tokenizer_class\": \"RobertaTokenizer\"}").close())
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining(folder.resolve("tokenizer_config.json").toString())
        .hasMessageContaining("\"RobertaTokenizer\"")
        .hasMessageContaining("GPT2Tokenizer")
        .hasMessageContaining("tokenizer.json");
    Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"bart\"}");
    assertThatThrownBy(() -> pairOfFiles("{}").close())
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("tokenizer_class is missing")
        .hasMessageContaining("\"bart\"");
  }

  @Test
  void filesThatDoNotFitTogetherAreRefusedByLine() throws IOException {
    pairOfFiles("{\"tokenizer_class\": \"GPT2Tokenizer\"}").close();
    Files.writeString(folder.resolve("merges.txt"), "#version: 0.2\nh e\nh x\n");
    assertThatThrownBy(() -> Tokenizer.load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("merges.txt: line 3, \"h x\"");

    Files.writeString(folder.resolve("vocab.json"), "{\"h\": -1}");
    assertThatThrownBy(() -> Tokenizer.load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("vocab.json: token \"h\" has the id -1");

    Files.delete(folder.resolve("merges.txt"));
    assertThatThrownBy(() -> Tokenizer.load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("vocab.json needs merges.txt beside it");
  }

  /** Ranks 0 to 8: h e l o he ll hell hello, and a space. */
  private void tiktoken(String... tokens) throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int rank = 0; rank < tokens.length; rank++) {
      String bytes =
          Base64.getEncoder().encodeToString(tokens[rank].getBytes(StandardCharsets.UTF_8));
      lines.append(bytes).append(' ').append(rank).append('\n');
    }
    Files.writeString(folder.resolve("qwen.tiktoken"), lines);
  }

  @Test
  void qwensFileGivesRanksAsIdsAndItsSpecialTokensFollow() throws IOException {
    tiktoken("h", "e", "l", "o", "he", "ll", "hell", "hello", " ");
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        """
        {"tokenizer_class": "QWenTokenizer", "auto_map": {"AutoTokenizer":
         ["tokenization_qwen.QWenTokenizer", null]}}
        """);
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      assertThat(tokenizer.encodeIds("<|im_start|>hello hel<|im_end|>", true))
          .containsExactly(10, 7, 8, 4, 2, 11);
      assertThat(tokenizer.tokenToId("<|endoftext|>")).hasValue(9);
      assertThat(tokenizer.tokenToId("<|extra_0|>")).hasValue(12);
      assertThat(tokenizer.tokenToId("<|extra_204|>")).hasValue(216);
      assertThat(tokenizer.size()).isEqualTo(217);
      assertThat(tokenizer.eosToken()).hasValue("<|endoftext|>");
      assertThat(tokenizer.padToken()).hasValue("<|endoftext|>");
      assertThat(tokenizer.decode(new int[] {7, 8, 4, 11}, true)).isEqualTo("hello he");
    }
  }

  @Test
  void thePythonFileOfAClassIsSavedWithIt() throws IOException {
    tiktoken("h", "e", "he");
    Files.writeString(folder.resolve("tokenization_qwen.py"), "raise SystemExit");
    String config =
        """
        {"tokenizer_class": "QWenTokenizer", "auto_map": {"AutoTokenizer":
         ["tokenization_qwen.QWenTokenizer", null], "AutoConfig": "c.C"}}
        """;
    Files.writeString(folder.resolve("tokenizer_config.json"), config);
    Path saved = folder.resolve("saved");
    Path extended = folder.resolve("extended");
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      tokenizer.save(saved);
      for (String file :
          List.of("qwen.tiktoken", "tokenization_qwen.py", "tokenizer_config.json")) {
        assertThat(saved.resolve(file)).hasSameBinaryContentAs(folder.resolve(file));
      }
      try (Tokenizer more = tokenizer.withAddedTokens(List.of(AddedToken.special("<new>")))) {
        more.save(extended);
      }
    }
    // Qwen's class would not know the new token.
    assertThat(extended.resolve("tokenizer_config.json"))
        .content()
        .contains("PreTrainedTokenizerFast", "AutoConfig", "\"eos_token\" : \"<|endoftext|>\"")
        .doesNotContain("AutoTokenizer");
    try (Tokenizer again = Tokenizer.load(extended)) {
      assertThat(again.tokenToId("<new>")).hasValue(3 + 208);
      assertThat(again.eosToken()).hasValue("<|endoftext|>");
    }
  }

  @Test
  void aClassWhosePythonFileIsMissingIsNotSaved() throws IOException {
    tiktoken("h", "e", "he");
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        "{\"tokenizer_class\": \"QWenTokenizer\", \"auto_map\": {\"AutoTokenizer\":"
            + " [\"tokenization_qwen.QWenTokenizer\", null]}}");
    Path saved = folder.resolve("saved");
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      tokenizer.save(saved);
    }
    assertThat(saved.resolve("tokenizer_config.json"))
        .content()
        .contains("PreTrainedTokenizerFast")
        .doesNotContain("auto_map");
  }

  @Test
  void damagedLinesOfQwensFileAreRefused() throws IOException {
    for (String lines :
        List.of("", "aA== x\n", "aA==\n", "*** 0\n", "aA== 1\n", "aA== 0\naA== 1\n", " 0\n")) {
      Files.writeString(folder.resolve("qwen.tiktoken"), lines);
      assertThatThrownBy(() -> Tokenizer.load(folder))
          .as(lines)
          .isInstanceOf(TokenizerException.class)
          .hasMessageContaining("qwen.tiktoken");
    }
  }
}
