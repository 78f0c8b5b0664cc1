package org.alpaca4j.core;

import org.jspecify.annotations.Nullable;

/**
 * The base of every exception of this library. Unchecked; the message names the file, tensor or
 * field at fault, what was found there, and the way out.
 */
public class AlpacaException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * Makes an exception without a cause.
   *
   * @param message what is wrong, where, and what to do about it
   */
  public AlpacaException(String message) {
    super(message);
  }

  /**
   * Makes an exception with a cause.
   *
   * @param message what is wrong, where, and what to do about it
   * @param cause what led to it, or null
   */
  public AlpacaException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
