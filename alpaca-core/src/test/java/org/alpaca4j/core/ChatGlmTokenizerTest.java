package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** ChatGLM's three generations, of which none has a tokenizer.json. */
class ChatGlmTokenizerTest {
  private static final List<String> SPECIAL =
      List.of("[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>");

  @TempDir Path folder;

  /** A Unigram model: 0 to 3 unk, s, /s, pad, 4 is a newline, 5 to 17 are text. */
  private static SentencePieceModels text() {
    SentencePieceModels model = new SentencePieceModels().trainer(3, 1);
    model.piece("<unk>", 0, 2).piece("<s>", 0, 3).piece("</s>", 0, 3).piece("<pad>", 0, 3);
    model.piece("<n>", 0, 4);
    model.piece("\u2581", -2, 1).piece("a", -3, 1).piece("b", -3, 1).piece("ab", -4, 1);
    model.piece("\u2581ab", -5, 1);
    for (String character : List.of("<", "i", "m", "g", "e", "_", "7", ">")) {
      model.piece(character, -9, 1);
    }
    return model;
  }

  private static SentencePieceModels withSymbols() {
    SentencePieceModels model = text();
    SPECIAL.forEach(token -> model.piece(token, 0, 3));
    model.piece("<|tab|>", 0, 4);
    for (int length = 2; length <= 80; length++) {
      model.piece("<|blank_" + length + "|>", 0, 4);
    }
    return model;
  }

  private Tokenizer load(String file, SentencePieceModels model, String config) throws IOException {
    Files.write(folder.resolve(file), model.toBytes());
    Files.writeString(folder.resolve("tokenizer_config.json"), config);
    return Tokenizer.load(folder);
  }

  private static List<String> tokens(Tokenizer tokenizer, String text, boolean special) {
    return Arrays.stream(tokenizer.encodeIds(text, special))
        .mapToObj(tokenizer::idToToken)
        .toList();
  }

  @Test
  void theFirstOnesWhiteSpaceIsSymbols() throws IOException {
    try (Tokenizer tokenizer =
        load(
            "ice_text.model",
            withSymbols(),
            "{\"tokenizer_class\": \"ChatGLMTokenizer\", \"num_image_tokens\": 0}")) {
      String text = "ab\na\t  b" + " ".repeat(81) + "ab";
      assertThat(tokens(tokenizer, text, false))
          .containsExactly(
              "\u2581ab", "<n>", "a", "<|tab|>", "<|blank_2|>", "b", "<|blank_80|>", "\u2581ab");
      assertThat(tokenizer.decode(tokenizer.encodeIds(text, false), false)).isEqualTo(text);
    }
  }

  @Test
  void theFirstOnesTextsEndInGmaskAndSop() throws IOException {
    try (Tokenizer tokenizer =
        load(
            "ice_text.model",
            withSymbols(),
            "{\"tokenizer_class\": \"ChatGLMTokenizer\", \"num_image_tokens\": 0}")) {
      assertThat(tokens(tokenizer, "ab", true)).containsExactly("\u2581ab", "[gMASK]", "<sop>");
      assertThat(tokenizer.prefixIds()).isEmpty();
      assertThat(tokenizer.suffixIds()).containsExactly(19, 22);
      assertThat(tokens(tokenizer, "ab[gMASK]<sop>", false))
          .containsExactly("\u2581ab", "[gMASK]", "<sop>");
      assertThat(tokenizer.bosToken()).hasValue("<sop>");
      assertThat(tokenizer.eosToken()).hasValue("<eop>");
      assertThat(tokenizer.padId()).hasValue(3);
      assertThat(tokenizer.decode(tokenizer.encodeIds("ab", true), true)).isEqualTo("ab");
    }
  }

  @Test
  void theFirstReleaseHasImagesFirstAndItsSymbolsLast() throws IOException {
    try (Tokenizer tokenizer =
        load(
            "ice_text.model",
            text(),
            """
            {"tokenizer_class": "ChatGLMTokenizer", "bos_token": "<sop>", "eop_token": "<eop>",
             "eos_token": "</s>", "gmask_token": "[gMASK]", "pad_token": "<pad>"}
            """)) {
      assertThat(tokenizer.encodeIds("ab\n", true)).containsExactly(20_009, 20_004, 20_019, 20_022);
      assertThat(tokenizer.tokenToId("<|tab|>")).hasValue(20_026);
      assertThat(tokenizer.tokenToId("<image_7>")).hasValue(7);
      // A character without a piece becomes its bytes, which follow the 79 runs of blanks.
      assertThat(tokenizer.encodeIds("\u00e9", false))
          .containsExactly(20_005, 20_106 + 0xC3, 20_106 + 0xA9);
      assertThat(tokenizer.eosToken()).hasValue("<eop>");
      assertThat(tokenizer.size()).isEqualTo(20_000 + 18 + 8 + 1 + 79 + 256);
      assertThat(tokens(tokenizer, "<image_7>", false)).doesNotContain("<image_7>");

      tokenizer.save(folder.resolve("saved"));
      try (Tokenizer again = Tokenizer.load(folder.resolve("saved"))) {
        assertThat(again.encodeIds("ab\n", true)).isEqualTo(tokenizer.encodeIds("ab\n", true));
        assertThat(again.eosToken()).hasValue("<eop>");
      }
    }
  }

