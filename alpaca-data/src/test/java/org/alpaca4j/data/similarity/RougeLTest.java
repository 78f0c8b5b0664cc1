package org.alpaca4j.data.similarity;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class RougeLTest {

  @Test
  void scoresTheLongestCommonSubsequence() {
    RougeL score = RougeL.of("a b c d e f g h i j", "a b c x d e f");
    assertThat(score.precision()).isEqualTo(6 / 7.0);
    assertThat(score.recall()).isEqualTo(0.6);
    assertThat(score.fMeasure()).isEqualTo(2 * (6 / 7.0) * 0.6 / (6 / 7.0 + 0.6));
  }

  @Test
  void isZeroWithoutACommonToken() {
    assertThat(RougeL.of("a", "b")).isEqualTo(new RougeL(0, 0, 0));
    assertThat(RougeL.of("", "")).isEqualTo(new RougeL(0, 0, 0));
    assertThat(RougeL.of("...", "a")).isEqualTo(new RougeL(0, 0, 0));
  }

  @Test
  void findsSevenOfTenToBeExactlyTheThreshold() {
    assertThat(RougeL.of("a b c d e f g h i j", "a b c d e f g x y z").fMeasure()).isEqualTo(0.7);
  }
}
