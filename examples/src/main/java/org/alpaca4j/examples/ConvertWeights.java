package org.alpaca4j.examples;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.alpaca4j.core.DType;
import org.alpaca4j.weights.CheckpointConverter;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Makes a Hugging Face folder of safetensors from a Hugging Face folder (.bin or safetensors) or
 * from Meta's release of a Llama, whichever the input is. The first step of recovering Alpaca-7B:
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.ConvertWeights \
 *   -Dexec.args="--input LLaMA/7B --output llama-7b-hf"
 * </pre>
 */
@Command(
    name = "ConvertWeights",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Makes a Hugging Face folder of safetensors from other weights.")
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class ConvertWeights implements Callable<Integer> {
  @Option(
      names = "--input",
      required = true,
      paramLabel = "DIR",
      description = "Hugging Face folder, or Meta's (params.json, consolidated.NN.pth)")
  private Path input;

  @Option(names = "--output", required = true, paramLabel = "DIR", description = "folder to make")
  private Path output;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      converter = WeightType.class,
      description = "float32, bfloat16 or float16 (default: as in the input)")
  private @Nullable DType dtype;

  @Option(
      names = "--max_shard_size",
      paramLabel = "SIZE",
      converter = ShardSize.class,
      description = "largest shard, such as 500MB or 2GiB (default: 5GB)")
  private Long maxShardSize = 5_000_000_000L;

  @Option(names = "--threads", paramLabel = "N", description = "default: one per processor")
  private @Nullable Integer threads;

  @Option(
      names = "--tokenizer",
      paramLabel = "PATH",
      description = "of Meta's release, where its tokenizer.model is not in or above the input")
  private @Nullable Path tokenizer;

  ConvertWeights() {}

  /** Converts; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new ConvertWeights(), args));
  }

  @Override
  public Integer call() {
    ExampleCommand.requireAtLeastOne("--threads", threads);
    CheckpointConverter.Builder conversion =
        CheckpointConverter.builder(input, output).maxShardBytes(maxShardSize);
    if (dtype != null) {
      conversion.dtype(dtype);
    }
    if (threads != null) {
      conversion.threads(threads);
    }
    if (tokenizer != null) {
      conversion.tokenizer(tokenizer);
    }
    CheckpointConverter.Result result = conversion.build().convert();
    print(output, result);
    return ExampleCommand.DONE;
  }

  /** Says what was written. */
  static void print(Path folder, CheckpointConverter.Result result) {
    PrintStream out = System.out;
    out.printf(
        Locale.ROOT,
        "%s: %d tensors, %,d parameters, %,d bytes%n",
        folder,
        result.tensors(),
        result.parameters(),
        result.bytes());
  }
}
