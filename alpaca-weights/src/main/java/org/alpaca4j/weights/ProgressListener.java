package org.alpaca4j.weights;

/**
 * Hears how far a {@link WeightDiff} or a {@link CheckpointConverter} has come. Called by the
 * working threads, one at a time; an exception thrown here ends the work as any other failure does.
 */
@FunctionalInterface
public interface ProgressListener {
  /** What is being done. */
  enum Phase {
    /** A diff's raw weights are compared with the manifest; nothing has been written. */
    VERIFY_RAW,
    /** Tensors are converted, subtracted or added, and written. */
    WRITE,
    /** The recovered model answers a question. */
    TEST_INFERENCE
  }

  /**
   * A step of the work.
   *
   * @param phase of the work
   * @param tensor the tensor that has just been completed; empty when a phase begins
   * @param tensorsDone completed in this phase
   * @param tensorsTotal of this phase
   * @param elementsDone weights completed in this phase
   * @param elementsTotal of this phase
   */
  record Progress(
      Phase phase,
      String tensor,
      int tensorsDone,
      int tensorsTotal,
      long elementsDone,
      long elementsTotal) {}

  /** Called when a phase begins and after each of its tensors. */
  void progressed(Progress progress);
}