  @Test
  void theRowsOfTheModelTellWhetherImagesComeFirst() throws IOException {
    Files.write(folder.resolve("ice_text.model"), withSymbols().toBytes());
    Files.writeString(
        folder.resolve("config.json"), "{\"model_type\": \"chatglm\", \"vocab_size\": 128}");
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      assertThat(tokenizer.encodeIds("ab", false)).containsExactly(9);
    }
  }

  @Test
  void chatGlm3sTextsFollowGmaskAndSop() throws IOException {
    try (Tokenizer tokenizer =
        load(
            "tokenizer.model",
            SentencePieceModels.hello(),
            "{\"tokenizer_class\": \"ChatGLMTokenizer\"}")) {
      int first = SentencePieceModels.HELLO_SIZE;
      assertThat(tokens(tokenizer, "hello", true)).containsExactly("[gMASK]", "sop", "\u2581hello");
      assertThat(tokenizer.prefixIds()).containsExactly(first + 1, first + 3);
      assertThat(tokenizer.tokenToId("[MASK]")).hasValue(first);
      assertThat(tokenizer.tokenToId("eop")).hasValue(first + 4);
      assertThat(tokenizer.encodeIds("<|user|>", false)).containsExactly(first + 6);
      assertThat(tokenizer.tokenToId("<|observation|>")).hasValue(first + 8);
      assertThat(tokenizer.eosToken()).hasValue("</s>");
      assertThat(tokenizer.padToken()).hasValue("<unk>");
      assertThat(tokenizer.bosToken()).isEmpty();
    }
  }

  @Test
  void sopIsAWordUnlessTheFolderSaysOtherwise() throws IOException {
    String config = "{\"tokenizer_class\": \"ChatGLMTokenizer\"";
    int sop = SentencePieceModels.HELLO_SIZE + 3;
    try (Tokenizer tokenizer = load("tokenizer.model", SentencePieceModels.hello(), config + "}")) {
      assertThat(tokenizer.encodeIds("sop", false)).doesNotContain(sop);
    }
    String added =
        ", \"added_tokens_decoder\": {\""
            + sop
            + "\": {\"content\": \"sop\", \"normalized\": true, \"special\": false}}}";
    try (Tokenizer tokenizer =
        load("tokenizer.model", SentencePieceModels.hello(), config + added)) {
      assertThat(tokens(tokenizer, "[gMASK]sop<|user|>\nhe", false))
          .startsWith("[gMASK]", "sop", "<|user|>");
      assertThat(tokenizer.encodeIds("he", true)).startsWith(sop - 2, sop);
    }
  }

  @Test
  void chatGlm2HasNoTokensForWhoSpeaks() throws IOException {
    try (Tokenizer tokenizer =
        load(
            "tokenizer.model",
            SentencePieceModels.hello(),
            "{\"tokenizer_class\": \"ChatGLMTokenizer\", \"name_or_path\":"
                + " \"THUDM/chatglm2-6b\"}")) {
      assertThat(tokenizer.tokenToId("<|user|>")).isEmpty();
      assertThat(tokenizer.size()).isEqualTo(SentencePieceModels.HELLO_SIZE + 5);
    }
  }

  @Test
  void aModelOfAnotherKindIsRefused() {
    assertThatThrownBy(
            () ->
                load(
                        "ice_text.model",
                        text().piece("[MASK]", 0, 3),
                        "{\"tokenizer_class\": \"ChatGLMTokenizer\"}")
                    .close())
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("ice_text.model: has no piece [gMASK]");
    assertThatThrownBy(
            () ->
                load("ice_text.model", withSymbols(), "{\"tokenizer_class\": \"GPT2Tokenizer\"}")
                    .close())
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("tokenizer_class \"GPT2Tokenizer\"")
        .hasMessageContaining("ice_text.model is read for ChatGLMTokenizer");
  }
}
