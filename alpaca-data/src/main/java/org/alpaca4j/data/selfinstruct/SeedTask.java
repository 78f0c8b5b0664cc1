package org.alpaca4j.data.selfinstruct;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.alpaca4j.core.internal.JsonProblem;
import org.alpaca4j.data.DataException;
import org.jspecify.annotations.Nullable;

/**
 * A task written by a person, shown to the model as an example.
 *
 * @param instruction what is asked for
 * @param input what it is asked about; the empty string if there is nothing
 * @param output the answer
 */
public record SeedTask(String instruction, String input, String output) {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  /** Checks that no field is null. */
  public SeedTask {
    Objects.requireNonNull(instruction, "instruction is null");
    Objects.requireNonNull(input, "input is null");
    Objects.requireNonNull(output, "output is null");
  }

  /**
   * Reads Self-Instruct's {@code seed_tasks.jsonl}: per line {@code instruction} and {@code
   * instances}, of which the first one gives input and output. Blank lines count for nothing.
   *
   * @throws DataException if the file cannot be read; the message names line and field
   */
  public static List<SeedTask> readJsonl(Path file) {
    Objects.requireNonNull(file, "file is null");
    String text;
    try {
      text = Files.readString(file);
    } catch (IOException e) {
      throw new DataException(file + ": cannot be read as UTF-8 text: " + e, e);
    }
    List<SeedTask> tasks = new ArrayList<>();
    int number = 0;
    for (String line : text.split("\n", -1)) { // LF alone: other separators may stand in a string
      number++;
      if (!line.isBlank()) {
        tasks.add(parse(line, file + ", line " + number));
      }
    }
    return List.copyOf(tasks);
  }

  private static SeedTask parse(String line, String place) {
    JsonNode task;
    try {
      task = JSON.readTree(line);
    } catch (JsonProcessingException e) {
      throw new DataException(
          place + ": not readable as JSON: " + JsonProblem.describeWithPlace(e), e);
    }
    JsonNode instance = task.path("instances").path(0);
    if (!instance.isObject()) {
      throw new DataException(
          place + ", field \"instances\": expected an array that begins with an object");
    }
    return new SeedTask(
        text(task.get("instruction"), place, "instruction"),
        text(instance.get("input"), place, "instances[0].input"),
        text(instance.get("output"), place, "instances[0].output"));
  }

  private static String text(@Nullable JsonNode value, String place, String field) {
    if (value == null || !value.isTextual()) {
      throw new DataException(
          place
              + ", field \""
              + field
              + "\": "
              + (value == null ? "is missing" : "expected a string, found " + value.getNodeType()));
    }
    return value.textValue();
  }
}
