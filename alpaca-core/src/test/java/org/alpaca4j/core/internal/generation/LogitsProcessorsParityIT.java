package org.alpaca4j.core.internal.generation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.alpaca4j.core.GenerationConfig;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Each processor against transformers' class (fixtures: generation/processors.json). */
@Tag("parity")
class LogitsProcessorsParityIT {
  private static final double TOLERANCE = 1e-6;
  private static final Path FILE =
      Path.of(System.getProperty("fixtures", ".")).resolve("generation/processors.json");

  @TestFactory
  Stream<DynamicTest> scoresAreThoseOfTransformers() throws IOException {
    if (!Files.exists(FILE)) {
      return Stream.empty();
    }
    JsonNode json = new ObjectMapper().readTree(FILE.toFile());
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode expected : json.get("cases")) {
      String name = expected.get("processor").asText() + " " + expected.get("parameters");
      tests.add(DynamicTest.dynamicTest(name, () -> check(json, expected)));
    }
    return tests.stream();
  }

  private static void check(JsonNode json, JsonNode expected) {
    GenerationConfig.Builder config = GenerationConfig.builder().doSample(true).topK(0);
    for (Map.Entry<String, JsonNode> parameter : expected.get("parameters").properties()) {
      JsonNode value = parameter.getValue();
      switch (parameter.getKey()) {
        case "temperature" -> config.temperature(value.asDouble());
        case "top_k" -> config.topK(value.asInt());
        case "top_p" -> config.topP(value.asDouble());
        case "min_p" -> config.minP(value.asDouble());
        case "repetition_penalty" -> config.repetitionPenalty(value.asDouble());
        case "no_repeat_ngram_size" -> config.noRepeatNgramSize(value.asInt());
        default -> throw new IllegalArgumentException("parameter " + parameter.getKey());
      }
    }
    LogitsProcessors processors = LogitsProcessors.of(config.build(), Set.of());
    for (int row = 0; row < json.get("logits").size(); row++) {
      float[] scores = floats(json.get("logits").get(row));
      JsonNode ids = json.get("input_ids").get(row);
      int[] seen = new int[ids.size()];
      Arrays.setAll(seen, i -> ids.get(i).asInt());
      processors.apply(scores, seen, seen.length, 0);

      List<Integer> kept = new ArrayList<>();
      List<Integer> expectedKept = new ArrayList<>();
      expected.get("kept").get(row).forEach(id -> expectedKept.add(id.asInt()));
      float[] expectedScores = floats(expected.get("scores").get(row));
      for (int id = 0; id < scores.length; id++) {
        if (scores[id] != Float.NEGATIVE_INFINITY) {
          kept.add(id);
          assertThat((double) scores[id]).isCloseTo(expectedScores[id], within(TOLERANCE));
        }
      }
      assertThat(kept).as("kept in row %d", row).isEqualTo(expectedKept);
    }
  }

  private static float[] floats(JsonNode row) {
    float[] values = new float[row.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = row.get(i).isNull() ? Float.NEGATIVE_INFINITY : (float) row.get(i).asDouble();
    }
    return values;
  }
}
