package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.alpaca4j.train.LearningRateSchedule.Type;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/**
 * Learning rates against transformers' {@code get_scheduler}.
 *
 * <p>Deviations, both at or past the end of a run, where no step of it lies:
 *
 * <ul>
 *   <li>{@code cosine} and {@code cosine_with_min_lr} rise again after their last step; here they
 *       keep its rate ({@link #clampedPastTheEnd}).
 *   <li>{@code polynomial} divides by zero when warm-up equals total; here it is the warm-up line,
 *       and the final rate after it ({@link #dividesByZero}).
 * </ul>
 */
@Tag("parity")
class ScheduleParityIT {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final double RELATIVE_ERROR = 1e-12;

  @TestFactory
  Stream<DynamicTest> ratesAreThoseOfTransformers() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (Path file : files(".jsonl")) {
      for (String line : Files.readString(file).split("\n")) {
        JsonNode row = JSON.readTree(line);
        String name =
            row.get("name").textValue()
                + row.get("kwargs")
                + " lr="
                + row.get("lr")
                + " warmup="
                + row.get("warmup")
                + " total="
                + row.get("total");
        tests.add(DynamicTest.dynamicTest(name, () -> check(row)));
      }
    }
    return tests.stream();
  }

  @TestFactory
  Stream<DynamicTest> longRunsAndWarmUpStepsAreThoseOfTransformers() throws IOException {
    return files(".json").stream()
        .map(
            file ->
                DynamicTest.dynamicTest(
                    file.getFileName().toString(),
                    () -> {
                      JsonNode root = JSON.readTree(file.toFile());
                      if (root.isArray()) {
                        checkWarmupSteps(root);
                      } else {
                        checkLongRun(root);
                      }
                    }));
  }

  private static void check(JsonNode row) {
    int warmup = row.get("warmup").intValue();
    int total = row.get("total").intValue();
    LearningRateSchedule schedule = schedule(row);
    if (row.has("error")) {
      assertThat(dividesByZero(schedule)).as(row.get("error").textValue()).isTrue();
      double end = row.get("kwargs").path("lr_end").asDouble(1e-7);
      for (int step = 0; step < total + 3; step++) {
        double rate = row.get("lr").doubleValue();
        assertClose(schedule.learningRate(step), step < warmup ? rate * step / warmup : end, step);
      }
      return;
    }
    JsonNode rates = row.get("lrs");
    SoftAssertions softly = new SoftAssertions();
    for (int step = 0; step < rates.size(); step++) {
      int last = warmup + Math.max(1, total - warmup);
      int compared = clampedPastTheEnd(schedule) ? Math.min(step, last) : step;
      int at = step;
      softly
          .assertThatCode(
              () -> assertClose(schedule.learningRate(at), rates.get(compared).doubleValue(), at))
          .doesNotThrowAnyException();
    }
    softly.assertAll();
  }

  private static boolean clampedPastTheEnd(LearningRateSchedule schedule) {
    return schedule.type() == Type.COSINE || schedule.type() == Type.COSINE_WITH_MIN_LR;
  }

  private static boolean dividesByZero(LearningRateSchedule schedule) {
    return schedule.type() == Type.POLYNOMIAL && schedule.warmupSteps() == schedule.totalSteps();
  }

  private static void checkLongRun(JsonNode run) {
    for (String name : List.of("cosine", "linear")) {
      LearningRateSchedule schedule =
          LearningRateSchedule.of(
              Type.fromName(name),
              run.get("lr").doubleValue(),
              run.get("warmup").intValue(),
              run.get("total").intValue());
      for (int step = 0; step < run.get(name).size(); step++) {
        assertClose(schedule.learningRate(step), run.get(name).get(step).doubleValue(), step);
      }
    }
  }

  private static void checkWarmupSteps(JsonNode rows) {
    for (JsonNode row : rows) {
      assertThat(
              LearningRateSchedule.warmupSteps(
                  row.get("total").intValue(), row.get("ratio").doubleValue()))
          .as(row.toString())
          .isEqualTo(row.get("warmup").intValue());
    }
  }

  private static void assertClose(double found, double expected, int step) {
    assertThat(Math.abs(found - expected))
        .as("step %d: found %s, expected %s", step, found, expected)
        .isLessThanOrEqualTo(RELATIVE_ERROR * Math.abs(expected));
  }

  private static LearningRateSchedule schedule(JsonNode row) {
    LearningRateSchedule.Builder builder =
        LearningRateSchedule.builder(Type.fromName(row.get("name").textValue()))
            .learningRate(row.get("lr").doubleValue())
            .warmupSteps(row.get("warmup").intValue())
            .totalSteps(row.get("total").intValue());
    Map<String, Object> options = new HashMap<>();
    row.get("kwargs")
        .properties()
        .forEach(
            option -> {
              JsonNode value = option.getValue();
              options.put(
                  option.getKey(), value.isNumber() ? value.numberValue() : value.textValue());
            });
    builder.hfOptions(options);
    return builder.build();
  }

  private static List<Path> files(String ending) throws IOException {
    Path area = Path.of(System.getProperty("fixtures"), "schedules");
    if (!Files.isDirectory(area)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(area)) {
      return files.filter(file -> file.toString().endsWith(ending)).sorted().toList();
    }
  }
}
