package org.alpaca4j.core;

/**
 * Says that a tokenizer cannot be read, that it lacks a token that is needed, or that a text or an
 * id cannot be converted. The message names the file or the value.
 */
public class TokenizerException extends AlpacaException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception without a cause.
   *
   * @param message what was found, where, and the way out
   */
  public TokenizerException(String message) {
    super(message);
  }

  /**
   * Creates an exception with a cause.
   *
   * @param message what was found, where, and the way out
   * @param cause the exception that led to this one
   */
  public TokenizerException(String message, Throwable cause) {
    super(message, cause);
  }
}
