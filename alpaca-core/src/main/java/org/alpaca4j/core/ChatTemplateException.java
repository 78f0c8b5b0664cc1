package org.alpaca4j.core;

import java.util.OptionalInt;

/**
 * A chat template cannot be read, parsed, or rendered for these messages.
 *
 * <p>Where the template itself refused ({@code raise_exception} in its text), {@link
 * #raisedByTemplate()} is true and the message is exactly the template's. Otherwise the message
 * names the template line.
 */
public class ChatTemplateException extends AlpacaException {
  private static final long serialVersionUID = 1L;

  private final int line;
  private final boolean raisedByTemplate;

  /** Creates an exception that has no template line. */
  public ChatTemplateException(String message) {
    super(message);
    this.line = 0;
    this.raisedByTemplate = false;
  }

  /** Creates an exception that has no template line, with the one it comes from. */
  public ChatTemplateException(String message, Throwable cause) {
    super(message, cause);
    this.line = 0;
    this.raisedByTemplate = false;
  }

  ChatTemplateException(String message, int line, boolean raisedByTemplate, Throwable cause) {
    super(message, cause);
    this.line = line;
    this.raisedByTemplate = raisedByTemplate;
  }

  /** Returns the line of the template, counted from 1, if the error belongs to one. */
  public OptionalInt line() {
    return line > 0 ? OptionalInt.of(line) : OptionalInt.empty();
  }

  /** Returns whether the template refused these messages by its own {@code raise_exception}. */
  public boolean raisedByTemplate() {
    return raisedByTemplate;
  }
}
