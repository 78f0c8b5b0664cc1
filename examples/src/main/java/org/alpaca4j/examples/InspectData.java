package org.alpaca4j.examples;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.InstructionReader;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.RecordSource;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.report.DataProfile;
import org.alpaca4j.data.report.NearDuplicates;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Shows what a file of instructions looks like: lengths, supervised tokens, duplicates, verbs and
 * nouns, scripts.
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.InspectData \
 *   -Dexec.args="--tokenizer DIR --data alpaca_data.json --out report"
 * </pre>
 *
 * <p>A summary goes to standard output; {@code report.json}, {@code report.html} and {@code
 * lengths.png} into the folder.
 */
@Command(
    name = "InspectData",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Reports lengths, supervised tokens, duplicates, verbs and scripts of a data file.")
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class InspectData implements Callable<Integer> {
  @Option(
      names = "--data",
      required = true,
      paramLabel = "FILE",
      description = "records with instruction, input, output: JSON, JSON lines, CSV or Parquet")
  private Path data;

  @Option(
      names = "--tokenizer",
      required = true,
      paramLabel = "DIR",
      description = "the folder of a model or tokenizer")
  private Path tokenizer;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "where report.json, report.html and lengths.png go")
  private Path out;

  @Option(
      names = "--max_length",
      paramLabel = "N",
      description = "tokens of an example, longer ones are cut (default: ${DEFAULT-VALUE})")
  private int maxLength = 512;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "only the first N records (default: all)")
  private @Nullable Integer limit;

  @Option(
      names = "--near_duplicates",
      paramLabel = "N",
      description =
          "compare the first N records with one another; 0: none (default: ${DEFAULT-VALUE})")
  private int nearDuplicates = 100_000;

  @Option(
      names = "--near_duplicate_score",
      paramLabel = "X",
      description = "ROUGE-L above which two are near duplicates (default: ${DEFAULT-VALUE})")
  private double nearDuplicateScore = 0.7;

  InspectData() {}

  /** Reports; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new InspectData(), args));
  }

  @Override
  public Integer call() throws IOException {
    ExampleCommand.requireAtLeastOne("--limit", limit);
    ExampleCommand.requireAtLeastOne("--max_length", maxLength);
    if (nearDuplicates < 0) {
      throw ExampleCommand.refusal(
          "--near_duplicates must not be negative, found " + nearDuplicates);
    }
    List<InstructionRecord> records = records();
    DataProfile profile = DataProfile.of(records, dataset(records));
    if (nearDuplicates > 0) {
      profile =
          profile.withNearDuplicates(
              NearDuplicates.of(records, nearDuplicates, nearDuplicateScore));
    }
    profile.writeJson(out.resolve("report.json"));
    profile.writeHtml(out.resolve("report.html"), String.valueOf(data.getFileName()));
    String plot =
        LengthPlot.save(profile.lengths(), "Tokens per example", out.resolve("lengths.png"));
    System.out.print(profile.text());
    System.out.println("report: " + out.resolve("report.html").toAbsolutePath());
    System.out.println("histogram: " + plot);
    return ExampleCommand.DONE;
  }

  private List<InstructionRecord> records() {
    RecordSource<InstructionRecord> all = GivenData.records(data).map(InstructionReader.alpaca());
    try (Stream<InstructionRecord> records = (limit == null ? all : all.limit(limit)).stream()) {
      return records.toList();
    }
  }

  private SupervisedDataset dataset(List<InstructionRecord> records) {
    try (Tokenizer plain = Tokenizer.load(tokenizer);
        Tokenizer complete = plain.withMissingSpecialTokens().tokenizer()) {
      return SupervisedDataset.builder()
          .tokenizer(complete)
          .records(records)
          .maxLength(maxLength)
          .build();
    }
  }
}
