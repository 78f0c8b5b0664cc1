package org.alpaca4j.data.selfinstruct;

import org.alpaca4j.core.AlpacaException;
import org.jspecify.annotations.Nullable;

/** Says that a model did not answer. Replies that came before are saved. */
public class InstructionModelException extends AlpacaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception without a cause.
   *
   * @param message which request failed, why, and the way out
   */
  public InstructionModelException(String message) {
    super(message);
  }

  /**
   * Creates an exception with a cause.
   *
   * @param message which request failed, why, and the way out
   * @param cause the exception that led to this one, or null
   */
  public InstructionModelException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
