package org.alpaca4j.examples;

import java.net.URI;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.data.selfinstruct.DecodingOptions;
import org.alpaca4j.data.selfinstruct.InstructionModel;
import org.alpaca4j.data.selfinstruct.InstructionPrompt;
import org.alpaca4j.data.selfinstruct.LocalModel;
import org.alpaca4j.data.selfinstruct.OpenAiModel;
import org.alpaca4j.data.selfinstruct.SelfInstruct;
import org.alpaca4j.data.selfinstruct.SelfInstructReport;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Lets a model write new instruction data after the example of seed tasks, with the command line of
 * Stanford Alpaca's generate_instruction.py.
 *
 * <pre>
 * OPENAI_API_KEY=... mvn -q -pl examples exec:java \
 *   -Dexec.mainClass=org.alpaca4j.examples.GenerateInstructions \
 *   -Dexec.args="--output_dir out --seed_tasks_path seed_tasks.jsonl \
 *     --num_instructions_to_generate 300 --model_name gpt-4o-mini"
 * </pre>
 *
 * <p>Started again with the same output folder, it goes on where it was interrupted. Progress goes
 * to standard error, the report to standard output.
 */
@Command(
    name = "GenerateInstructions",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Lets a model write instruction data after the example of seed tasks.")
public final class GenerateInstructions implements Callable<Integer> {
  private static final String TASK = "generate_instruction_following_data";

  @Parameters(arity = "0..1", paramLabel = TASK, description = "as the original has it; optional")
  private String task = TASK;

  @Option(
      names = "--output_dir",
      paramLabel = "DIR",
      description = "of regen.json and the saved replies (default: ${DEFAULT-VALUE})")
  private Path outputDir = Path.of("./");

  @Option(
      names = "--seed_tasks_path",
      paramLabel = "FILE",
      description = "tasks to draw examples from (default: ${DEFAULT-VALUE})")
  private Path seedTasksPath = Path.of("./seed_tasks.jsonl");

  @Option(
      names = "--num_instructions_to_generate",
      paramLabel = "N",
      description = "records in regen.json at the end (default: ${DEFAULT-VALUE})")
  private int numInstructions = 100;

  @Option(
      names = "--model_name",
      paramLabel = "NAME",
      description = "the model, as the endpoint knows it")
  private @Nullable String modelName;

  @Option(
      names = "--num_prompt_instructions",
      paramLabel = "N",
      description = "seed tasks in a prompt (default: ${DEFAULT-VALUE})")
  private int numPromptInstructions = 3;

  @Option(
      names = "--request_batch_size",
      paramLabel = "N",
      description = "requests of a round, sent side by side (default: ${DEFAULT-VALUE})")
  private int requestBatchSize = 5;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "of sampling; 0: the best token (default: ${DEFAULT-VALUE})")
  private double temperature = 1;

  @Option(
      names = "--top_p",
      paramLabel = "P",
      description = "probability of the tokens to draw from (default: ${DEFAULT-VALUE})")
  private double topP = 1;

  @Option(
      names = "--num_cpus",
      paramLabel = "N",
      description =
          "threads of a local model (default: as PyTorch chooses); comparing instructions, what the"
              + " original needs them for, takes one here")
  private @Nullable Integer numCpus;

  @Option(
      names = "--base_url",
      paramLabel = "URL",
      description = "an OpenAI-compatible endpoint (default: ${DEFAULT-VALUE})")
  private URI baseUrl = URI.create("https://api.openai.com/v1");

  @Option(
      names = "--api",
      paramLabel = "chat|completions",
      description = "which way to ask the endpoint (default: ${DEFAULT-VALUE})")
  private OpenAiModel.Api api = OpenAiModel.Api.CHAT;

  @Option(
      names = "--local_model",
      paramLabel = "DIR",
      description = "a checkpoint to generate with, in place of an endpoint")
  private @Nullable String localModel;

  @Option(
      names = "--prompt_path",
      paramLabel = "FILE",
      description = "the text of the prompt, such as the original's prompt.txt (default: our own)")
  private @Nullable Path promptPath;

  @Option(
      names = "--max_tokens",
      paramLabel = "N",
      description = "longest reply (default: ${DEFAULT-VALUE})")
  private int maxTokens = 3072;

  @Option(
      names = "--max_requests",
      paramLabel = "N",
      description =
          "requests in all, those of earlier runs included (default: as many as it takes)")
  private @Nullable Integer maxRequests;

  @Option(names = "--seed", paramLabel = "N", description = "of drawing (default: 42)")
  private long seed = 42;

  @Option(
      names = "--no_logit_bias",
      description = "for endpoints that do not take the original's bias against token 50256")
  private boolean noLogitBias;

  GenerateInstructions() {}

  /** Generates; exits with 0 when done, 1 on failure, 2 if the arguments are refused. */
  public static void main(String[] args) {
    System.exit(ExampleCommand.run(new GenerateInstructions(), args));
  }

  @Override
  public Integer call() {
    if (!task.equals(TASK)) {
      throw ExampleCommand.refusal("the only task is " + TASK + ", found " + task);
    }
    if ((localModel == null) == (modelName == null)) {
      throw ExampleCommand.refusal("give either --model_name or --local_model");
    }
    ExampleCommand.requireAtLeastOne("--num_cpus", numCpus);
    if (localModel == null) {
      run(
          OpenAiModel.builder()
              .baseUrl(baseUrl)
              .model(String.valueOf(modelName))
              .api(api)
              .concurrency(requestBatchSize)
              .build());
      return ExampleCommand.DONE;
    }
    if (numCpus != null) {
      System.setProperty("ai.djl.pytorch.num_threads", numCpus.toString());
    }
    try (CausalLm model = CausalLm.load(localModel)) {
      run(LocalModel.builder(model).seed(seed).build());
    }
    return ExampleCommand.DONE;
  }

  private void run(InstructionModel model) {
    DecodingOptions.Builder decoding =
        DecodingOptions.builder().temperature(temperature).topP(topP).maxTokens(maxTokens);
    if (noLogitBias) {
      decoding.logitBias(Map.of());
    }
    SelfInstruct.Builder pipeline =
        SelfInstruct.builder()
            .seedTasks(seedTasksPath)
            .model(model)
            .outputDirectory(outputDir)
            .decoding(decoding.build())
            .numInstructions(numInstructions)
            .numPromptInstructions(numPromptInstructions)
            .requestBatchSize(requestBatchSize)
            .seed(seed)
            .listener(GenerateInstructions::tell);
    if (promptPath != null) {
      pipeline.prompt(InstructionPrompt.load(promptPath));
    }
    if (maxRequests != null) {
      pipeline.maxRequests(maxRequests);
    }
    SelfInstructReport report = pipeline.build().run();
    System.out.println(report.toText());
    System.out.println("ended: " + report.end());
  }

  private static void tell(SelfInstructReport report) {
    System.err.println(report.requests() + " requests, " + report.instructions() + " instructions");
  }
}
