package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatTest {
  @TempDir static Path folder;
  private static String model;

  @BeforeAll
  static void makeModel() {
    model = TinyCheckpoint.write(folder.resolve("model")).toString();
  }

  @Test
  void printsTheAnswerAlone() {
    CommandRun run =
        CommandRun.of(
            new Chat(), "--model", model, "--prompt", "Who are you?", "--max_new_tokens", "4");

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out()).endsWith(System.lineSeparator());
    assertThat(run.out()).doesNotContain("Who are you?").doesNotContain("INFO");
  }

  @Test
  void greedyDecodingAndASeedRepeatTheAnswer() {
    String[] greedy = {"--model", model, "--prompt", "a", "--max_new_tokens", "4"};
    String[] sampled = {
      "--model",
      model,
      "--prompt",
      "a",
      "--max_new_tokens",
      "4",
      "--temperature",
      "0.7",
      "--seed",
      "7"
    };

    assertThat(CommandRun.of(new Chat(), greedy).out())
        .isEqualTo(CommandRun.of(new Chat(), greedy).out());
    assertThat(CommandRun.of(new Chat(), sampled).out())
        .isEqualTo(CommandRun.of(new Chat(), sampled).out());
  }

  @Test
  void rawContinuesThePromptWithoutATemplate() {
    CommandRun run =
        CommandRun.of(
            new Chat(), "--model", model, "--prompt", "Once", "--raw", "--max_new_tokens", "3");

    assertThat(run.exitCode()).as(run.err()).isZero();
  }

  @Test
  void aSystemMessageForARawPromptIsRefused() {
    CommandRun run =
        CommandRun.of(
            new Chat(), "--model", model, "--prompt", "a", "--raw", "--system", "Be brief.");

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("--raw and --system");
  }

  @Test
  void aNegativeTemperatureIsRefused() {
    CommandRun run =
        CommandRun.of(new Chat(), "--model", model, "--prompt", "a", "--temperature", "-1");

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("--temperature");
  }

  @Test
  void aPromptThatTheLocaleGarbledIsRefused() {
    CommandRun run = CommandRun.of(new Chat(), "--model", model, "--prompt", "\uFFFD\uFFFD?");

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("--prompt").contains("LC_ALL");
  }
}
