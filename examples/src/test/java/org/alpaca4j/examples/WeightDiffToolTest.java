package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WeightDiffToolTest {
  @TempDir static Path folder;

  @BeforeAll
  static void makeModels() {
    TinyCheckpoint.write(folder.resolve("raw"));
    TinyCheckpoint.write(folder.resolve("tuned"));
    CommandRun run = run("make", "tuned", "diff", "--exact", "True");
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out()).contains("at most 0.0");
  }

  private static CommandRun run(String task, String tuned, String diff, String... more) {
    String[] arguments = {
      task,
      "--path_raw",
      folder.resolve("raw").toString(),
      "--path_tuned",
      folder.resolve(tuned).toString(),
      "--path_diff",
      folder.resolve(diff).toString()
    };
    String[] all = new String[arguments.length + more.length];
    System.arraycopy(arguments, 0, all, 0, arguments.length);
    System.arraycopy(more, 0, all, arguments.length, more.length);
    return CommandRun.of(new WeightDiffTool(), all);
  }

  @Test
  void recoversAndLetsTheModelAnswer() {
    CommandRun run = run("recover", "recovered", "diff", "--device", "cpu");

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out()).contains("tensors, verified");
    assertThat(run.err()).contains("verify_raw", "write", "test_inference");
    assertThat(folder.resolve("recovered/model.safetensors"))
        .hasSameBinaryContentAs(folder.resolve("tuned/model.safetensors"));
  }

  @Test
  void theNaiveCheckRefusesAnotherModelThanAlpaca() {
    CommandRun run =
        run(
            "recover",
            "never",
            "diff",
            "--test_inference",
            "False",
            "--check_integrity_naively",
            "True");

    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).contains("50637.1836");
    assertThat(folder.resolve("never")).doesNotExist();
  }

  @Test
  void argumentsThatMakeNoSenseAreRefused() {
    assertThat(run("merge", "a", "b").exitCode()).isEqualTo(2);
    assertThat(run("make", "a", "b", "--dtype", "int8").err()).contains("float32");
  }
}
