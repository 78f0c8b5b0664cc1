package org.alpaca4j.data.similarity;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class RougeTokensTest {

  @Test
  void fitsTheTextsScript() {
    for (String latin :
        List.of("Übersetze 'naïve' 3 Mal", "Translate 你好 to English", "12 + 30", "")) {
      assertThat(RougeTokens.tokenizeFitting(latin)).isEqualTo(RougeTokens.tokenize(latin));
    }
    assertThat(RougeTokens.tokenizeFitting("用Python写诗歌与散文集锦")).contains("python", "诗", "文");
    assertThat(RougeTokens.tokenizeFitting("Стих о Весне")).containsExactly("стих", "о", "весне");
  }

  @Test
  void splitsAtWhatIsNeitherAnAsciiLetterNorADigit() {
    assertThat(RougeTokens.tokenize("Don't pay $25.00, snake_case!"))
        .containsExactly("don", "t", "pay", "25", "00", "snake", "case");
  }

  @Test
  void lowersTheLettersThatPythonLowersToAscii() {
    assertThat(RougeTokens.tokenize("\u212Aelvin \u0130stanbul"))
        .containsExactly("kelvin", "i", "stanbul");
  }

  @Test
  void findsNothingInOtherScripts() {
    assertThat(RougeTokens.tokenize("请写一首诗 …")).isEmpty();
    assertThat(RougeTokens.tokenize("")).isEmpty();
  }

  @Test
  void findsWordsOfAnyScriptIfAsked() {
    assertThat(RougeTokens.tokenizeUnicode("Élan vital; Привет, 写诗2首 हिन्दी"))
        .containsExactly("élan", "vital", "привет", "写", "诗", "2", "首", "हिन्दी");
  }
}
