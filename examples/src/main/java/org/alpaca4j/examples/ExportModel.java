package org.alpaca4j.examples;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.alpaca4j.core.DType;
import org.alpaca4j.weights.AdapterMerge;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Merges LoRA adapters into the model that they were trained on. The names are those of
 * LLaMA-Factory's export.
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.ExportModel \
 *   -Dexec.args="--model_name_or_path qwen --adapter_name_or_path out --export_dir merged"
 * </pre>
 */
@Command(
    name = "ExportModel",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Merges LoRA adapters into the model that they were trained on.")
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class ExportModel implements Callable<Integer> {
  @Option(
      names = "--model_name_or_path",
      required = true,
      paramLabel = "DIR",
      description = "the model's folder")
  private Path model;

  @Option(
      names = "--adapter_name_or_path",
      required = true,
      split = ",",
      paramLabel = "DIR",
      description = "the adapter's folder; several are added up")
  private List<Path> adapters;

  @Option(
      names = "--export_dir",
      required = true,
      paramLabel = "DIR",
      description = "folder to make")
  private Path output;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      converter = WeightType.class,
      description = "float32, bfloat16 or float16 (default: as in the model)")
  private @Nullable DType dtype;

  ExportModel() {}

  /** Merges; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new ExportModel(), args));
  }

  @Override
  public Integer call() {
    AdapterMerge.Builder merge = AdapterMerge.builder(model, output);
    adapters.forEach(merge::adapter);
    if (dtype != null) {
      merge.dtype(dtype);
    }
    ConvertWeights.print(output, merge.build().merge());
    return ExampleCommand.DONE;
  }
}
