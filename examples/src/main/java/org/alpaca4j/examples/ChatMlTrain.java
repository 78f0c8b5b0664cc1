package org.alpaca4j.examples;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.ChatMlPreprocessor.LabelMask;
import org.alpaca4j.data.ConversationReader;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.train.ModelEvaluator;
import org.alpaca4j.train.SftConfig;
import org.alpaca4j.train.SftTrainer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

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
    description = {
      "Fine-tunes a Qwen or other ChatML checkpoint on conversations: objects with messages.",
      "Evaluates on a tenth of them unless an option says otherwise."
    })
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

  @Mixin private final TrainingOptions training = new TrainingOptions();

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

  ChatMlTrain() {
    training.defaultEvalRatio = 0.1;
    training.learningRate = 1e-5;
    training.warmupRatio = 0.03;
    training.schedule = "cosine";
    training.modelMaxLength = 1024;
  }

  /** Trains; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new ChatMlTrain(), args));
  }

  @Override
  public Integer call() {
    training.requireOneEvalData();
    ExampleCommand.requireReadable("--prompt", prompt);
    ExampleCommand.requireReadable("--system", system);
    ExampleCommand.requireAtLeastOne("--epochs", epochs);
    ExampleCommand.requireAtLeastOne("--max_new_tokens", maxNewTokens);
    training.useThreads();
    SftConfig config = config();

    ask("before", training.model());
    try (CausalLm lm = CausalLm.builder(training.model()).device(training.device()).load()) {
      SupervisedDataset.Split sets = training.datasets(file -> dataset(lm.tokenizer(), file));
      EpochTable table = new EpochTable(System.out);
      try (ModelEvaluator evaluator = ModelEvaluator.of(lm)) {
        table.begin(evaluator.evaluate(sets.eval()));
      }
      training.train(
          SftTrainer.builder()
              .model(lm)
              .dataset(sets.train())
              .evalDataset(sets.eval())
              .config(config)
              .listener(table));
    }
    System.out.println("saved " + training.output());
    ask("after", training.output());
    return ExampleCommand.DONE;
  }

  /** Returns the options as the trainer takes them. */
  SftConfig config() {
    return training
        .config()
        .epochs(epochs)
        .evalEachEpoch(true)
        .batchSize(batchSize)
        .evalBatchSize(batchSize)
        .build();
  }

  private SupervisedDataset dataset(Tokenizer tokenizer, Path file) {
    SupervisedDataset.ConversationsBuilder builder =
        SupervisedDataset.conversations().tokenizer(tokenizer).maxLength(training.modelMaxLength);
    switch (mask) {
      case ASSISTANT -> builder.chatMl(LabelMask.ASSISTANT);
      case CONTENT_ONLY -> builder.chatMl(LabelMask.CONTENT_ONLY);
      case QWEN -> builder.chatMl(LabelMask.QWEN);
      case TEMPLATE -> {} // the builder's default: the tokenizer's own template
    }
    return builder.source(GivenData.records(file).map(ConversationReader.messages())).build();
  }

  /** Asks a checkpoint as it lies on the disk. */
  private void ask(String when, Path folder) {
    if (prompt == null) {
      return;
    }
    try (CausalLm lm = CausalLm.builder(folder).device(training.device()).load()) {
      GenerationConfig config =
          lm.generationConfig().toBuilder().maxNewTokens(maxNewTokens).doSample(false).build();
      List<ChatMessage> messages = List.of(ChatMessage.system(system), ChatMessage.user(prompt));
      String answer = lm.chat(messages, config, (sequence, id, text) -> true).text();
      System.out.println(when + ": " + prompt + " -> " + answer);
    }
  }
}
