package org.alpaca4j.core;

import org.jspecify.annotations.Nullable;

/**
 * A checkpoint folder that cannot be read or written: a file is missing, malformed or inconsistent,
 * a tensor is missing, unexpected or misshapen, or the file system failed.
 */
public class CheckpointException extends AlpacaException {
  private static final long serialVersionUID = 1L;

  /**
   * Makes an exception without a cause.
   *
   * @param message what is wrong, naming the file and the tensor or field
   */
  public CheckpointException(String message) {
    super(message);
  }

  /**
   * Makes an exception with a cause.
   *
   * @param message what is wrong, naming the file and the tensor or field
   * @param cause what led to it, or null
   */
  public CheckpointException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
