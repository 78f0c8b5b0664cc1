package org.alpaca4j.data;

import org.alpaca4j.core.AlpacaException;

/**
 * Says that training data cannot be used. The message names the file, the line, the record's index
 * (from 0) and the field, as far as they are known.
 */
public class DataException extends AlpacaException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception without a cause.
   *
   * @param message what was found, where, and the way out
   */
  public DataException(String message) {
    super(message);
  }

  /**
   * Creates an exception with a cause.
   *
   * @param message what was found, where, and the way out
   * @param cause the exception that led to this one
   */
  public DataException(String message, Throwable cause) {
    super(message, cause);
  }
}
