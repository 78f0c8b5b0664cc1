package org.alpaca4j.examples;

import ai.djl.Device;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.alpaca4j.core.Precision;
import org.alpaca4j.data.ExampleOrder;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.train.LearningRateSchedule;
import org.alpaca4j.train.SftConfig;
import org.alpaca4j.train.SftTrainer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * What every training program asks for. Fields that are not private have other defaults in other
 * programs.
 */
@SuppressWarnings("NullAway.Init") // picocli sets what is required
final class TrainingOptions {
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
      description = "what to train on: JSON, JSON lines, CSV or Parquet")
  private Path data;

  @Option(
      names = "--output_dir",
      required = true,
      paramLabel = "DIR",
      description = "where the fine-tuned checkpoint goes")
  private Path output;

  @Option(
      names = "--overwrite_output_dir",
      arity = "1",
      paramLabel = "True|False",
      description = "replace a model in --output_dir instead of refusing (default: False)")
  private Boolean overwriteOutput = false;

  @Option(
      names = "--eval_data_path",
      paramLabel = "FILE",
      description = "what to evaluate on, as --data_path")
  private @Nullable Path evalData;

  @Option(
      names = "--eval_ratio",
      paramLabel = "R",
      description = "share of the data to evaluate on instead of training on it")
  private @Nullable Double evalRatio;

  /** Used where no option says what to evaluate on. */
  double defaultEvalRatio;

  @Option(
      names = "--bf16",
      arity = "1",
      paramLabel = "True|False",
      description = "bf16 arithmetic over fp32 weights (default: False)")
  private Boolean bf16 = false;

  @Option(
      names = "--gradient_accumulation_steps",
      paramLabel = "N",
      description = "micro-batches per optimizer step (default: ${DEFAULT-VALUE})")
  private int gradientAccumulationSteps = 1;

  @Option(
      names = "--learning_rate",
      paramLabel = "X",
      description = "largest learning rate (default: ${DEFAULT-VALUE})")
  double learningRate;

  @Option(
      names = "--weight_decay",
      paramLabel = "X",
      description = "of matrices and embeddings (default: ${DEFAULT-VALUE})")
  private double weightDecay;

  @Option(
      names = "--warmup_ratio",
      paramLabel = "R",
      description = "share of steps with rising learning rate (default: ${DEFAULT-VALUE})")
  double warmupRatio;

  @Option(
      names = "--lr_scheduler_type",
      paramLabel = "NAME",
      description = "course of the learning rate (default: ${DEFAULT-VALUE})")
  String schedule;

  @Option(
      names = "--lr_scheduler_kwargs",
      paramLabel = "JSON",
      converter = JsonObject.Converter.class,
      description = "further options of that course, such as {\"min_lr\": 1e-6} (default: none)")
  private JsonObject scheduleOptions = new JsonObject(Map.of());

  @Option(
      names = "--model_max_length",
      paramLabel = "N",
      description = "tokens of an example, longer ones are cut (default: ${DEFAULT-VALUE})")
  int modelMaxLength;

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
      names = "--log_file",
      paramLabel = "FILE",
      description =
          "a JSON line per step: step, loss, lr, grad_norm, supervised_tokens, tokens, seconds")
  private @Nullable Path logFile;

  @Mixin private DeviceOptions device;

  @Mixin private AdapterOptions adapter;

  Path model() {
    return model;
  }

  Path output() {
    return output;
  }

  Device device() {
    return device.device();
  }

  /** See {@link DeviceOptions#useThreads}. */
  void useThreads() {
    device.useThreads();
  }

  /** Returns the option that says what to evaluate on, if there is one. */
  @Nullable String evalOption() {
    return evalData != null ? "--eval_data_path" : evalRatio != null ? "--eval_ratio" : null;
  }

  /** Returns whether an adapter is trained, and not the model's own weights. */
  boolean trainsAdapter() {
    return adapter.adapter().isPresent();
  }

  /** Refuses two sources of what to evaluate on. */
  void requireOneEvalData() {
    if (evalData != null && evalRatio != null) {
      throw ExampleCommand.refusal(
          "--eval_data_path and --eval_ratio exclude each other; leave one out");
    }
  }

  /** Reads what to train on. */
  SupervisedDataset dataset(Function<Path, SupervisedDataset> reader) {
    return reader.apply(data);
  }

  /** Reads what to train and to evaluate on. */
  SupervisedDataset.Split datasets(Function<Path, SupervisedDataset> reader) {
    SupervisedDataset all = dataset(reader);
    return evalData != null
        ? new SupervisedDataset.Split(all, reader.apply(evalData))
        : all.splitByRatio(evalRatio != null ? evalRatio : defaultEvalRatio, seed);
  }

  /** Returns the options as the trainer takes them; those of one program only are to be added. */
  SftConfig.Builder config() {
    SftConfig.Builder config =
        SftConfig.builder()
            .gradientAccumulationSteps(gradientAccumulationSteps)
            .learningRate(learningRate)
            .schedule(schedule())
            .warmupRatio(warmupRatio)
            .weightDecay(weightDecay)
            .precision(bf16 ? Precision.BFLOAT16 : Precision.FLOAT32)
            .seed(seed);
    if (!shuffle) {
      config.order(ExampleOrder.SEQUENTIAL);
    }
    return config;
  }

  private LearningRateSchedule.Builder schedule() {
    LearningRateSchedule.Type type = scheduleType();
    List<String> oneOf =
        switch (type) {
          case COSINE_WITH_MIN_LR -> List.of("min_lr", "min_lr_rate");
          case WARMUP_STABLE_DECAY -> List.of("num_decay_steps");
          default -> List.of();
        };
    if (!oneOf.isEmpty() && Collections.disjoint(oneOf, scheduleOptions.fields().keySet())) {
      throw ExampleCommand.refusal(
          "--lr_scheduler_type "
              + type.hfName()
              + " needs --lr_scheduler_kwargs with "
              + String.join(" or ", oneOf)
              + "; add it, or choose another, such as cosine");
    }
    try {
      return LearningRateSchedule.builder(type).hfOptions(scheduleOptions.fields());
    } catch (IllegalArgumentException e) {
      throw ExampleCommand.refusal("--lr_scheduler_kwargs: " + e.getMessage());
    }
  }

  private LearningRateSchedule.Type scheduleType() {
    try {
      return LearningRateSchedule.Type.fromName(ExampleCommand.withoutQuotes(schedule));
    } catch (IllegalArgumentException e) {
      throw ExampleCommand.refusal(
          "Invalid value for option '--lr_scheduler_type': " + e.getMessage());
    }
  }

  /** Trains, saves, and logs each step if that is asked for. */
  void train(SftTrainer.Builder trainer) {
    trainer.outputDirectory(output).replaceExisting(overwriteOutput);
    adapter.adapter().ifPresent(trainer::adapter);
    if (logFile == null) {
      trainer.build().train();
      return;
    }
    try (StepLog log = StepLog.create(logFile)) {
      trainer.listener(log).build().train();
    }
  }
}
