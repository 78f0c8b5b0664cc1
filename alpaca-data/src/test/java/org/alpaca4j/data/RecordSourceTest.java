package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class RecordSourceTest {

  private static final RecordSource<Integer> THOUSAND = numbers(0, 1000);

  @Test
  void mapsFiltersAndLimits() {
    assertThat(all(THOUSAND.filter(n -> n % 2 == 1).map(n -> n * 10).limit(3)))
        .containsExactly(10, 30, 50);
  }

  @Test
  void samplesTheSameRecordsForTheSameSeedInTheirOrder() {
    List<Integer> sample = all(THOUSAND.sample(100, 7));

    assertThat(sample).hasSize(100).doesNotHaveDuplicates().isSorted();
    assertThat(all(THOUSAND.sample(100, 7))).isEqualTo(sample);
    assertThat(all(THOUSAND.sample(100, 8))).isNotEqualTo(sample);
    assertThat(sample.stream().filter(n -> n >= 500).count()).isBetween(30L, 70L);
    assertThat(all(numbers(0, 5).sample(100, 7))).containsExactly(0, 1, 2, 3, 4);
  }

  @Test
  void splitsIntoPartsThatTogetherAreTheWhole() {
    RecordSource.Split<Integer> split = THOUSAND.split(0.1, 3);
    List<Integer> train = all(split.train());
    List<Integer> eval = all(split.eval());

    assertThat(eval.size()).isBetween(70, 130);
    assertThat(train).hasSize(1000 - eval.size()).doesNotContainAnyElementsOf(eval);
    assertThat(all(THOUSAND.split(0.1, 3).eval())).isEqualTo(eval);
    assertThat(all(THOUSAND.split(0.1, 4).eval())).isNotEqualTo(eval);
  }

  @Test
  void mixesByWeightUntilTheFirstSourceEnds() {
    Mixture<Integer> mixture =
        Mixture.<Integer>builder().add(THOUSAND, 3).add(numbers(1000, 2000), 1).seed(1).build();
    List<Integer> mixed = all(mixture);

    assertThat(mixed).doesNotHaveDuplicates();
    long second = mixed.stream().filter(n -> n >= 1000).count();
    assertThat((double) second / mixed.size()).isBetween(0.2, 0.3);
    assertThat(mixed).contains(999);
    assertThat(all(mixture)).isEqualTo(mixed);
  }

  @Test
  void mixesEveryRecordOnceOrUntilAllWereSeen() {
    Mixture.Builder<Integer> once =
        Mixture.<Integer>builder().add(numbers(0, 10), 1).add(numbers(10, 100), 1);
    assertThat(all(once.until(Mixture.Until.ALL_ONCE).build()))
        .containsExactlyInAnyOrderElementsOf(all(numbers(0, 100)));

    List<Integer> repeated =
        all(
            Mixture.<Integer>builder()
                .add(numbers(0, 10), 1)
                .add(numbers(10, 100), 1)
                .until(Mixture.Until.ALL_EXHAUSTED)
                .build());
    assertThat(new HashSet<>(repeated)).hasSize(100);
    assertThat(Collections.frequency(repeated, 3)).isGreaterThan(1);
    assertThat(Collections.frequency(repeated, 50)).isEqualTo(1);
  }

  @Test
  void refusesWhatMakesNoSense() {
    assertThatThrownBy(() -> THOUSAND.limit(0)).hasMessageContaining("found 0");
    assertThatThrownBy(() -> THOUSAND.split(1, 0)).hasMessageContaining("found 1.0");
    assertThatThrownBy(() -> Mixture.builder().build()).hasMessageContaining("add(...)");
    assertThatThrownBy(() -> Mixture.<Integer>builder().add(THOUSAND, 0))
        .hasMessageContaining("more than 0, found 0.0");
  }

  private static RecordSource<Integer> numbers(int from, int to) {
    return () -> IntStream.range(from, to).boxed();
  }

  private static <R> List<R> all(RecordSource<R> source) {
    try (Stream<R> records = source.stream()) {
      return records.toList();
    }
  }
}
