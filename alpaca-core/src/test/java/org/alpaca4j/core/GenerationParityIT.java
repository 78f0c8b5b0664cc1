package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.alpaca4j.core.GenerationConfig.EarlyStopping;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Generated ids and scores against transformers' generate() (fixtures: generation). */
@Tag("parity")
class GenerationParityIT {
  private static final double TOLERANCE = 1e-4;
  private static final Path FIXTURES = Path.of(System.getProperty("fixtures", "."));
  private static final Path FOLDER = FIXTURES.resolve("generation");

  @TestFactory
  Stream<DynamicTest> generatesTheIdsThatTransformersDoes() throws IOException {
    if (!Files.isDirectory(FOLDER)) {
      return Stream.empty();
    }
    List<DynamicTest> tests = new ArrayList<>();
    try (Stream<Path> folders = Files.list(FOLDER)) {
      for (Path folder : folders.filter(Files::isDirectory).sorted().toList()) {
        JsonNode json = new ObjectMapper().readTree(folder.resolve("generation.json").toFile());
        Path model = FIXTURES.resolve(json.get("model").asText());
        if (!supported(model)) {
          continue;
        }
        for (Map.Entry<String, JsonNode> field : json.properties()) {
          if (field.getValue().has("settings")) {
            String name = folder.getFileName() + " " + field.getKey();
            tests.add(DynamicTest.dynamicTest(name, () -> check(model, json, field.getValue())));
          }
        }
        tests.add(
            DynamicTest.dynamicTest(
                folder.getFileName() + " scores",
                () -> checkScores(model, json, folder.resolve("scores.safetensors"))));
      }
    }
    return tests.stream();
  }

  /** Families of other issues are refused by name when their configuration is read. */
  private static boolean supported(Path model) {
    try {
      ModelConfig.load(model.resolve("config.json"));
      return true;
    } catch (UnsupportedModelException e) {
      return false;
    }
  }

  private static void check(Path folder, JsonNode json, JsonNode expected) {
    GenerationConfig config = config(json, expected.get("settings"));
    List<int[]> prompts = rows(json.get("prompts"));
    List<int[]> single = rows(expected.get("single"));
    try (CausalLm model = CausalLm.load(folder)) {
      List<GenerationResult> batch = model.generator().generate(prompts, config);
      for (int row = 0; row < prompts.size(); row++) {
        GenerationResult alone = model.generator().generate(prompts.get(row), config);
        assertThat(alone.ids()).as("row %d alone", row).isEqualTo(single.get(row));
        assertThat(batch.get(row).ids()).as("row %d in a batch", row).isEqualTo(single.get(row));
        if (expected.has("sequence_scores_single")) {
          double score = expected.get("sequence_scores_single").get(row).asDouble();
          assertThat(alone.score().getAsDouble()).isCloseTo(score, within(TOLERANCE));
          assertThat(batch.get(row).score().getAsDouble()).isCloseTo(score, within(TOLERANCE));
        }
      }
      if (expected.get("batched_equals_single").asBoolean()) {
        List<int[]> batched = rows(expected.get("batched_left_padded"));
        for (int row = 0; row < prompts.size(); row++) {
          int[] ids = batch.get(row).ids();
          assertThat(ids).isEqualTo(Arrays.copyOf(batched.get(row), ids.length));
        }
      }
    }
  }

  private static void checkScores(Path folder, JsonNode json, Path file) {
    GenerationConfig config =
        config(json, new ObjectMapper().createObjectNode()).toBuilder().outputScores(true).build();
    try (CausalLm model = CausalLm.load(folder);
        Checkpoint reference = Checkpoint.open(file)) {
      TensorInfo info = reference.tensor("greedy.scores");
      ByteBuffer bytes =
          ByteBuffer.allocate(Math.toIntExact(info.byteLength())).order(ByteOrder.LITTLE_ENDIAN);
      reference.readBytes("greedy.scores", bytes, 0);
      bytes.flip();
      List<GenerationResult> results =
          model.generator().generate(rows(json.get("prompts")), config);
      for (GenerationResult result : results) {
        for (int step = 0; step < info.shape()[1]; step++) {
          for (float score : result.scores().get(step)) {
            assertThat((double) score).isCloseTo(bytes.getFloat(), within(TOLERANCE));
          }
        }
      }
    }
  }

  private static GenerationConfig config(JsonNode json, JsonNode settings) {
    GenerationConfig.Builder builder =
        GenerationConfig.builder()
            .maxNewTokens(json.get("max_new_tokens").asInt())
            .eosTokenIds(List.of());
    for (Map.Entry<String, JsonNode> setting : settings.properties()) {
      JsonNode value = setting.getValue();
      switch (setting.getKey()) {
        case "num_beams" -> builder.numBeams(value.asInt());
        case "length_penalty" -> builder.lengthPenalty(value.asDouble());
        case "early_stopping" ->
            builder.earlyStopping(
                value.isTextual()
                    ? EarlyStopping.NEVER
                    : value.asBoolean() ? EarlyStopping.TRUE : EarlyStopping.FALSE);
        case "repetition_penalty" -> builder.repetitionPenalty(value.asDouble());
        case "no_repeat_ngram_size" -> builder.noRepeatNgramSize(value.asInt());
        case "min_new_tokens" -> builder.minNewTokens(value.asInt());
        case "eos_token_id" -> {
          List<Integer> ids = new ArrayList<>();
          if (value.isArray()) {
            value.forEach(id -> ids.add(id.asInt()));
          } else {
            ids.add(value.asInt());
          }
          builder.eosTokenIds(ids);
        }
        default -> throw new IllegalArgumentException("setting " + setting.getKey());
      }
    }
    return builder.build();
  }

  private static List<int[]> rows(JsonNode json) {
    List<int[]> rows = new ArrayList<>();
    for (JsonNode row : json) {
      int[] ids = new int[row.size()];
      Arrays.setAll(ids, i -> row.get(i).asInt());
      rows.add(ids);
    }
    return rows;
  }
}
