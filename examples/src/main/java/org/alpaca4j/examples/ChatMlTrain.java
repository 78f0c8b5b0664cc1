package org.alpaca4j.examples;

import ai.djl.Device;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.ChatMlPreprocessor.LabelMask;
import org.alpaca4j.data.ExampleOrder;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.train.LearningRateSchedule;
import org.alpaca4j.train.ModelEvaluator;
import org.alpaca4j.train.SftConfig;
import org.alpaca4j.train.SftTrainer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Fine-tunes a Qwen or other ChatML checkpoint on conversations, and shows training and evaluation
 * loss side by side after each epoch, since too many epochs over-fit.
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.ChatMlTrain \
 *   -Dexec.args="--model_name_or_path Qwen2-0.5B-Instruct --data_path conversations.jsonl \
 *     --eval_ratio 0.1 --epochs 3 --output_dir out --prompt 'Who are you?'"
 * </pre>
 *
 * <p>A line of the data is {@code {"messages": [{"role": "user", "content": "..."}, {"role":
 * "assistant", "content": "..."}]}}.
 */
@Command(
    name = "ChatMlTrain",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Fine-tunes a Qwen or other ChatML checkpoint on conversations.")
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class ChatMlTrain implements Callable<Integer> {
  private static final String SYSTEM = "You are a helpful assistant.";

  /** Which tokens are learnt. */
  enum Mask {
    /** Assistant's contents and their closing token. */
    ASSISTANT,
    /** Assistant's contents only. */
    CONTENT_ONLY,
    /** Assistant's contents, and the frame of every message. */
    QWEN,
    /** What the assistant says according to the checkpoint's own chat template. */
    TEMPLATE
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
      description = "conversations: JSON lines (or one array) of objects with messages")
  private Path data;

  @Option(
      names = "--eval_data_path",
      paramLabel = "FILE",
      description = "conversations to evaluate on, as --data_path")
  private @Nullable Path evalData;

  @Option(
      names = "--eval_ratio",
      paramLabel = "R",
      description = "share of the conversations to evaluate on (default: 0.1)")
  private @Nullable Double evalRatio;

  @Option(
      names = "--output_dir",
      required = true,
      paramLabel = "DIR",
      description = "where the fine-tuned checkpoint goes")
  private Path output;

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      description = "a question to ask before and after")
  private @Nullable String prompt;

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description = "system message of that question (default: ${DEFAULT-VALUE})")
  private String system = SYSTEM;

  @Option(
      names = "--max_new_tokens",
      paramLabel = "N",
      description = "longest answer, in tokens (default: ${DEFAULT-VALUE})")
  private int maxNewTokens = 512;

  @Option(
      names = "--mask",
      paramLabel = "assistant|content_only|qwen|template",
      description =
          "what is learnt: the assistant's contents and their end (assistant, default), the"
              + " contents alone, Qwen's own mask, or by the checkpoint's chat template")
  private Mask mask = Mask.ASSISTANT;

  @Option(
      names = {"--epochs", "--num_train_epochs"},
      paramLabel = "N",
      description = "epochs (default: ${DEFAULT-VALUE})")
  private int epochs = 3;

  @Option(
      names = {"--batch_size", "--per_device_train_batch_size"},
      paramLabel = "N",
      description = "conversations per micro-batch (default: ${DEFAULT-VALUE})")
  private int batchSize = 4;

  @Option(
      names = "--gradient_accumulation_steps",
      paramLabel = "N",
      description = "micro-batches per optimizer step (default: ${DEFAULT-VALUE})")
  private int gradientAccumulationSteps = 1;

  @Option(
      names = "--learning_rate",
      paramLabel = "X",
      description = "largest learning rate (default: ${DEFAULT-VALUE})")
  private double learningRate = 1e-5;

  @Option(
      names = "--warmup_ratio",
      paramLabel = "R",
      description = "share of steps with rising learning rate (default: ${DEFAULT-VALUE})")
  private double warmupRatio = 0.03;

  @Option(
      names = "--lr_scheduler_type",
      paramLabel = "NAME",
      description = "course of the learning rate (default: cosine)")
  private LearningRateSchedule.Type schedule = LearningRateSchedule.Type.COSINE;

  @Option(
      names = "--weight_decay",
      paramLabel = "X",
      description = "of matrices and embeddings (default: ${DEFAULT-VALUE})")
  private double weightDecay;

  @Option(
      names = "--model_max_length",
      paramLabel = "N",
      description = "tokens of a conversation, longer ones are cut (default: ${DEFAULT-VALUE})")
  private int modelMaxLength = 1024;

  @Option(
      names = "--bf16",
      arity = "1",
      paramLabel = "True|False",
      description = "bf16 arithmetic over fp32 weights (default: False)")
  private Boolean bf16 = false;

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

  ChatMlTrain() {}

  /** Trains; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new ChatMlTrain(), args));
  }

  @Override
  public Integer call() {
    if (evalData != null && evalRatio != null) {
      throw ExampleCommand.refusal(
          spec.commandLine(),
          "--eval_data_path and --eval_ratio exclude each other; leave one out");
    }
    ExampleCommand.requireReadable(spec, "--prompt", prompt);
    ExampleCommand.requireReadable(spec, "--system", system);
    ExampleCommand.requireAtLeastOne(spec, "--epochs", epochs);
    ExampleCommand.requireAtLeastOne(spec, "--max_new_tokens", maxNewTokens);
    ExampleCommand.useThreads(spec, threads);
    SftConfig config = config();

    ask("before", model);
    try (CausalLm lm = CausalLm.builder(model).device(device).load()) {
      SupervisedDataset.Split sets = datasets(lm.tokenizer());
      EpochTable table = new EpochTable(System.out);
      try (ModelEvaluator evaluator = ModelEvaluator.of(lm)) {
        table.begin(evaluator.evaluate(sets.eval()));
      }
      train(lm, sets, config, table);
    }
    System.out.println("saved " + output);
    ask("after", output);
    return ExampleCommand.DONE;
  }

  /** Returns the options as the trainer takes them. */
  SftConfig config() {
    SftConfig.Builder config =
        SftConfig.builder()
            .epochs(epochs)
            .evalEachEpoch(true)
            .batchSize(batchSize)
            .evalBatchSize(batchSize)
            .gradientAccumulationSteps(gradientAccumulationSteps)
            .learningRate(learningRate)
            .warmupRatio(warmupRatio)
            .schedule(schedule)
            .weightDecay(weightDecay)
            .precision(bf16 ? Precision.BFLOAT16 : Precision.FLOAT32)
            .seed(seed);
    if (!shuffle) {
      config.order(ExampleOrder.SEQUENTIAL);
    }
    return config.build();
  }

  private void train(
      CausalLm lm, SupervisedDataset.Split sets, SftConfig config, EpochTable table) {
    SftTrainer.Builder trainer =
        SftTrainer.builder()
            .model(lm)
            .dataset(sets.train())
            .evalDataset(sets.eval())
            .config(config)
            .outputDirectory(output)
            .listener(table);
    if (logFile == null) {
      trainer.build().train();
      return;
    }
    try (StepLog log = StepLog.create(logFile)) {
      trainer.listener(log).build().train();
    }
  }

  private SupervisedDataset.Split datasets(Tokenizer tokenizer) {
    SupervisedDataset all = dataset(tokenizer, data);
    return evalData != null
        ? new SupervisedDataset.Split(all, dataset(tokenizer, evalData))
        : all.splitByRatio(evalRatio != null ? evalRatio : 0.1, seed);
  }

  private SupervisedDataset dataset(Tokenizer tokenizer, Path file) {
    SupervisedDataset.ConversationsBuilder builder =
        SupervisedDataset.conversations().tokenizer(tokenizer).maxLength(modelMaxLength);
    switch (mask) {
      case ASSISTANT -> builder.chatMl(LabelMask.ASSISTANT);
      case CONTENT_ONLY -> builder.chatMl(LabelMask.CONTENT_ONLY);
      case QWEN -> builder.chatMl(LabelMask.QWEN);
      case TEMPLATE -> {} // the builder's default: the tokenizer's own template
    }
    return (DataFile.isArray(file) ? builder.json(file) : builder.jsonl(file)).build();
  }

  /** Asks a checkpoint as it lies on the disk. */
  private void ask(String when, Path folder) {
    if (prompt == null) {
      return;
    }
    try (CausalLm lm = CausalLm.builder(folder).device(device).load()) {
      GenerationConfig config =
          lm.generationConfig().toBuilder().maxNewTokens(maxNewTokens).doSample(false).build();
      List<ChatMessage> messages = List.of(ChatMessage.system(system), ChatMessage.user(prompt));
      String answer = lm.chat(messages, config, (sequence, id, text) -> true).text();
      System.out.println(when + ": " + prompt + " -> " + answer);
    }
  }
}
