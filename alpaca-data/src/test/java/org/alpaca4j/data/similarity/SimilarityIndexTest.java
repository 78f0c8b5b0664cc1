package org.alpaca4j.data.similarity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SimilarityIndexTest {

  /** Queries of one word of 64 bits, of two, and of many. */
  @ParameterizedTest
  @CsvSource({"1, 12, 30", "2, 64, 200", "3, 65, 10", "4, 128, 500", "5, 129, 100", "6, 300, 300"})
  void findsWhatComparingTokenByTokenFinds(long seed, int longest, int vocabulary) {
    List<String> texts = RandomTexts.make(seed, 60, longest, vocabulary);
    SimilarityIndex index = new SimilarityIndex();
    for (int i = 0; i < texts.size(); i++) {
      String text = texts.get(i);
      List<Similarity> expected = new ArrayList<>();
      for (int j = 0; j < i; j++) {
        expected.add(new Similarity(j, RougeL.of(texts.get(j), text).fMeasure()));
      }
      double average = expected.stream().mapToDouble(Similarity::score).average().orElse(0);
      expected.sort(Comparator.comparingDouble(Similarity::score).reversed());

      Similarities found = index.query(text, 10);
      assertThat(found.mostSimilar())
          .as("seed %d, text %d", seed, i)
          .isEqualTo(expected.subList(0, Math.min(10, i)));
      assertThat(found.average()).isCloseTo(average, within(1e-15));
      assertThat(found.max()).isEqualTo(i == 0 ? 0 : expected.get(0).score());
      assertThat(index.add(text)).isEqualTo(i);
    }
  }

  @Test
  void ordersEqualScoresByIndex() {
    SimilarityIndex index = new SimilarityIndex();
    List.of("x y z", "b c", "a b", "", "a b").forEach(index::add);
    assertThat(index.query("a b", 10).mostSimilar())
        .extracting(Similarity::index)
        .containsExactly(2, 4, 1, 0, 3);
  }

  @Test
  void countsTextsWithoutACommonTokenInTheAverage() {
    SimilarityIndex index = new SimilarityIndex();
    List.of("a", "b", "", "c").forEach(index::add);
    assertThat(index.query("a", 0)).isEqualTo(new Similarities(1, 0.25, List.of()));
  }

  @Test
  void isAllZerosForATextWithoutTokens() {
    SimilarityIndex index = new SimilarityIndex();
    index.add("");
    index.add("a");
    assertThat(index.query("…", 1))
        .isEqualTo(new Similarities(0, 0, List.of(new Similarity(0, 0))));
  }

  @Test
  void isEmptyAtFirst() {
    assertThat(new SimilarityIndex().query("a", 10)).isEqualTo(new Similarities(0, 0, List.of()));
  }

  @Test
  void doesNotLetAFormerQueryShow() {
    SimilarityIndex index = new SimilarityIndex();
    index.add("a b c");
    index.query("a b c", 1);
    assertThat(index.query("x", 1).max()).isZero();
    index.query("a b c ".repeat(30), 1);
    assertThat(index.query("x ".repeat(70), 1).max()).isZero();
  }

  @Test
  void answersSeveralThreadsAtOnce() {
    List<String> texts = RandomTexts.make(7, 200, 90, 100);
    SimilarityIndex index = new SimilarityIndex();
    texts.forEach(index::add);
    List<Similarities> oneByOne = texts.stream().map(text -> index.query(text, 5)).toList();
    assertThat(
            IntStream.range(0, texts.size())
                .parallel()
                .mapToObj(i -> index.query(texts.get(i), 5))
                .toList())
        .isEqualTo(oneByOne);
  }

  @Test
  void usesTheTokenizerGiven() {
    SimilarityIndex index = new SimilarityIndex(RougeTokens::tokenizeUnicode);
    index.add("请写一首诗");
    assertThat(index.query("请写一首歌", 1).max()).isCloseTo(0.8, within(1e-15));
  }

  @Test
  void refusesANegativeTopK() {
    assertThatThrownBy(() -> new SimilarityIndex().query("a", -1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("topK");
  }
}
