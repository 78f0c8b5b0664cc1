package org.alpaca4j.data.similarity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** ROUGE-L and the 0.7 rule against rouge_score's numbers. */
@Tag("parity")
class RougeParityIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path AREA = Path.of(System.getProperty("fixtures"), "selfinstruct");

  @Test
  void scoresPairsLikeRougeScore() throws IOException {
    List<String> texts = texts("rouge_texts.json");
    SoftAssertions softly = new SoftAssertions();
    for (JsonNode line : lines("rouge_pairs.jsonl")) {
      String target = texts.get(line.get("target").intValue());
      String prediction = texts.get(line.get("prediction").intValue());
      RougeL expected =
          new RougeL(
              line.get("precision").doubleValue(),
              line.get("recall").doubleValue(),
              line.get("f").doubleValue());
      softly.assertThat(RougeL.of(target, prediction)).isEqualTo(expected);
      SimilarityIndex index = new SimilarityIndex(RougeTokens::tokenize);
      index.add(target);
      softly.assertThat(index.query(prediction, 1).max()).isEqualTo(expected.fMeasure());
    }
    softly.assertAll();
  }

  /** The candidates go against the seeds of a public data set, which another folder may hold. */
  @Test
  void keepsAndRanksLikeTheOriginal() throws IOException {
    List<String> seeds = seeds();
    List<String> candidates = texts("dedup_candidates.json");
    SimilarityIndex index = new SimilarityIndex(RougeTokens::tokenize);
    seeds.forEach(index::add);
    List<Integer> kept = new ArrayList<>();
    for (JsonNode line : lines("dedup_result.jsonl")) {
      int candidate = line.get("candidate").intValue();
      Similarities found = index.query(candidates.get(candidate), 10);
      assertThat(found.max())
          .as("candidate %d", candidate)
          .isEqualTo(line.get("max").doubleValue());
      assertThat(found.max() <= 0.7).isEqualTo(line.get("kept").booleanValue());
      if (line.get("kept").booleanValue()) {
        List<Similarity> expected = new ArrayList<>();
        line.get("most_similar")
            .forEach(
                pair ->
                    expected.add(
                        new Similarity(pair.get(0).intValue(), pair.get(1).doubleValue())));
        assertThat(found.mostSimilar()).isEqualTo(expected);
        assertThat(found.average())
            .isCloseTo(line.get("avg_similarity_score").doubleValue(), within(1e-12));
        index.add(candidates.get(candidate));
        kept.add(candidate);
      }
    }
    Deduplicator.Builder deduplicator =
        Deduplicator.builder().tokenizer(RougeTokens::tokenize).seeds(seeds);
    assertThat(deduplicator.build().deduplicate(candidates).kept()).isEqualTo(kept);
    assertThat(deduplicator.mostSimilar(10).build().deduplicate(candidates).kept()).isEqualTo(kept);
  }

  /** Instructions of {@code seed_tasks.jsonl}: beside the fixtures, or in {@code fixtures.data}. */
  private static List<String> seeds() throws IOException {
    String folder = System.getProperty("fixtures.data", "");
    Path data = folder.isEmpty() ? AREA.resolve("../../data") : Path.of(folder);
    Path file = data.resolve("seed_tasks.jsonl");
    Assumptions.assumeTrue(Files.exists(file), () -> "no seeds: " + file);
    List<String> seeds = new ArrayList<>();
    for (JsonNode line : read(file)) {
      seeds.add(line.get("instruction").textValue());
    }
    return seeds;
  }

  private static List<String> texts(String name) throws IOException {
    Path file = AREA.resolve(name);
    Assumptions.assumeTrue(Files.exists(file), () -> "no cases: " + file);
    List<String> texts = new ArrayList<>();
    JSON.readTree(file.toFile()).forEach(text -> texts.add(text.textValue()));
    return texts;
  }

  private static List<JsonNode> lines(String name) throws IOException {
    return read(AREA.resolve(name));
  }

  private static List<JsonNode> read(Path file) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readString(file).split("\n")) {
      lines.add(JSON.readTree(line));
    }
    return lines;
  }
}
