package org.alpaca4j.examples;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.TokenListener;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

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
  @Mixin private ModelOptions model;

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

  Chat() {}

  /** Answers; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new Chat(), args));
  }

  @Override
  public Integer call() {
    refuseWhatDoesNotFit();
    model.useThreads();
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    try (CausalLm lm = model.loader().load()) {
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
    ExampleCommand.requireReadable("--prompt", prompt);
    ExampleCommand.requireReadable("--system", system);
    ExampleCommand.requireAtLeastOne("--max_new_tokens", maxNewTokens);
    if (!(temperature >= 0 && temperature < Double.POSITIVE_INFINITY)) {
      throw ExampleCommand.refusal("--temperature must be 0 or more, found " + temperature);
    }
    if (raw && system != null) {
      throw ExampleCommand.refusal("--raw and --system exclude each other; leave one out");
    }
  }
}
