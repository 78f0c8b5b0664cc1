package org.alpaca4j.core;

/** The base of all exceptions that this library throws on purpose. Unchecked. */
public class AlpacaException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception without a cause.
   *
   * @param message what was found, where, and the way out
   */
  public AlpacaException(String message) {
    super(message);
  }

  /**
   * Creates an exception with a cause.
   *
   * @param message what was found, where, and the way out
   * @param cause the exception that led to this one
   */
  public AlpacaException(String message, Throwable cause) {
    super(message, cause);
  }
}
