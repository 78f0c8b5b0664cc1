package org.alpaca4j.examples;

import java.nio.file.Path;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Precision;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The checkpoint that a command runs, and how. */
@SuppressWarnings("NullAway.Init") // picocli sets what is required
final class ModelOptions {
  @Option(
      names = "--model",
      required = true,
      paramLabel = "DIR",
      description = "checkpoint folder: weights, config.json, tokenizer.json")
  private Path model;

  @Option(
      names = "--bf16",
      arity = "1",
      paramLabel = "True|False",
      description = "weights and arithmetic in bf16 (default: False, fp32)")
  private Boolean bf16 = false;

  @Mixin private DeviceOptions device;

  Path folder() {
    return model;
  }

  /** See {@link DeviceOptions#useThreads}. */
  void useThreads() {
    device.useThreads();
  }

  /** Returns a builder that loads the model as the options say. */
  CausalLm.Builder loader() {
    return CausalLm.builder(model)
        .device(device.device())
        .precision(bf16 ? Precision.BFLOAT16 : Precision.FLOAT32);
  }
}
