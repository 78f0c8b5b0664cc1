package org.alpaca4j.examples;

import ai.djl.Device;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.ExampleOrder;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.train.LearningRateSchedule;
import org.alpaca4j.train.SftConfig;
import org.alpaca4j.train.SftTrainer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

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
    description = "Fine-tunes a Hugging Face checkpoint on instructions, as Stanford Alpaca does.")
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

  @Spec private CommandSpec spec;

  @Option(
      names = "--model_name_or_path",
      required = true,
      paramLabel = "DIR",
      description = "checkpoint folder: weights, config.json, tokenizer.json")
  private Path model;

  @Option(
      names = "--data_path",
      required = true,
      paramLabel = "FILE",
      description = "records with instruction, input, output: a JSON array or JSON lines")
  private Path data;

  @Option(
      names = "--output_dir",
      required = true,
      paramLabel = "DIR",
      description = "where the fine-tuned checkpoint goes")
  private Path output;

  @Option(
      names = "--bf16",
      arity = "1",
      paramLabel = "True|False",
      description = "bf16 arithmetic over fp32 weights (default: False)")
  private Boolean bf16 = false;

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
      names = "--gradient_accumulation_steps",
      paramLabel = "N",
      description = "micro-batches per optimizer step (default: ${DEFAULT-VALUE})")
  private int gradientAccumulationSteps = 1;

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
      names = "--eval_data_path",
      paramLabel = "FILE",
      description = "records to evaluate on, as --data_path")
  private @Nullable Path evalData;

  @Option(
      names = "--eval_ratio",
      paramLabel = "R",
      description = "share of the records to evaluate on instead of training on them")
  private @Nullable Double evalRatio;

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
      names = "--learning_rate",
      paramLabel = "X",
      description = "largest learning rate (default: ${DEFAULT-VALUE})")
  private double learningRate = 5e-5;

  @Option(
      names = "--weight_decay",
      paramLabel = "X",
      description = "of matrices and embeddings (default: ${DEFAULT-VALUE})")
  private double weightDecay;

  @Option(
      names = "--max_grad_norm",
      paramLabel = "X",
      description = "norm to which gradients are clipped (default: ${DEFAULT-VALUE})")
  private double maxGradientNorm = 1.0;

  @Option(
      names = "--warmup_ratio",
      paramLabel = "R",
      description = "share of steps with rising learning rate (default: ${DEFAULT-VALUE})")
  private double warmupRatio;

  @Option(
      names = "--lr_scheduler_type",
      paramLabel = "NAME",
      description = "course of the learning rate (default: linear)")
  private LearningRateSchedule.Type schedule = LearningRateSchedule.Type.LINEAR;

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
      names = "--model_max_length",
      paramLabel = "N",
      description = "tokens of an example, longer ones are cut (default: ${DEFAULT-VALUE})")
  private int modelMaxLength = 512;

  @Option(
      names = "--masking",
      paramLabel = "segments|compatible",
      description = "compatible: ids and labels exactly as train.py's (default: segments)")
  private Masking masking = Masking.SEGMENTS;

  @Option(
      names = "--shuffle",
      arity = "1",
      paramLabel = "True|False",
      description = "False: the order of the file (default: True)")
  private Boolean shuffle = true;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "of all that is random (default: ${DEFAULT-VALUE})")
  private long seed = 42;

  @Option(
      names = "--device",
      paramLabel = "cpu|cuda",
      converter = DeviceName.class,
      description = "where to compute; cuda:N for a certain one (default: cpu)")
  private Device device = Device.cpu();

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "threads of the arithmetic (default: as PyTorch chooses)")
  private @Nullable Integer threads;

  @Option(
      names = "--log_file",
      paramLabel = "FILE",
      description =
          "a JSON line per step: step, loss, lr, grad_norm, supervised_tokens, tokens, seconds")
  private @Nullable Path logFile;

  AlpacaTrain() {}

  /** Trains; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new AlpacaTrain(), args));
  }

  @Override
  public Integer call() {
    refuseWhatIsNotSupported();
    SftConfig config = config();
    ExampleCommand.useThreads(spec, threads);
    try (CausalLm lm = load()) {
      train(lm, datasets(lm.tokenizer()), config);
    }
    return ExampleCommand.DONE;
  }

  /** As train.py: special tokens that the tokenizer lacks are added, and embeddings grow to it. */
  private CausalLm load() {
    try (Tokenizer tokenizer = Tokenizer.load(model)) {
      return CausalLm.builder(model)
          .device(device)
          .tokenizer(tokenizer.withMissingSpecialTokens().tokenizer())
          .load();
    }
  }

  private void train(CausalLm lm, TrainAndEval sets, SftConfig config) {
    SftTrainer.Builder trainer =
        SftTrainer.builder()
            .model(lm)
            .dataset(sets.train())
            .config(config)
            .promptTemplate(PromptTemplate.ALPACA)
            .outputDirectory(output)
            .listener(new LossLines(System.out, loggingSteps));
    if (sets.eval() != null) {
      trainer.evalDataset(sets.eval());
    }
    if (logFile == null) {
      trainer.build().train();
      return;
    }
    try (StepLog log = StepLog.create(logFile)) {
      trainer.listener(log).build().train();
    }
  }

  private record TrainAndEval(SupervisedDataset train, @Nullable SupervisedDataset eval) {}

  private TrainAndEval datasets(Tokenizer tokenizer) {
    SupervisedDataset all = dataset(tokenizer, data);
    if (evalData != null) {
      return new TrainAndEval(all, dataset(tokenizer, evalData));
    }
    if (evalRatio != null) {
      SupervisedDataset.Split split = all.splitByRatio(evalRatio, seed);
      return new TrainAndEval(split.train(), split.eval());
    }
    return new TrainAndEval(all, null);
  }

  private SupervisedDataset dataset(Tokenizer tokenizer, Path file) {
    SupervisedDataset.Builder builder =
        SupervisedDataset.builder()
            .tokenizer(tokenizer)
            .template(PromptTemplate.ALPACA)
            .maxLength(modelMaxLength)
            .mode(
                masking == Masking.SEGMENTS
                    ? SupervisedDataset.Mode.SEGMENTS
                    : SupervisedDataset.Mode.COMPATIBLE);
    return (DataFile.isArray(file) ? builder.json(file) : builder.jsonl(file)).build();
  }

  /** Returns the options as the trainer takes them. */
  SftConfig config() {
    SftConfig.Builder config =
        SftConfig.builder()
            .epochs(epochs)
            .batchSize(trainBatchSize)
            .evalBatchSize(evalBatchSize)
            .gradientAccumulationSteps(gradientAccumulationSteps)
            .learningRate(learningRate)
            .schedule(schedule)
            .warmupRatio(warmupRatio)
            .weightDecay(weightDecay)
            .maxGradientNorm(maxGradientNorm)
            .precision(bf16 ? Precision.BFLOAT16 : Precision.FLOAT32)
            .activationRecomputation(gradientCheckpointing)
            .seed(seed)
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
    if (!shuffle) {
      config.order(ExampleOrder.SEQUENTIAL);
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
    if (schedule == LearningRateSchedule.Type.COSINE_WITH_MIN_LR
        || schedule == LearningRateSchedule.Type.WARMUP_STABLE_DECAY) {
      refused.add(
          "--lr_scheduler_type "
              + schedule.hfName()
              + ": needs options of its own, which this program does not take; choose another, such"
              + " as cosine");
    }
    if (!refused.isEmpty()) {
      throw ExampleCommand.refusal(
          spec.commandLine(), "not supported:\n  " + String.join("\n  ", refused));
    }
    refuseWhatDoesNotFit();
  }

  private void refuseWhatDoesNotFit() {
    CommandLine line = spec.commandLine();
    boolean hasEvalData = evalData != null || evalRatio != null;
    if (evaluationStrategy != Strategy.NO && !hasEvalData) {
      throw ExampleCommand.refusal(
          line,
          "--evaluation_strategy needs something to evaluate on: add --eval_data_path FILE or"
              + " --eval_ratio R, or say \"no\"");
    }
    if (evaluationStrategy == Strategy.NO && hasEvalData) {
      throw ExampleCommand.refusal(
          line,
          (evalData != null ? "--eval_data_path" : "--eval_ratio")
              + " needs --evaluation_strategy steps or epoch; add it, or leave the data out");
    }
    if (evalData != null && evalRatio != null) {
      throw ExampleCommand.refusal(
          line, "--eval_data_path and --eval_ratio exclude each other; leave one out");
    }
    ExampleCommand.requireAtLeastOne(spec, "--logging_steps", loggingSteps);
  }
}
