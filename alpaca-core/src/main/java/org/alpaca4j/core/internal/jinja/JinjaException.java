package org.alpaca4j.core.internal.jinja;

/** A template that cannot be parsed or rendered; {@link #line()} is filled in on the way up. */
public final class JinjaException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What went wrong, in Python's and Jinja's terms. */
  public enum Kind {
    /** The template called {@code raise_exception}; the message is the template's own. */
    RAISED,
    /** Jinja's TemplateSyntaxError. */
    SYNTAX,
    /** Jinja's UndefinedError. */
    UNDEFINED,
    /** The sandbox refused (SecurityError). */
    SECURITY,
    /** Any other error that Python raises for this operation (TypeError, ValueError, ...). */
    RUNTIME,
    /** A limit of this engine (size, depth, work) was reached. */
    LIMIT,
    /** Valid Jinja that this engine does not implement. */
    UNSUPPORTED
  }

  private final Kind kind;
  private int line;

  JinjaException(Kind kind, String message, int line) {
    super(message);
    this.kind = kind;
    this.line = line;
  }

  JinjaException(Kind kind, String message) {
    this(kind, message, 0);
  }

  static JinjaException runtime(String message) {
    return new JinjaException(Kind.RUNTIME, message);
  }

  static JinjaException type(String message) {
    return new JinjaException(Kind.RUNTIME, "TypeError: " + message);
  }

  static JinjaException value(String message) {
    return new JinjaException(Kind.RUNTIME, "ValueError: " + message);
  }

  static JinjaException limit(String message) {
    return new JinjaException(Kind.LIMIT, message);
  }

  static JinjaException unsupported(String what) {
    return new JinjaException(Kind.UNSUPPORTED, what + " is not supported by this engine");
  }

  JinjaException at(int lineNumber) {
    if (line == 0) {
      line = lineNumber;
    }
    return this;
  }

  /** Returns what went wrong. */
  public Kind kind() {
    return kind;
  }

  /** Returns the template line, counted from 1, or 0 if it is not known. */
  public int line() {
    return line;
  }
}
