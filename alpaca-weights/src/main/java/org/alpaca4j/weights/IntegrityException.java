package org.alpaca4j.weights;

import java.util.Collection;
import java.util.List;
import org.alpaca4j.core.CheckpointException;

/**
 * Weights or files that are not the ones expected: another model, a damaged file, a wrong result.
 */
public class IntegrityException extends CheckpointException {
  private static final long serialVersionUID = 1L;

  private final List<String> tensors;

  /**
   * Makes an exception.
   *
   * @param message what differs from what, and the way out
   * @param tensors the names of the tensors that differ, or empty where it is no tensor
   */
  public IntegrityException(String message, Collection<String> tensors) {
    super(message);
    this.tensors = List.copyOf(tensors);
  }

  /** Returns the names of the tensors that differ; empty if it is a file or a sum that does. */
  public List<String> tensors() {
    return tensors;
  }
}
