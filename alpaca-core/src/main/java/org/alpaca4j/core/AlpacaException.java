package org.alpaca4j.core;

/** Base of all exceptions that Alpaca4j throws on its own account; unchecked. */
public class AlpacaException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Creates an exception; the message names the file, line, tensor or field, and the way out. */
  public AlpacaException(String message) {
    super(message);
  }

  /** Creates an exception with the one it comes from. */
  public AlpacaException(String message, Throwable cause) {
    super(message, cause);
  }
}
