package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvaluateTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir static Path folder;
  private static Path model;

  @BeforeAll
  static void makeModel() {
    model = TinyCheckpoint.write(folder.resolve("model"));
  }

  @Test
  void writesTheLossOfEveryRecordAndPrintsTheMean() throws IOException {
    Path data =
        write("three.jsonl", record("Say yes.", "yes"), record("Add.", "2"), record("x", "abc"));
    Path out = folder.resolve("losses/three.jsonl");

    CommandRun run =
        CommandRun.of(
            new Evaluate(),
            "--model",
            model.toString(),
            "--data",
            data.toString(),
            "--limit",
            "2",
            "--out",
            out.toString());

    assertThat(run.exitCode()).as(run.err()).isZero();
    List<JsonNode> lines = lines(out);
    assertThat(lines).hasSize(2);
    assertThat(lines.get(0).fieldNames())
        .toIterable()
        .containsExactly("index", "loss", "supervised_tokens");
    assertThat(lines).extracting(line -> line.get("index").intValue()).containsExactly(0, 1);
    // The answer's bytes and the end token.
    assertThat(lines)
        .extracting(line -> line.get("supervised_tokens").intValue())
        .containsExactly(4, 2);
    // Random weights know nothing: about the logarithm of the vocabulary.
    assertThat(lines.get(0).get("loss").doubleValue()).isCloseTo(Math.log(260), within(1.0));
    double mean =
        (4 * lines.get(0).get("loss").doubleValue() + 2 * lines.get(1).get("loss").doubleValue())
            / 6;
    assertThat(JSON.readTree(run.out()).get("mean_loss").doubleValue())
        .isCloseTo(mean, within(1e-12));
  }

  @Test
  void aRecordWhoseAnswerIsCutOffHasNoLossButKeepsItsLine() throws IOException {
    Path data = write("cut.jsonl", record("Say yes.", "yes"), record("y".repeat(600), "no"));
    Path out = folder.resolve("cut-losses.jsonl");

    CommandRun run =
        CommandRun.of(
            new Evaluate(),
            "--model",
            model.toString(),
            "--data",
            data.toString(),
            "--max_length",
            "300",
            "--out",
            out.toString());

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(lines(out).get(1).get("loss").isNull()).isTrue();
    assertThat(lines(out).get(1).get("supervised_tokens").intValue()).isZero();
    assertThat(JSON.readTree(run.out()).get("records_without_supervised_token").intValue())
        .isEqualTo(1);
  }

  @Test
  void chatUsesTheTemplateOfTheCheckpointAndItsTurnToken() throws IOException {
    Path data = write("chat.jsonl", record("Say yes.", "yes"), record("y".repeat(600), "no"));
    Path out = folder.resolve("chat-losses.jsonl");

    CommandRun run =
        CommandRun.of(
            new Evaluate(),
            "--model",
            model.toString(),
            "--data",
            data.toString(),
            "--chat",
            "--out",
            out.toString());

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(lines(out).get(0).get("supervised_tokens").intValue()).isEqualTo(4);
    assertThat(lines(out).get(1).get("loss").isNull()).isTrue();
    // <|im_start|>user\nSay yes.<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>
    assertThat(JSON.readTree(run.out()).get("tokens").intValue())
        .isEqualTo(1 + 5 + 8 + 1 + 1 + 1 + 10 + 3 + 1);
  }

  @Test
  void aMissingModelIsNamed() throws IOException {
    Path data = write("one.jsonl", record("x", "y"));

    CommandRun run =
        CommandRun.of(
            new Evaluate(),
            "--model",
            folder.resolve("none").toString(),
            "--data",
            data.toString(),
            "--out",
            folder.resolve("none.jsonl").toString());

    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).contains("none: does not exist").doesNotContain("\tat ");
  }

  private static String record(String instruction, String output) {
    return "{\"instruction\": \"" + instruction + "\", \"output\": \"" + output + "\"}";
  }

  private static Path write(String name, String... lines) throws IOException {
    return Files.write(folder.resolve(name), List.of(lines));
  }

  private static List<JsonNode> lines(Path file) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      lines.add(JSON.readTree(line));
    }
    return lines;
  }
}
