package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.data.ExampleOrder;
import org.alpaca4j.train.LearningRateSchedule.Type;
import org.alpaca4j.train.SftConfig;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AlpacaTrainTest {
  /** Stanford Alpaca's README, from --data_path on. */
  private static final String LLAMA_COMMAND_LINE =
      """
      --data_path ./alpaca_data.json \\
      --bf16 True \\
      --output_dir <your_output_dir> \\
      --num_train_epochs 3 \\
      --per_device_train_batch_size 4 \\
      --per_device_eval_batch_size 4 \\
      --gradient_accumulation_steps 8 \\
      --evaluation_strategy "no" \\
      --save_strategy "steps" \\
      --save_steps 2000 \\
      --save_total_limit 1 \\
      --learning_rate 2e-5 \\
      --weight_decay 0. \\
      --warmup_ratio 0.03 \\
      --lr_scheduler_type "cosine" \\
      --logging_steps 1 \\
      --fsdp "full_shard auto_wrap" \\
      --fsdp_transformer_layer_cls_to_wrap 'LlamaDecoderLayer' \\
      --tf32 True
      """;

  private static final String OPT_COMMAND_LINE =
      "--model_name_or_path \"facebook/opt-6.7b\" \\\n"
          + LLAMA_COMMAND_LINE.replace("LlamaDecoderLayer", "OPTDecoderLayer");

  private static final String[] REQUIRED = {
    "--model_name_or_path", "m", "--data_path", "d.json", "--output_dir", "o"
  };

  @TempDir static Path folder;
  private static Path model;
  private static Path data;

  @BeforeAll
  static void makeModelAndData() throws IOException {
    model = TinyCheckpoint.write(folder.resolve("model"));
    data =
        Files.writeString(
            folder.resolve("data.json"),
            """
            [
              {"instruction": "Add.", "input": "1 1", "output": "2"},
              {"instruction": "Say yes.", "input": "", "output": "yes"},
              {"instruction": "Say no.", "output": "no"},
              {"instruction": "Add.", "input": "1 2", "output": "3"},
              {"instruction": "Add.", "input": "2 2", "output": "4"}
            ]
            """);
  }

  @Test
  void theDefaultsAreThoseOfTheTransformersTrainer() {
    SftConfig config = configOf();

    assertThat(config.epochs()).isEqualTo(3);
    assertThat(config.maxSteps()).isEmpty();
    assertThat(config.batchSize()).isEqualTo(8);
    assertThat(config.learningRate()).isEqualTo(5e-5);
    assertThat(config.schedule()).isEqualTo(Type.LINEAR);
    assertThat(config.warmupSteps(1000)).isZero();
    assertThat(config.weightDecay()).isZero();
    assertThat(config.precision()).isEqualTo(Precision.FLOAT32);
    assertThat(config.saveSteps()).isEqualTo(500);
    assertThat(config.evalSteps()).isZero();
    assertThat(config.seed()).isEqualTo(42);
    assertThat(config.order().order(100, 0)).isEqualTo(ExampleOrder.shuffled(42).order(100, 0));
  }

  @Test
  void stanfordAlpacasCommandLineIsUnderstoodWithoutWhatShards() {
    SftConfig config = configOf(words(withoutSharding(LLAMA_COMMAND_LINE)));

    assertThat(config.precision()).isEqualTo(Precision.BFLOAT16);
    assertThat(config.epochs()).isEqualTo(3);
    assertThat(config.batchSize()).isEqualTo(4);
    assertThat(config.evalBatchSize()).isEqualTo(4);
    assertThat(config.gradientAccumulationSteps()).isEqualTo(8);
    assertThat(config.evalSteps()).isZero();
    assertThat(config.evalEachEpoch()).isFalse();
    assertThat(config.saveSteps()).isEqualTo(2000);
    assertThat(config.saveTotalLimit()).isEqualTo(1);
    assertThat(config.learningRate()).isEqualTo(2e-5);
    assertThat(config.weightDecay()).isZero();
    assertThat(config.warmupSteps(1218)).isEqualTo(37);
    assertThat(config.schedule()).isEqualTo(Type.COSINE);
  }

  @Test
  void whatIsNotSupportedInItIsRefusedByNameAllAtOnce() {
    CommandRun run = CommandRun.of(new AlpacaTrain(), words(OPT_COMMAND_LINE));

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err())
        .contains("--fsdp \"full_shard auto_wrap\"")
        .contains("--fsdp_transformer_layer_cls_to_wrap OPTDecoderLayer")
        .contains("--tf32 True")
        .contains("leave it out");
    assertThat(run.out()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "--deepspeed, ./configs/default_offload_opt_param.json",
    "--optim, adafactor",
    "--lr_scheduler_type, cosine_with_min_lr",
    "--lr_scheduler_type, reduce_lr_on_plateau",
    "--evaluation_strategy, steps",
    "--eval_ratio, 0.1",
    "--bf16, maybe",
    "--threads, 0",
    "--logging_steps, 0",
    "--no_such_option, 1"
  })
  void anOptionThatCannotBeFollowedIsRefusedByName(String option, String value) {
    CommandRun run = CommandRun.of(new AlpacaTrain(), withRequired(option, value));

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains(option);
  }

  @Test
  void valuesOutOfRangeEndWithAMessageAndNoStackTrace() {
    CommandRun run = CommandRun.of(new AlpacaTrain(), withRequired("--num_train_epochs", "0"));

    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).contains("epochs").doesNotContain("\tat ");
  }

  @Test
  void anEmptyFsdpAndNoTf32AreAccepted() {
    CommandRun run =
        CommandRun.of(
            new AlpacaTrain(),
            withRequired(
                "--fsdp", "", "--fsdp_transformer_layer_cls_to_wrap", "", "--tf32", "False"));

    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).doesNotContain("not supported").contains("m: does not exist");
  }

  /** {@code exec:java} drops an empty argument on its way. */
  @Test
  void anFsdpWithoutAnyValueIsAcceptedToo() {
    CommandRun run = CommandRun.of(new AlpacaTrain(), withRequired("--fsdp", "--tf32", "False"));

    assertThat(run.err()).doesNotContain("--fsdp").contains("m: does not exist");
  }

  @Test
  void booleansAreWrittenAsInPython() {
    assertThat(configOf("--bf16", "True").precision()).isEqualTo(Precision.BFLOAT16);
    assertThat(configOf("--bf16", "False").precision()).isEqualTo(Precision.FLOAT32);
    assertThat(configOf("--shuffle", "False").order()).isSameAs(ExampleOrder.SEQUENTIAL);
  }

  @Test
  void aScheduleTakesOptionsOfItsOwn() {
    SftConfig config =
        configOf(
            "--learning_rate",
            "1e-3",
            "--lr_scheduler_type",
            "cosine_with_min_lr",
            "--lr_scheduler_kwargs",
            "{\"min_lr\": 1e-4}");

    assertThat(config.schedule()).isEqualTo(Type.COSINE_WITH_MIN_LR);
    assertThat(config.schedule(10).learningRate(10)).isCloseTo(1e-4, within(1e-18));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "cosine | {\"min_lr\": 1e-4} | has no option 'min_lr'; choose of num_cycles",
        "cosine | {\"num_cycles\": \"many\"} | num_cycles is many; it must be a number",
        "cosine | num_cycles=2 | is not a JSON object",
        "cosine | null | is not a JSON object",
        "warmup_stable_decay | {} | num_decay_steps"
      })
  void anOptionThatTheScheduleDoesNotHaveIsRefused(String schedule, String options, String why) {
    CommandRun run =
        CommandRun.of(
            new AlpacaTrain(),
            withRequired("--lr_scheduler_type", schedule, "--lr_scheduler_kwargs", options));

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains("--lr_scheduler_kwargs").contains(why);
  }

  @Test
  void maxStepsOverrideTheEpochsUnlessMinusOne() {
    assertThat(configOf("--max_steps", "20").maxSteps()).hasValue(20);
    assertThat(configOf("--max_steps", "-1").maxSteps()).isEmpty();
  }

  @Test
  void evaluationStepsAreThoseOfLoggingUnlessGiven() {
    String[] steps = {"--evaluation_strategy", "steps", "--logging_steps", "7"};

    assertThat(configOf(steps).evalSteps()).isEqualTo(7);
    assertThat(configOf("--eval_strategy", "steps", "--eval_steps", "3").evalSteps()).isEqualTo(3);
    assertThat(configOf("--evaluation_strategy", "epoch").evalEachEpoch()).isTrue();
  }

  @Test
  void savingIsOffWithStrategyNoAndPerEpochWithEpoch() {
    assertThat(configOf("--save_strategy", "no").saveSteps()).isZero();
    assertThat(configOf("--save_strategy", "epoch").saveEachEpoch()).isTrue();
    assertThat(configOf("--save_strategy", "epoch").saveSteps()).isZero();
  }

  @Test
  void trainsSavesAndLogsEveryStep() throws IOException {
    Path out = folder.resolve("out");
    Path log = folder.resolve("logs/steps.jsonl");

    CommandRun run =
        CommandRun.of(
            new AlpacaTrain(),
            "--model_name_or_path",
            model.toString(),
            "--data_path",
            data.toString(),
            "--output_dir",
            out.toString(),
            "--per_device_train_batch_size",
            "1",
            "--gradient_accumulation_steps",
            "2",
            "--num_train_epochs",
            "2",
            "--learning_rate",
            "1e-3",
            "--warmup_ratio",
            "0.03",
            "--lr_scheduler_type",
            "cosine",
            "--evaluation_strategy",
            "epoch",
            "--eval_data_path",
            data.toString(),
            "--save_steps",
            "2",
            "--save_total_limit",
            "1",
            "--logging_steps",
            "1",
            "--shuffle",
            "False",
            "--log_file",
            log.toString());

    assertThat(run.exitCode()).as(run.err()).isZero();
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(log)) {
      lines.add(new ObjectMapper().readTree(line));
    }
    assertThat(lines).hasSize(6);
    assertThat(lines.get(0).fieldNames())
        .toIterable()
        .containsExactly(
            "step", "loss", "lr", "grad_norm", "supervised_tokens", "tokens", "seconds");
    assertThat(lines.get(0).get("step").intValue()).isEqualTo(1);
    assertThat(lines.get(0).get("lr").doubleValue()).isZero();
    assertThat(lines.get(1).get("lr").doubleValue()).isEqualTo(1e-3);
    // "2" and "yes", each with its end token.
    assertThat(lines.get(0).get("supervised_tokens").intValue()).isEqualTo(6);
    assertThat(lines.get(5).get("loss").doubleValue())
        .isLessThan(lines.get(2).get("loss").doubleValue());
    assertThat(run.out()).contains("step 6/6").contains("eval_loss").contains("saved " + out);
    assertThat(out.resolve("checkpoint-4")).isDirectory();
    assertThat(out.resolve("checkpoint-2")).doesNotExist();
    try (CausalLm trained = CausalLm.load(out)) {
      assertThat(trained.tokenizer().padToken()).hasValue("[PAD]");
      assertThat(trained.config().vocabSize()).isEqualTo(260);
    }
    assertThat(PromptTemplate.load(out)).hasValue(PromptTemplate.ALPACA);
  }

  @Test
  void aMissingDataFileIsNamed() {
    CommandRun run =
        CommandRun.of(
            new AlpacaTrain(),
            "--model_name_or_path",
            model.toString(),
            "--data_path",
            folder.resolve("none.json").toString(),
            "--output_dir",
            folder.resolve("unused").toString());

    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).contains("none.json").doesNotContain("\tat ");
  }

  private static SftConfig configOf(String... arguments) {
    AlpacaTrain command = new AlpacaTrain();
    ExampleCommand.commandLine(command).parseArgs(withRequired(arguments));
    return command.config();
  }

  private static String[] withRequired(String... arguments) {
    List<String> all = new ArrayList<>(List.of(arguments));
    for (int i = 0; i < REQUIRED.length; i += 2) {
      if (!all.contains(REQUIRED[i])) {
        all.add(REQUIRED[i]);
        all.add(REQUIRED[i + 1]);
      }
    }
    return all.toArray(new String[0]);
  }

  private static String withoutSharding(String commandLine) {
    return commandLine.replaceAll("--(fsdp|fsdp_transformer_layer_cls_to_wrap|tf32) .*", "");
  }

  /** The words of a command line as a shell splits them. */
  private static String[] words(String commandLine) {
    List<String> words = new ArrayList<>();
    Matcher matcher = Pattern.compile("\"([^\"]*)\"|'([^']*)'|([^\\s\\\\]+)").matcher(commandLine);
    while (matcher.find()) {
      for (int group = 1; group <= 3; group++) {
        if (matcher.group(group) != null) {
          words.add(matcher.group(group));
        }
      }
    }
    return words.toArray(new String[0]);
  }
}
