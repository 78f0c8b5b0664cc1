package org.alpaca4j.examples;

import ai.djl.Device;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.TokenListener;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Answers one prompt on standard output, as the answer comes. All else goes to standard error.
 *
 * <pre>
 * mvn -q -pl examples exec:java -Dexec.mainClass=org.alpaca4j.examples.Chat \
 *   -Dexec.args="--model out --prompt 'List three technologies that make life easier.'"
 * </pre>
 *
 * <p>The prompt is rendered with the template stored with the checkpoint: the prompt template it
 * was fine-tuned with, or else its chat template. Decoding is greedy unless a temperature is given;
 * other options are those of the checkpoint's generation_config.json.
 */
@Command(
    name = "Chat",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Answers one prompt on standard output.")
@SuppressWarnings("NullAway.Init") // picocli sets what is required
public final class Chat implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "DIR",
      description = "checkpoint folder: weights, config.json, tokenizer.json")
  private Path model;

  @Option(names = "--prompt", required = true, paramLabel = "TEXT", description = "what to answer")
  private String prompt;

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description = "a system message (default: none but the chat template's own)")
  private @Nullable String system;

  @Option(
      names = "--max_new_tokens",
      paramLabel = "N",
      description = "longest answer, in tokens (default: ${DEFAULT-VALUE})")
  private int maxNewTokens = 512;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "above 0: sample at this temperature (default: 0, greedy)")
  private double temperature;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "of sampling (default: another one each time)")
  private @Nullable Long seed;

  @Option(names = "--raw", description = "continue the prompt as it stands, without a template")
  private boolean raw;

  @Option(
      names = "--bf16",
      arity = "1",
      paramLabel = "True|False",
      description = "weights and arithmetic in bf16 (default: False, fp32)")
  private Boolean bf16 = false;

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

  Chat() {}

  /** Answers; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new Chat(), args));
  }

  @Override
  public Integer call() {
    refuseWhatDoesNotFit();
    ExampleCommand.useThreads(spec, threads);
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    try (CausalLm lm =
        CausalLm.builder(model)
            .device(device)
            .precision(bf16 ? Precision.BFLOAT16 : Precision.FLOAT32)
            .load()) {
      int[] ids = raw ? lm.tokenizer().encodeIds(prompt, true) : lm.chatIds(messages());
      TokenListener printing =
          (sequence, id, text) -> {
            out.print(text);
            out.flush();
            return true;
          };
      lm.generator().generate(ids, config(lm.generationConfig()), printing);
    }
    out.println();
    return ExampleCommand.DONE;
  }

  private List<ChatMessage> messages() {
    List<ChatMessage> messages = new ArrayList<>();
    if (system != null) {
      messages.add(ChatMessage.system(system));
    }
    messages.add(ChatMessage.user(prompt));
    return messages;
  }

  private GenerationConfig config(GenerationConfig defaults) {
    GenerationConfig.Builder config =
        defaults.toBuilder().maxNewTokens(maxNewTokens).doSample(temperature > 0);
    if (temperature > 0) {
      config.temperature(temperature);
    }
    if (seed != null) {
      config.seed(seed);
    }
    return config.build();
  }

  private void refuseWhatDoesNotFit() {
    ExampleCommand.requireReadable(spec, "--prompt", prompt);
    ExampleCommand.requireReadable(spec, "--system", system);
    ExampleCommand.requireAtLeastOne(spec, "--max_new_tokens", maxNewTokens);
    if (!(temperature >= 0 && temperature < Double.POSITIVE_INFINITY)) {
      throw ExampleCommand.refusal(
          spec.commandLine(), "--temperature must be 0 or more, found " + temperature);
    }
    if (raw && system != null) {
      throw ExampleCommand.refusal(
          spec.commandLine(), "--raw and --system exclude each other; leave one out");
    }
  }
}
