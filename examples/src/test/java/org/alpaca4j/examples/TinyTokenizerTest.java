package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TinyTokenizerTest {
  private static final int BYTES_AND_SPECIAL = 256 + TinyTokenizer.SPECIAL_TOKENS.size();

  @TempDir private Path folder;

  @Test
  void mergesTheMostFrequentPairsAndPrefersTheAlphabeticallyFirst() throws IOException {
    TinyTokenizer.train(List.of("low low low lot"), BYTES_AND_SPECIAL + 3).save(folder);
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      assertThat(tokenizer.size()).isEqualTo(BYTES_AND_SPECIAL + 3);
      assertThat(tokenizer.idToToken(BYTES_AND_SPECIAL)).isEqualTo("lo");
      assertThat(tokenizer.idToToken(BYTES_AND_SPECIAL + 1)).isEqualTo("low");
      assertThat(tokenizer.idToToken(BYTES_AND_SPECIAL + 2)).isEqualTo("Ġlow");
      assertThat(tokenizer.encode("low low lo").ids()).hasSize(4);
    }
  }

  @Test
  void textsOfAnyKindComeBackUnchanged() throws IOException {
    TinyTokenizer.train(List.of("some words, some more words"), BYTES_AND_SPECIAL + 8).save(folder);
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      String text = "Some  words.\n\n### 12 naïve 你好 🦙's ";
      assertThat(tokenizer.decode(tokenizer.encodeIds(text, false), false)).isEqualTo(text);
    }
  }

  @Test
  void aTextBeginsWithBosAndTheRolesAreNamed() throws IOException {
    TinyTokenizer.train(List.of("a b"), BYTES_AND_SPECIAL).save(folder);
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      assertThat(tokenizer.encodeIds("a", true)).hasSize(2).startsWith(1);
      assertThat(tokenizer.unkId()).hasValue(0);
      assertThat(tokenizer.bosId()).hasValue(1);
      assertThat(tokenizer.eosId()).hasValue(2);
      assertThat(tokenizer.padId()).hasValue(3);
    }
  }
}
