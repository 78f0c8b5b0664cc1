package org.alpaca4j.examples;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.alpaca4j.core.DType;
import org.alpaca4j.weights.IntegrityCheck;
import org.alpaca4j.weights.ProgressListener.Progress;
import org.alpaca4j.weights.WeightDiff;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Stanford Alpaca's weight_diff.py: makes the diff of a tuned model, or recovers a tuned model.
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.WeightDiffTool \
 *   -Dexec.args="recover --path_raw llama-7b --path_diff alpaca-7b-diff --path_tuned alpaca-7b \
 *   --check_integrity_naively True"
 * </pre>
 */
@Command(
    name = "WeightDiffTool",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Makes the diff of a tuned model, or recovers the model from raw and diff.")
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class WeightDiffTool implements Callable<Integer> {
  /** What to do. */
  enum Task {
    MAKE,
    RECOVER
  }

  @Parameters(paramLabel = "make|recover", description = "what to do")
  private Task task;

  @Option(names = "--path_raw", required = true, paramLabel = "DIR", description = "the raw model")
  private Path raw;

  @Option(
      names = "--path_tuned",
      required = true,
      paramLabel = "DIR",
      description = "the tuned model: read by make, written by recover")
  private Path tuned;

  @Option(
      names = "--path_diff",
      required = true,
      paramLabel = "DIR",
      description = "the diff: written by make, read by recover")
  private Path diff;

  @Mixin private DeviceOptions device;

  @Option(
      names = "--test_inference",
      arity = "1",
      paramLabel = "True|False",
      description = "recover: let the model answer a question (default: True)")
  private Boolean testInference = true;

  @Option(
      names = "--check_integrity_naively",
      arity = "1",
      paramLabel = "True|False",
      description = "recover: the sum of all weights must be Alpaca-7B's (default: False)")
  private Boolean checkNaively = false;

  @Option(
      names = "--expected_sum",
      paramLabel = "X",
      description = "recover: the sum of all weights must be this, within 0.01")
  private @Nullable Double expectedSum;

  @Option(
      names = "--require_manifest",
      arity = "1",
      paramLabel = "True|False",
      description = "recover: refuse a diff without weight_diff.json (default: False)")
  private Boolean requireManifest = false;

  @Option(
      names = "--exact",
      arity = "1",
      paramLabel = "True|False",
      description = "make: a diff that recovers every bit, not Alpaca's format (default: False)")
  private Boolean exact = false;

  @Option(
      names = "--dtype",
      paramLabel = "float32|bfloat16|float16",
      converter = WeightType.class,
      description = "of what is written (default: as stored in the folder it comes from)")
  private @Nullable DType dtype;

  @Option(
      names = "--max_shard_size",
      paramLabel = "SIZE",
      converter = ShardSize.class,
      description = "largest file written, such as 500MB or 2GiB (default: 5GB)")
  private Long maxShardBytes = 5_000_000_000L;

  @Option(
      names = "--overwrite",
      arity = "1",
      paramLabel = "True|False",
      description = "replace a checkpoint that is already there (default: False)")
  private Boolean overwrite = false;

  WeightDiffTool() {}

  /** Works; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new WeightDiffTool(), args));
  }

  @Override
  public Integer call() {
    if (checkNaively && expectedSum != null) {
      throw ExampleCommand.refusal(
          "--check_integrity_naively and --expected_sum exclude each other; leave one out");
    }
    device.useThreads();
    WeightDiff.Builder builder =
        WeightDiff.builder()
            .mode(exact ? WeightDiff.Mode.EXACT : WeightDiff.Mode.ARITHMETIC)
            .maxShardBytes(maxShardBytes)
            .replaceExisting(overwrite)
            .requireManifest(requireManifest)
            .testInference(testInference)
            .device(device.device())
            .listener(WeightDiffTool::tell);
    if (dtype != null) {
      builder.dtype(dtype);
    }
    if (checkNaively) {
      builder.integrityCheck(IntegrityCheck.ALPACA_7B);
    } else if (expectedSum != null) {
      builder.integrityCheck(IntegrityCheck.naiveSum(expectedSum, 1e-2));
    }
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    if (task == Task.MAKE) {
      WeightDiff.MakeResult made = builder.build().make(raw, tuned, diff);
      out.println(
          made.tensors()
              + " tensors; recovered weights differ from the tuned ones by at most "
              + made.maxDeviation());
    } else {
      WeightDiff.RecoverResult result = builder.build().recover(raw, diff, tuned);
      out.println(
          result.tensors()
              + (result.verified() ? " tensors, verified" : " tensors, without manifest"));
      result.testInference().ifPresent(out::println);
    }
    return ExampleCommand.DONE;
  }

  private static void tell(Progress progress) {
    System.err.println(
        String.format(
            Locale.ROOT,
            "%s %d/%d %s",
            progress.phase().name().toLowerCase(Locale.ROOT),
            progress.tensorsDone(),
            progress.tensorsTotal(),
            progress.tensor()));
  }
}
