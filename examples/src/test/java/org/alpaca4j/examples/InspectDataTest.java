package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPOutputStream;
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
  void readsAnyFormatAndLooksForNearDuplicates() throws IOException {
    Path csv = folder.resolve("data.csv.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(csv))) {
      out.write(
          "instruction,output\nAdd one and two,yes\nAdd one and six,yes\nSub one and six,no\n"
              .getBytes(StandardCharsets.UTF_8));
    }

    assertThat(inspect(csv).out()).contains("records 3,", "near duplicates 1 among 3 records");
    assertThat(inspect(csv, "--near_duplicate_score", "0.75").out())
        .contains("near duplicates 0 among 3 records");
    assertThat(inspect(csv, "--near_duplicates", "2").out())
        .contains("near duplicates 1 among the first 2 of 3 records");
    assertThat(inspect(csv, "--near_duplicates", "0").out())
        .contains("near duplicates not looked for");
    assertThat(inspect(csv, "--near_duplicates", "-1").exitCode())
        .isEqualTo(ExampleCommand.REFUSED);
  }

  @Test
  void jsonLinesMayBeNamedJson() throws IOException {
    Path data =
        Files.writeString(
            folder.resolve("data.json"),
            "{\"instruction\": \"a\", \"output\": \"yes\"}\n"
                + "{\"instruction\": \"b\", \"output\": \"no\"}\n");

    assertThat(inspect(data).out()).contains("records 2,");
  }

  private CommandRun inspect(Path data, String... more) throws IOException {
    Path model = folder.resolve("model");
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "--tokenizer",
                (Files.exists(model) ? model : TinyCheckpoint.write(model)).toString(),
                "--data",
                data.toString(),
                "--out",
                folder.resolve("report").toString()));
    arguments.addAll(List.of(more));
    return CommandRun.of(new InspectData(), arguments.toArray(String[]::new));
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
