package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ChatMlTrainTest {
  @TempDir static Path folder;
  private static Path model;
  private static Path data;

  @BeforeAll
  static void makeModelAndData() throws IOException {
    model = TinyCheckpoint.write(folder.resolve("model"));
    List<String> lines =
        IntStream.range(0, 8)
            .mapToObj(
                i ->
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"2+"
                        + i
                        + "?\"}, {\"role\": \"assistant\", \"content\": \"5.\"}]}")
            .toList();
    data = Files.write(folder.resolve("conversations.jsonl"), lines);
  }

  @Test
  void showsTrainingAndEvaluationLossSideBySideAndAnswersBeforeAndAfter() {
    Path out = folder.resolve("out");

    CommandRun run =
        CommandRun.of(
            new ChatMlTrain(),
            "--model_name_or_path",
            model.toString(),
            "--data_path",
            data.toString(),
            "--eval_ratio",
            "0.25",
            "--epochs",
            "2",
            "--learning_rate",
            "1e-2",
            "--warmup_ratio",
            "0",
            "--prompt",
            "2+2?",
            "--max_new_tokens",
            "5",
            "--output_dir",
            out.toString());

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out())
        .containsSubsequence("before: 2+2? -> ", "epoch  train loss   eval loss", "saved " + out)
        .contains("after: 2+2? -> ");
    List<double[]> rows = rows(run.out());
    assertThat(rows).hasSize(2);
    assertThat(rows.get(1)[0]).isLessThan(rows.get(0)[0]);
    assertThat(rows.get(1)[1]).isLessThan(rows.get(0)[1]);
    assertThat(out.resolve("model.safetensors")).exists();
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen", "content_only", "assistant", "template"})
  void everyMaskCanBeChosen(String mask) {
    CommandRun run =
        CommandRun.of(
            new ChatMlTrain(),
            "--model_name_or_path",
            model.toString(),
            "--data_path",
            data.toString(),
            "--eval_data_path",
            data.toString(),
            "--mask",
            mask,
            "--epochs",
            "1",
            "--output_dir",
            folder.resolve(mask).toString());

    assertThat(run.exitCode()).as(run.err()).isZero();
  }

  @Test
  void twoSourcesOfEvaluationDataAreRefused() {
    CommandRun run =
        CommandRun.of(
            new ChatMlTrain(),
            "--model_name_or_path",
            model.toString(),
            "--data_path",
            data.toString(),
            "--eval_data_path",
            data.toString(),
            "--eval_ratio",
            "0.1",
            "--output_dir",
            folder.resolve("unused").toString());

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("--eval_data_path and --eval_ratio");
  }

  /** Training and evaluation loss of each epoch. */
  private static List<double[]> rows(String out) {
    return Pattern.compile("(?m)^ +[1-9] +([0-9.]+) +([0-9.]+)$")
        .matcher(out)
        .results()
        .map(row -> new double[] {number(row.group(1)), number(row.group(2))})
        .toList();
  }

  private static double number(String text) {
    return Double.parseDouble(text);
  }
}
