package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InspectDataTest {
  @TempDir Path folder;

  @Test
  void writesTheReportAndPrintsASummary() throws IOException {
    Path tokenizer = TinyCheckpoint.write(folder.resolve("model"));
    Path data =
        Files.write(
            folder.resolve("data.jsonl"),
            List.of(
                "{\"instruction\": \"Write a poem.\", \"output\": \"yes\"}",
                "{\"instruction\": \"Write a poem.\", \"output\": \"yes\"}"));
    Path out = folder.resolve("report");

    CommandRun run =
        CommandRun.of(
            new InspectData(),
            "--tokenizer",
            tokenizer.toString(),
            "--data",
            data.toString(),
            "--out",
            out.toString());

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out()).contains("records 2, examples 2").contains("duplicates 1");
    assertThat(out.resolve("report.html")).content().contains("data.jsonl").contains("write poem");
    assertThat(out.resolve("report.json")).content().contains("\"duplicates\" : 1");
  }

  @Test
  void aMissingFileIsNamed() {
    CommandRun run =
        CommandRun.of(
            new InspectData(),
            "--tokenizer",
            folder.toString(),
            "--data",
            folder.resolve("none.json").toString(),
            "--out",
            folder.resolve("out").toString());

    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).contains("none.json").doesNotContain("\tat ");
    assertThat(folder.resolve("out")).doesNotExist();
  }
}
