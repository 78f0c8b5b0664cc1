package org.alpaca4j.examples;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.alpaca4j.core.DType;
import org.alpaca4j.weights.gguf.GgufExport;
import org.alpaca4j.weights.gguf.GgufImport;
import org.alpaca4j.weights.gguf.GgufQuantisation;
import org.alpaca4j.weights.gguf.GgufType;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Converts a checkpoint folder to a GGUF file, which llama.cpp and Ollama run, or back: a source
 * whose name ends with {@code .gguf} is imported, any other is exported.
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.ConvertGguf \
 *   -Dexec.args="my-model my-model.gguf --quantise Q4_K_M"
 * </pre>
 */
@Command(
    name = "ConvertGguf",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Converts a checkpoint folder to a GGUF file, or back.")
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class ConvertGguf implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "SOURCE", description = "a folder, or a file *.gguf")
  private Path source;

  @Parameters(index = "1", paramLabel = "TARGET", description = "a file, or a folder")
  private Path target;

  @Option(
      names = "--type",
      paramLabel = "TYPE",
      description = "F32, F16, BF16, or Q8_0 (export only); default as stored")
  private @Nullable GgufType type;

  @Option(
      names = "--quantise",
      paramLabel = "KIND",
      description = "as llama.cpp does (export only): ${COMPLETION-CANDIDATES}")
  private @Nullable GgufQuantisation quantisation;

  @Option(
      names = "--pre",
      paramLabel = "NAME",
      description = "the pre-tokenizer's name (such as qwen2), where it is not recognised")
  private @Nullable String preTokenizer;

  @Option(
      names = "--modelfile",
      description = "writes a Modelfile for Ollama beside the file, too (export only)")
  private boolean modelfile;

  ConvertGguf() {}

  /** Converts; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new ConvertGguf(), args));
  }

  @Override
  public Integer call() {
    if (source.toString().endsWith(".gguf")) {
      importFile();
    } else {
      exportFolder();
    }
    return ExampleCommand.DONE;
  }

  private void exportFolder() {
    GgufExport.Builder export = GgufExport.builder(source);
    if (type != null) {
      export.type(type);
    }
    if (quantisation != null) {
      export.quantise(quantisation);
    }
    if (preTokenizer != null) {
      export.preTokenizer(preTokenizer);
    }
    export.modelfile(modelfile).build().write(target);
  }

  private void importFile() {
    GgufImport.Builder gguf = GgufImport.builder(source);
    if (quantisation != null) {
      throw ExampleCommand.refusal("--quantise is for export only");
    }
    if (modelfile) {
      throw ExampleCommand.refusal("--modelfile is for export only");
    }
    if (type != null) {
      if (type.isQuantised()) {
        throw ExampleCommand.refusal(
            "--type " + type + " is for export only: a folder holds F32, BF16 or F16");
      }
      gguf.dtype(DType.valueOf(type.name()));
    }
    if (preTokenizer != null) {
      gguf.preTokenizer(preTokenizer);
    }
    gguf.build().write(target);
  }
}
