package org.alpaca4j.examples;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.train.SftConfig;
import org.alpaca4j.train.SftTrainer;
import org.alpaca4j.train.TrainingResult;

/**
 * Fine-tunes a model in about a minute, without any download: a tiny Llama that knows a small
 * invented world from stories learns to follow instructions about it, and is tested on instructions
 * about villagers, sums and lists that no training instruction mentions.
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.Quickstart
 * </pre>
 *
 * <p>With a model and data of your own the steps are the same: only the two paths change.
 */
public final class Quickstart {
  private static final Path OUT = Path.of("out/quickstart");
  private static final int SHOWN = 10;

  private Quickstart() {}

  /** Runs the example; takes no arguments. */
  public static void main(String[] args) throws IOException {
    TinyWorld world = new TinyWorld();
    List<InstructionRecord> test = world.heldOut();
    Path base = TinyModel.unpack(OUT.resolve("base"));
    Path data = writeJson(world.training(), OUT.resolve("alpaca_data.json"));
    Path tuned = OUT.resolve("checkpoint");
    Path plot = OUT.resolve("loss.png");

    List<String> before;
    TrainingResult result;
    try (CausalLm model = CausalLm.load(base);
        ConsoleProgress progress = new ConsoleProgress("fine-tuning")) {
      before = answers(model, test);

      SupervisedDataset train =
          SupervisedDataset.builder()
              .tokenizer(model.tokenizer())
              .template(PromptTemplate.ALPACA)
              .json(data)
              .maxLength(128)
              .build();
      result =
          SftTrainer.builder()
              .model(model)
              .dataset(train)
              .config(
                  SftConfig.builder()
                      .epochs(3)
                      .batchSize(32)
                      .learningRate(1e-3)
                      .warmupRatio(0.03)
                      .build())
              .listener(progress)
              .outputDirectory(tuned)
              .build()
              .train();
      LossPlot.save(result, "Quickstart: loss of instruction fine-tuning", plot);
    }

    List<String> after;
    try (CausalLm model = CausalLm.load(tuned)) {
      after = answers(model, test);
    }
    report(test, before, after);
  }
}
