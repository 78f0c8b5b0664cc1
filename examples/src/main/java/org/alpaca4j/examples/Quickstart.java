package org.alpaca4j.examples;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.GenerationConfig;
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
    Path data = writeJson(world.training(), OUT.resolve("train.json"));
    Path testData = writeJson(test, OUT.resolve("test.json"));
    Path tuned = OUT.resolve("checkpoint");

    List<String> before;
    TrainingResult result;
    try (CausalLm model = CausalLm.load(base);
        ConsoleProgress progress = new ConsoleProgress("fine-tuning")) {
      System.out.println("Asking the base model ...");
      before = answers(model, test);

      SftConfig config =
          SftConfig.builder()
              .epochs(2)
              .batchSize(24)
              .learningRate(1e-3)
              .warmupRatio(0.03)
              .evalSteps(25)
              .evalBatchSize(60)
              .build();
      result =
          SftTrainer.builder()
              .model(model)
              .dataset(dataset(model, data))
              .evalDataset(dataset(model, testData))
              .config(config)
              .outputDirectory(tuned)
              .replaceExisting(true)
              .listener(progress)
              .build()
              .train();
    }
    String plot = LossPlot.save(result, "Quickstart: fine-tuning", OUT.resolve("loss.png"));

    List<String> after;
    try (CausalLm model = CausalLm.load(tuned)) {
      System.out.println("Asking the fine-tuned model ...");
      after = answers(model, test);
      System.out.println("model.chat(...): " + model.chat(test.get(3).instruction()));
    }

    show(test, before, after);
    System.out.printf(
        """

        Held-out instructions answered exactly right: %.1f %% before, %.1f %% after (of %d).
        Trained on %d instructions, %d tokens, in %d steps and %d s; loss %.2f -> %.2f.
        Checkpoint: %s
        Loss curve: %s
        """,
        exactMatch(test, before),
        exactMatch(test, after),
        test.size(),
        world.training().size(),
        result.tokens(),
        result.steps().size(),
        result.duration().toSeconds(),
        result.steps().get(0).loss(),
        result.finalLoss(),
        tuned.toAbsolutePath(),
        plot);
  }

  private static SupervisedDataset dataset(CausalLm model, Path json) {
    return SupervisedDataset.builder()
        .tokenizer(model.tokenizer())
        .template(PromptTemplate.ALPACA)
        .json(json)
        .maxLength(128)
        .build();
  }

  /** Answers greedily, to the prompts that the training wraps its instructions in. */
  private static List<String> answers(CausalLm model, List<InstructionRecord> records) {
    List<int[]> prompts =
        records.stream()
            .map(record -> PromptTemplate.ALPACA.render(record.instruction(), record.input()))
            .map(prompt -> model.tokenizer().encodeIds(prompt, true))
            .toList();
    GenerationConfig greedy = GenerationConfig.builder().maxNewTokens(24).build();
    return model.generator().generate(prompts, greedy).stream()
        .map(result -> result.text().strip())
        .toList();
  }

  private static void show(List<InstructionRecord> test, List<String> before, List<String> after) {
    for (int i = 0; i < SHOWN; i++) {
      InstructionRecord record = test.get(i);
      String input = record.input().isEmpty() ? "" : "  (" + record.input() + ")";
      System.out.println();
      System.out.println("  asked:  " + record.instruction() + input);
      System.out.println("  before: " + before.get(i).replace('\n', ' '));
      System.out.println("  after:  " + after.get(i));
      if (!after.get(i).equals(record.output())) {
        System.out.println("  right:  " + record.output());
      }
    }
  }

  /** The share of answers that are exactly as expected, in percent. */
  private static double exactMatch(List<InstructionRecord> records, List<String> answers) {
    int right = 0;
    for (int i = 0; i < records.size(); i++) {
      right += answers.get(i).equals(records.get(i).output()) ? 1 : 0;
    }
    return 100.0 * right / records.size();
  }

  /** The form in which instruction data comes: a JSON list of instruction, input, output. */
  private static Path writeJson(List<InstructionRecord> records, Path file) throws IOException {
    Files.createDirectories(file.toAbsolutePath().getParent());
    new ObjectMapper().writerWithDefaultPrettyPrinter().writeValue(file.toFile(), records);
    return file;
  }
}
