package org.alpaca4j.data.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.alpaca4j.data.similarity.RougeTokens;
import org.junit.jupiter.api.Test;

class GenerationMetricsTest {
  private static final GenerationMetrics BY_BLANKS =
      new GenerationMetrics(text -> List.of(text.split(" ")));

  @Test
  void isHundredForEqualTexts() {
    assertThat(BY_BLANKS.score("the cat sat", "the cat sat"))
        .isEqualTo(new GenerationScores(100, 100, 100, 100, 100));
  }

  @Test
  void roundsEachTextToFourPlaces() {
    GenerationScores scores = BY_BLANKS.score("a b c", "a x y");
    assertThat(scores.rouge1()).isEqualTo(33.3333);
    assertThat(scores.exactMatch()).isZero();
  }

  @Test
  void averagesOverTexts() {
    GenerationScores scores =
        BY_BLANKS.score(List.of("the cat sat", "x"), List.of("the cat sat\n", "q"));
    assertThat(scores.rouge1()).isEqualTo(50);
    assertThat(scores.exactMatch()).isEqualTo(50);
    assertThat(BY_BLANKS.score(List.of(), List.of()))
        .isEqualTo(new GenerationScores(0, 0, 0, 0, 0));
  }

  @Test
  void refusesListsOfDifferentLength() {
    assertThatThrownBy(() -> BY_BLANKS.score(List.of("a"), List.of()))
        .hasMessage("1 predictions, but 0 references");
  }

  @Test
  void hasNoRougeForATextWithoutWords() {
    assertThat(Rouge.of(List.of(" "), List.of("a")).rouge1()).isEqualTo(new Rouge.Score(0, 0, 0));
  }

  @Test
  void countsRepeatedWordsOnceInRouge1ButNotInRougeL() {
    Rouge rouge = Rouge.of(List.of("a", "a", "a", "a"), List.of("a"));
    assertThat(rouge.rouge1().precision()).isEqualTo(1);
    assertThat(rouge.rougeL().precision()).isEqualTo(0.25);
  }

  /** Values of nltk 3.10.4: sentence_bleu with SmoothingFunction().method3. */
  @Test
  void smoothesBleuOfShortTexts() {
    assertThat(Bleu.bleu4("a", "a")).isCloseTo(0.353553, within(1e-6));
    assertThat(Bleu.bleu4("\uD83D\uDE00", "\uD83D\uDE00")).isCloseTo(0.353553, within(1e-6));
    assertThat(Bleu.bleu4("", "a")).isZero();
    assertThat(Bleu.bleu4("b", "a")).isZero();
  }

  @Test
  void cutsChineseIntoWordsAndKeepsTheText() {
    Segmenter jieba = Segmenter.jieba();
    assertThat(jieba.segment("北京是中国的首都。 OK\r\n"))
        .containsExactly("北京", "是", "中国", "的", "首都", "。", " ", "OK", "\r\n");
    assertThat(jieba.segment("")).isEmpty();
  }

  @Test
  void noticesASegmenterThatDoesNotSeeTheText() {
    for (String text : List.of("请写一首诗", "напиши стихи", "GPT 是一个语言模型")) {
      assertThat(GenerationMetrics.leavesMostOut(text, RougeTokens.tokenize(text))).isTrue();
      assertThat(GenerationMetrics.leavesMostOut(text, RougeTokens.tokenizeFitting(text)))
          .isFalse();
      assertThat(new GenerationMetrics(RougeTokens::tokenizeFitting).score(text, text).rouge1())
          .isEqualTo(100);
    }
    for (String text : List.of("", "1 + 1", "a poem, Zoë")) {
      assertThat(GenerationMetrics.leavesMostOut(text, RougeTokens.tokenize(text))).isFalse();
    }
  }
}
