package org.alpaca4j.core;

import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * A model that the Hugging Face hub does not hand out, or that cannot be fetched or kept in the
 * cache. The message says what to do; it never holds the token.
 */
public class HubException extends AlpacaException {
  private static final long serialVersionUID = 1L;
  private static final int NONE = 0;

  private final int statusCode;

  /**
   * Makes an exception without a cause.
   *
   * @param message what is wrong, naming the repository and the file
   */
  public HubException(String message) {
    this(message, null);
  }

  /**
   * Makes an exception with a cause.
   *
   * @param message what is wrong, naming the repository and the file
   * @param cause what led to it, or null
   */
  public HubException(String message, @Nullable Throwable cause) {
    super(message, cause);
    this.statusCode = NONE;
  }

  /**
   * Makes an exception from the hub's answer.
   *
   * @param message what is wrong, naming the repository and the file
   * @param statusCode the HTTP status, such as 404
   */
  public HubException(String message, int statusCode) {
    super(message);
    this.statusCode = statusCode;
  }

  /** Returns the HTTP status that the hub answered with, if it was its answer that failed. */
  public OptionalInt statusCode() {
    return statusCode == NONE ? OptionalInt.empty() : OptionalInt.of(statusCode);
  }
}
