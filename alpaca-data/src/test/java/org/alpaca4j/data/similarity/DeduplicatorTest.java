package org.alpaca4j.data.similarity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DeduplicatorTest {

  @Test
  void findsDuplicatesInOtherScriptsByItself() {
    List<String> texts =
        List.of(
            "写一首关于春天的诗",
            "写一首关于春天的诗",
            "用 Python 写一个排序函数",
            "用 Python 画一只猫",
            "Напиши стихотворение о весне",
            "Напиши стихотворение о весне!",
            "Write a poem about spring",
            "write a poem about spring.");

    assertThat(Deduplicator.builder().build().deduplicate(texts).kept())
        .containsExactly(0, 2, 3, 4, 6);
  }

  @ParameterizedTest
  @CsvSource({
    "1, 12, 30, 0.7, 0", "2, 64, 200, 0.7, 0", "3, 130, 400, 0.7, 0", "4, 20, 100, 0.5, 0",
    "5, 20, 100, 0, 0", "6, 20, 100, 1, 0", "7, 12, 30, 0.7, 10", "8, 90, 200, 0.7, 10"
  })
  void keepsWhatComparingOneAfterTheOtherKeeps(
      long seed, int longest, int vocabulary, double threshold, int mostSimilar) {
    List<String> all = RandomTexts.make(seed, 700, longest, vocabulary);
    List<String> seeds = all.subList(0, 50);
    List<String> texts = all.subList(50, all.size());
    SimilarityIndex index = new SimilarityIndex();
    List<Integer> numbers = new ArrayList<>();
    for (int i = 0; i < seeds.size(); i++) {
      numbers.add(i);
      index.add(seeds.get(i));
    }
    List<Integer> kept = new ArrayList<>();
    List<Duplicate> dropped = new ArrayList<>();
    List<Similarities> similarities = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      Similarities found = index.query(texts.get(i), Math.max(1, mostSimilar));
      if (found.max() > threshold) {
        int best = found.mostSimilar().get(0).index();
        dropped.add(new Duplicate(i, numbers.get(best), found.max()));
      } else {
        kept.add(i);
        similarities.add(
            new Similarities(
                found.max(),
                found.average(),
                found.mostSimilar().stream()
                    .map(s -> new Similarity(numbers.get(s.index()), s.score()))
                    .toList()));
        numbers.add(seeds.size() + i);
        index.add(texts.get(i));
      }
    }

    Deduplication result =
        Deduplicator.builder()
            .threshold(threshold)
            .seeds(seeds)
            .mostSimilar(mostSimilar)
            .threads(3)
            .build()
            .deduplicate(texts);
    assertThat(result.kept()).as("seed %d", seed).isEqualTo(kept);
    assertThat(result.dropped()).isEqualTo(dropped);
    assertThat(result.similarities()).isEqualTo(mostSimilar > 0 ? similarities : List.of());
  }

  @Test
  void keepsWhatScoresExactlyTheThreshold() {
    List<String> texts =
        List.of("a b c d e f g h i j", "a b c d e f g x y z", "a b c d e f g h y z");
    Deduplication result = Deduplicator.builder().build().deduplicate(texts);
    assertThat(result.kept()).containsExactly(0, 1);
    assertThat(result.dropped()).containsExactly(new Duplicate(2, 1, 0.9));
  }

  @Test
  void namesSeedsAndTextsInOneCount() {
    Deduplication result =
        Deduplicator.builder()
            .seeds(List.of("name a color", "count to ten"))
            .build()
            .deduplicate(List.of("sing a song now", "count to ten", "sing a song"));
    assertThat(result.dropped())
        .containsExactly(new Duplicate(1, 1, 1), new Duplicate(2, 2, 6 / 7.0));
    assertThat(result.isSeed(1)).isTrue();
    assertThat(result.isSeed(2)).isFalse();
  }

  @Test
  void alwaysKeepsTextsWithoutTokens() {
    assertThat(Deduplicator.builder().build().deduplicate(List.of("", "?!", "", "?!")).kept())
        .hasSize(4);
  }

  @Test
  void dropsChineseDuplicatesIfTheTokenizerSeesThem() {
    Deduplicator unicode = Deduplicator.builder().tokenizer(RougeTokens::tokenizeUnicode).build();
    assertThat(unicode.deduplicate(List.of("请写一首诗", "请写一首诗。")).kept()).containsExactly(0);
  }

  @Test
  void considersTheLongestFirstIfAsked() {
    Deduplicator longest =
        Deduplicator.builder()
            .order(Comparator.comparingInt(String::length).reversed())
            .mostSimilar(1)
            .build();
    Deduplication result = longest.deduplicate(List.of("a b c", "x", "a b c d"));
    assertThat(result.kept()).containsExactly(1, 2);
    assertThat(result.dropped()).containsExactly(new Duplicate(0, 2, 6 / 7.0));
    assertThat(result.similarities()).hasSize(2);
  }

  @Test
  void selectsTheRecordsKept() {
    record Task(String instruction, int number) {}
    List<Task> tasks = List.of(new Task("add it up", 1), new Task("Add it up!", 2));
    Deduplication result = Deduplicator.builder().build().deduplicate(tasks, Task::instruction);
    assertThat(result.select(tasks)).containsExactly(tasks.get(0));
  }

  @Test
  void tellsOfItsProgress() {
    List<Integer> heard = new ArrayList<>();
    Deduplicator.builder()
        .progress(heard::add)
        .build()
        .deduplicate(RandomTexts.make(1, 600, 10, 100));
    assertThat(heard).isSorted().hasSizeGreaterThan(1).last().isEqualTo(600);
  }

  @Test
  void findsEvaluationTextsThatWereTrainedOn() {
    List<String> train = List.of("what is two plus two", "name the capital of france", "sing");
    List<String> evaluation = List.of("what is love", "name the capital city of france", "...");
    ContaminationReport report = Deduplicator.builder().build().contamination(train, evaluation);
    assertThat(report.contaminated()).containsExactly(new Duplicate(1, 1, 10 / 11.0));
    assertThat(report.share()).isEqualTo(1 / 3.0);
    assertThat(report.clean(evaluation)).containsExactly("what is love", "...");
    assertThat(report)
        .hasToString(
            "1 of 3 evaluation texts (33.33 %) score above 0.7 with one of 3 training texts"
                + System.lineSeparator()
                + "  evaluation 1 is like training 1: 0.9091");
  }

  @Test
  void refusesOptionsOutOfRange() {
    assertThatThrownBy(() -> Deduplicator.builder().threshold(1.5).build())
        .hasMessageContaining("threshold")
        .hasMessageContaining("1.5");
    assertThatThrownBy(() -> Deduplicator.builder().threshold(Double.NaN).build())
        .hasMessageContaining("threshold");
    assertThatThrownBy(() -> Deduplicator.builder().mostSimilar(-1).build())
        .hasMessageContaining("mostSimilar");
    assertThatThrownBy(() -> Deduplicator.builder().threads(0).build())
        .hasMessageContaining("threads");
  }
}
