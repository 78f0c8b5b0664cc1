package org.alpaca4j.train;

import org.alpaca4j.core.AlpacaException;

/** Training cannot start or go on; the message says where and what to do. */
public class TrainingException extends AlpacaException {
  private static final long serialVersionUID = 1L;

  /** Creates an exception with a message for the user. */
  public TrainingException(String message) {
    super(message);
  }

  /** Creates an exception with a message for the user and what caused it. */
  public TrainingException(String message, Throwable cause) {
    super(message, cause);
  }
}
