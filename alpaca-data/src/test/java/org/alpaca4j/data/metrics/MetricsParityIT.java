package org.alpaca4j.data.metrics;

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
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** ROUGE, BLEU and segmentation against rouge-chinese, nltk and jieba. */
@Tag("parity")
class MetricsParityIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path AREA = Path.of(System.getProperty("fixtures"), "factory");
  private static final double TOLERANCE = 1e-9;

  @Test
  void scoresGivenSegmentsLikeRougeChinese() throws IOException {
    SoftAssertions softly = new SoftAssertions();
    for (JsonNode line : lines()) {
      Rouge rouge =
          Rouge.of(strings(line.get("predict_segments")), strings(line.get("label_segments")));
      check(softly, rouge.rouge1(), line.at("/rouge/rouge-1"), line);
      check(softly, rouge.rouge2(), line.at("/rouge/rouge-2"), line);
      check(softly, rouge.rougeL(), line.at("/rouge/rouge-l"), line);
    }
    softly.assertAll();
  }

  @Test
  void scoresCharactersLikeNltk() throws IOException {
    SoftAssertions softly = new SoftAssertions();
    for (JsonNode line : lines()) {
      softly
          .assertThat(Bleu.bleu4(line.get("predict").textValue(), line.get("label").textValue()))
          .as("%s", line)
          .isCloseTo(line.get("bleu").doubleValue(), within(TOLERANCE));
    }
    softly.assertAll();
  }

  @Test
  void cutsLikeJieba() throws IOException {
    Segmenter jieba = Segmenter.jieba();
    SoftAssertions softly = new SoftAssertions();
    for (JsonNode line : lines()) {
      for (String side : List.of("predict", "label")) {
        softly
            .assertThat(jieba.segment(line.get(side).textValue()))
            .isEqualTo(strings(line.get(side + "_segments")));
      }
    }
    softly.assertAll();
  }

  @Test
  void givesTheSamePercentagesAndMeans() throws IOException {
    GenerationMetrics metrics = new GenerationMetrics(Segmenter.jieba());
    List<String> predictions = new ArrayList<>();
    List<String> references = new ArrayList<>();
    SoftAssertions softly = new SoftAssertions();
    for (JsonNode line : lines()) {
      String prediction = line.get("predict").textValue();
      String reference = line.get("label").textValue();
      predictions.add(prediction);
      references.add(reference);
      check(softly, metrics.score(prediction, reference), line.get("percent"), line);
    }
    Path mean = AREA.resolve("rouge_bleu_mean.json");
    if (Files.exists(mean)) {
      GenerationScores scores = metrics.score(predictions, references);
      check(softly, scores, JSON.readTree(mean.toFile()), "mean");
    }
    softly.assertAll();
  }

  private static void check(
      SoftAssertions softly, GenerationScores scores, JsonNode expected, Object of) {
    assertThat(expected.size()).isEqualTo(4);
    softly
        .assertThat(
            new double[] {scores.rouge1(), scores.rouge2(), scores.rougeL(), scores.bleu4()})
        .as("%s", of)
        .containsExactly(
            new double[] {
              expected.get("rouge-1").doubleValue(),
              expected.get("rouge-2").doubleValue(),
              expected.get("rouge-l").doubleValue(),
              expected.get("bleu-4").doubleValue()
            },
            within(TOLERANCE));
  }

  private static void check(
      SoftAssertions softly, Rouge.Score score, JsonNode expected, JsonNode of) {
    softly
        .assertThat(new double[] {score.recall(), score.precision(), score.fMeasure()})
        .as("%s", of)
        .containsExactly(
            new double[] {
              expected.get("r").doubleValue(),
              expected.get("p").doubleValue(),
              expected.get("f").doubleValue()
            },
            within(TOLERANCE));
  }

  private static List<String> strings(JsonNode array) {
    List<String> strings = new ArrayList<>();
    array.forEach(string -> strings.add(string.textValue()));
    return strings;
  }

  private static List<JsonNode> lines() throws IOException {
    Path file = AREA.resolve("rouge_bleu.jsonl");
    List<JsonNode> lines = new ArrayList<>();
    if (Files.exists(file)) {
      for (String line : Files.readString(file).split("\n")) {
        lines.add(JSON.readTree(line));
      }
    }
    return lines;
  }
}
