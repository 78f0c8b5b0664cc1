package org.alpaca4j.examples;

import ai.djl.Device;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where a command computes. */
final class DeviceOptions {
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

  Device device() {
    return device;
  }

  /**
   * Sets the number of threads of the model's arithmetic, if one is given. To be called before any
   * model is loaded: DJL reads it when it starts its engine.
   */
  void useThreads() {
    ExampleCommand.requireAtLeastOne("--threads", threads);
    if (threads != null) {
      System.setProperty("ai.djl.pytorch.num_threads", threads.toString());
    }
  }
}
