package org.alpaca4j.examples;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.InstructionReader;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.train.SftConfig;
import org.alpaca4j.train.SftTrainer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Stanford Alpaca's train.py: fine-tunes a checkpoint on instructions, with the same command line.
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.AlpacaTrain \
 *   -Dexec.args="--model_name_or_path llama-7b --data_path alpaca_data.json --output_dir out \
 *     --bf16 True --num_train_epochs 3 --learning_rate 2e-5 --warmup_ratio 0.03"
 * </pre>
 *
 * <p>Defaults are those of train.py and the transformers Trainer below it. What an option asks for
 * and is not supported is refused by the option's name before anything is loaded.
 */
@Command(
    name = "AlpacaTrain",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Fine-tunes a Hugging Face checkpoint on instructions, as Stanford Alpaca does.",
      "A record has instruction, input (which may be missing) and output."
    })
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class AlpacaTrain implements Callable<Integer> {

  /** When something is done. */
  enum Strategy {
    NO,
    STEPS,
    EPOCH
  }

  /** How instruction and answer become ids and labels. */
  enum Masking {
    SEGMENTS,
    COMPATIBLE
  }

  @Mixin private final TrainingOptions training = new TrainingOptions();

  @Option(
      names = "--tf32",
      arity = "1",
      paramLabel = "True|False",
      description = "not supported; say False or leave it out")
  private Boolean tf32 = false;

  @Option(
      names = "--num_train_epochs",
      paramLabel = "N",
      description = "epochs (default: ${DEFAULT-VALUE})")
  private double epochs = 3;

  @Option(
      names = "--max_steps",
      paramLabel = "N",
      description = "optimizer steps, in place of the epochs; -1: count epochs (default)")
  private int maxSteps = -1;

  @Option(
      names = "--per_device_train_batch_size",
      paramLabel = "N",
      description = "examples per micro-batch (default: ${DEFAULT-VALUE})")
  private int trainBatchSize = 8;

  @Option(
      names = "--per_device_eval_batch_size",
      paramLabel = "N",
      description = "examples per batch of evaluation (default: ${DEFAULT-VALUE})")
  private int evalBatchSize = 8;

  @Option(
      names = "--gradient_checkpointing",
      arity = "1",
      paramLabel = "True|False",
      description = "compute activations again in the backward pass, to save memory")
  private Boolean gradientCheckpointing = false;

  @Option(
      names = {"--evaluation_strategy", "--eval_strategy"},
      paramLabel = "no|steps|epoch",
      description = "when to evaluate; needs --eval_data_path or --eval_ratio (default: no)")
  private Strategy evaluationStrategy = Strategy.NO;

  @Option(
      names = "--eval_steps",
      paramLabel = "N",
      description = "steps between evaluations (default: as --logging_steps)")
  private @Nullable Integer evalSteps;

  @Option(
      names = "--save_strategy",
      paramLabel = "no|steps|epoch",
      description = "when to save besides the end (default: steps)")
  private Strategy saveStrategy = Strategy.STEPS;

  @Option(
      names = "--save_steps",
      paramLabel = "N",
      description = "steps between checkpoints (default: ${DEFAULT-VALUE})")
  private int saveSteps = 500;

  @Option(
      names = "--save_total_limit",
      paramLabel = "N",
      description = "how many of the newest checkpoints are kept (default: all)")
  private @Nullable Integer saveTotalLimit;

  @Option(
      names = "--max_grad_norm",
      paramLabel = "X",
      description = "norm to which gradients are clipped (default: ${DEFAULT-VALUE})")
  private double maxGradientNorm = 1.0;

  @Option(
      names = "--logging_steps",
      paramLabel = "N",
      description = "steps between lines about the loss (default: ${DEFAULT-VALUE})")
  private int loggingSteps = 500;

  @Option(
      names = "--optim",
      paramLabel = "NAME",
      description = "adamw_torch or adamw_torch_fused; both are the same here")
  private String optimizer = "adamw_torch";

  @Option(
      names = "--fsdp",
      arity = "0..1",
      fallbackValue = "",
      paramLabel = "TEXT",
      description = "not supported yet; leave it out")
  private String fsdp = "";

  @Option(
      names = "--fsdp_transformer_layer_cls_to_wrap",
      arity = "0..1",
      fallbackValue = "",
      paramLabel = "NAME",
      description = "not supported yet; leave it out")
  private String fsdpLayerClass = "";

  @Option(
      names = "--deepspeed",
      arity = "0..1",
      fallbackValue = "",
      paramLabel = "FILE",
      description = "not supported yet; leave it out")
  private String deepspeed = "";

  @Option(
      names = "--masking",
      paramLabel = "segments|compatible",
      description = "compatible: ids and labels exactly as train.py's (default: segments)")
  private Masking masking = Masking.SEGMENTS;

  AlpacaTrain() {
    training.learningRate = 5e-5;
    training.schedule = "linear";
    training.modelMaxLength = 512;
  }

  /** Trains; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new AlpacaTrain(), args));
  }

  @Override
  public Integer call() {
    refuseWhatIsNotSupported();
    SftConfig config = config();
    training.useThreads();
    try (CausalLm lm = load()) {
      training.train(trainer(lm).config(config));
    }
    return ExampleCommand.DONE;
  }

  /**
   * As train.py: special tokens that the tokenizer lacks are added, and embeddings grow to it. Not
   * for an adapter, which has no embeddings.
   */
  private CausalLm load() {
    if (training.trainsAdapter()) {
      return CausalLm.builder(training.model()).device(training.device()).load();
    }
    try (Tokenizer tokenizer = Tokenizer.load(training.model())) {
      return CausalLm.builder(training.model())
          .device(training.device())
          .tokenizer(tokenizer.withMissingSpecialTokens().tokenizer())
          .load();
    }
  }

  private SftTrainer.Builder trainer(CausalLm lm) {
    SftTrainer.Builder trainer =
        SftTrainer.builder().model(lm).listener(new LossLines(System.out, loggingSteps));
    Function<Path, SupervisedDataset> reader = file -> dataset(lm.tokenizer(), file);
    if (training.evalOption() == null) {
      return trainer.dataset(training.dataset(reader));
    }
    SupervisedDataset.Split sets = training.datasets(reader);
    return trainer.dataset(sets.train()).evalDataset(sets.eval());
  }

  private SupervisedDataset dataset(Tokenizer tokenizer, Path file) {
    return SupervisedDataset.builder()
        .tokenizer(tokenizer)
        .template(PromptTemplate.ALPACA)
        .source(GivenData.records(file).map(InstructionReader.alpaca()))
        .maxLength(training.modelMaxLength)
        .mode(
            masking == Masking.SEGMENTS
                ? SupervisedDataset.Mode.SEGMENTS
                : SupervisedDataset.Mode.COMPATIBLE)
        .build();
  }

  /** Returns the options as the trainer takes them. */
  SftConfig config() {
    SftConfig.Builder config =
        training
            .config()
            .epochs(epochs)
            .batchSize(trainBatchSize)
            .evalBatchSize(evalBatchSize)
            .maxGradientNorm(maxGradientNorm)
            .activationRecomputation(gradientCheckpointing)
            .evalSteps(
                evaluationStrategy != Strategy.STEPS
                    ? 0
                    : evalSteps != null ? evalSteps : loggingSteps)
            .evalEachEpoch(evaluationStrategy == Strategy.EPOCH)
            .saveSteps(saveStrategy == Strategy.STEPS ? saveSteps : 0)
            .saveEachEpoch(saveStrategy == Strategy.EPOCH)
            .saveTotalLimit(saveTotalLimit != null ? saveTotalLimit : Integer.MAX_VALUE);
    if (maxSteps > 0) {
      config.maxSteps(maxSteps);
    }
    return config.build();
  }

  /** Refuses all that is not supported at once, so that a user corrects the line once. */
  private void refuseWhatIsNotSupported() {
    List<String> refused = new ArrayList<>();
    if (!ExampleCommand.withoutQuotes(fsdp).isBlank()) {
      refused.add(
          "--fsdp \""
              + ExampleCommand.withoutQuotes(fsdp)
              + "\": sharding over several processes is not supported yet; leave it out, and one"
              + " process trains the whole model");
    }
    if (!ExampleCommand.withoutQuotes(fsdpLayerClass).isBlank()) {
      refused.add(
          "--fsdp_transformer_layer_cls_to_wrap "
              + fsdpLayerClass
              + ": belongs to --fsdp, which is not supported yet; leave it out");
    }
    if (!ExampleCommand.withoutQuotes(deepspeed).isBlank()) {
      refused.add("--deepspeed " + deepspeed + ": is not supported yet; leave it out");
    }
    if (tf32) {
      refused.add(
          "--tf32 True: fp32 arithmetic is fp32 here on every device; say --tf32 False or leave it"
              + " out (--bf16 True is the fast one)");
    }
    if (!List.of("adamw_torch", "adamw_torch_fused")
        .contains(ExampleCommand.withoutQuotes(optimizer))) {
      refused.add("--optim " + optimizer + ": is not supported; choose adamw_torch");
    }
    if (!refused.isEmpty()) {
      throw ExampleCommand.refusal("not supported:\n  " + String.join("\n  ", refused));
    }
    refuseWhatDoesNotFit();
  }

  private void refuseWhatDoesNotFit() {
    if (evaluationStrategy != Strategy.NO && training.evalOption() == null) {
      throw ExampleCommand.refusal(
          "--evaluation_strategy needs something to evaluate on: add --eval_data_path FILE or"
              + " --eval_ratio R, or say \"no\"");
    }
    if (evaluationStrategy == Strategy.NO && training.evalOption() != null) {
      throw ExampleCommand.refusal(
          training.evalOption()
              + " needs --evaluation_strategy steps or epoch; add it, or leave the data out");
    }
    training.requireOneEvalData();
    ExampleCommand.requireAtLeastOne("--logging_steps", loggingSteps);
  }
}
