package org.alpaca4j.weights;

/** Is told how a conversion gets on. One call at a time, from any thread. */
@FunctionalInterface
public interface ConversionListener {

  /**
   * How far a conversion is.
   *
   * @param tensor the tensor just written
   * @param tensors how many are written
   * @param totalTensors how many there are
   * @param bytes how many bytes of weights are written
   * @param totalBytes how many there will be
   */
  record Progress(String tensor, int tensors, int totalTensors, long bytes, long totalBytes) {}

  /** Is called after each tensor; what it throws ends the conversion. */
  void tensorWritten(Progress progress);
}
