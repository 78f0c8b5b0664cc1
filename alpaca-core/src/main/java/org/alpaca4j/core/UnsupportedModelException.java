package org.alpaca4j.core;

/**
 * A well-formed checkpoint of a kind that this library does not run: another model family, another
 * activation, a quantised model. The message names the field, its value and what is supported.
 */
public class UnsupportedModelException extends AlpacaException {
  private static final long serialVersionUID = 1L;

  /**
   * Makes an exception.
   *
   * @param message the field, its value and what is supported
   */
  public UnsupportedModelException(String message) {
    super(message);
  }
}
