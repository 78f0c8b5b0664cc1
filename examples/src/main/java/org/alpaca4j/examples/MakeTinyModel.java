package org.alpaca4j.examples;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.train.SftConfig;
import org.alpaca4j.train.SftTrainer;

/**
 * Makes the base model of {@link Quickstart} from nothing: trains the tokenizer on {@link
 * TinyWorld}, draws random weights, lets the model read stories for some minutes, and writes it in
 * bf16 to where the build picks it up as a resource.
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.MakeTinyModel
 * </pre>
 *
 * <p>The tokenizer comes out the same everywhere; the weights do on one machine with one number of
 * threads, and agree but for rounding elsewhere.
 */
public final class MakeTinyModel {
  private static final Path RANDOM = Path.of("out/tinymodel/random");
  private static final Path RESOURCES =
      Path.of("examples/src/main/resources/org/alpaca4j/examples/tinymodel");
  private static final int VOCABULARY = 640;
  private static final double INITIAL_DEVIATION = 0.05;
  private static final int STORIES = 120_000;
  private static final int STORIES_FOR_TOKENIZER = 2_000;
  private static final int PROMPTS_FOR_TOKENIZER = 100;

  private MakeTinyModel() {}

  /** Makes the model. An optional argument names the folder to write. */
  public static void main(String[] args) throws IOException {
    TinyWorld world = new TinyWorld();
    writeRandomModel(RANDOM, tokenizer(world));

    try (CausalLm model = CausalLm.load(RANDOM);
        ConsoleProgress progress = new ConsoleProgress("reading")) {
      SftTrainer.builder()
          .model(model)
          .dataset(stories(world, model.tokenizer()))
          .config(
              SftConfig.builder()
                  .epochs(1)
                  .batchSize(32)
                  .learningRate(3e-3)
                  .warmupSteps(100)
                  .build())
          .listener(progress)
          .build()
          .train();
      Path target = args.length > 0 ? Path.of(args[0]) : RESOURCES;
      model.save(CheckpointWriter.builder(target).replaceExisting(true), DType.BF16);
      System.out.println("Written to " + target);
    }
  }

  /** Its words: those of the stories, and those of instructions, which it has yet to learn. */
  private static TinyTokenizer tokenizer(TinyWorld world) {
    List<String> texts = new ArrayList<>(world.stories(STORIES_FOR_TOKENIZER));
    for (InstructionRecord record : world.training()) {
      texts.addAll(List.of(record.instruction(), record.input(), record.output()));
    }
    for (InstructionRecord record : world.training().subList(0, PROMPTS_FOR_TOKENIZER)) {
      texts.add(PromptTemplate.ALPACA.render(record.instruction(), record.input()));
    }
    return TinyTokenizer.train(texts, VOCABULARY);
  }

  private static ModelConfig config() {
    return ModelConfig.builder("llama")
        .vocabSize(VOCABULARY)
        .hiddenSize(96)
        .intermediateSize(224)
        .numHiddenLayers(4)
        .numAttentionHeads(4)
        .numKeyValueHeads(2)
        .maxPositionEmbeddings(512)
        .rmsNormEps(1e-6)
        .tieWordEmbeddings(true)
        .initializerRange(INITIAL_DEVIATION)
        .bosTokenId(TinyTokenizer.SPECIAL_TOKENS.indexOf("<s>"))
        .eosTokenIds(List.of(TinyTokenizer.SPECIAL_TOKENS.indexOf("</s>")))
        .padTokenId(TinyTokenizer.SPECIAL_TOKENS.indexOf("[PAD]"))
        .dtype(DType.F32)
        .build();
  }

  /** Norm weights are 1, all others drawn from a normal distribution. */
  private static void writeRandomModel(Path folder, TinyTokenizer tokenizer) {
    ModelConfig config = config();
    Map<String, long[]> shapes = config.tensorShapes();
    CheckpointWriter.Builder writer =
        CheckpointWriter.builder(folder)
            .replaceExisting(true)
            .config(config)
            .files(tokenizer::save);
    shapes.forEach((name, shape) -> writer.tensor(name, DType.F32, shape));
    Random random = new Random(1);
    writer
        .build()
        .write(
            (name, out) -> {
              long[] shape = shapes.getOrDefault(name, new long[0]);
              int elements = (int) (shape[0] * (shape.length > 1 ? shape[1] : 1));
              ByteBuffer values = littleEndian(elements * Float.BYTES);
              while (values.hasRemaining()) {
                boolean norm = shape.length == 1;
                values.putFloat(norm ? 1 : (float) (INITIAL_DEVIATION * random.nextGaussian()));
              }
              out.write(values.flip());
            });
  }

  /** Plain text: every token is learnt, from the first to the closing end. */
  private static SupervisedDataset stories(TinyWorld world, Tokenizer tokenizer) {
    return SupervisedDataset.builder()
        .tokenizer(tokenizer)
        .template(PromptTemplate.of("{instruction}{input}", "{instruction}"))
        .records(
            world.stories(STORIES).stream().map(story -> InstructionRecord.of("", story)).toList())
        .build();
  }

  private static ByteBuffer littleEndian(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
