package org.alpaca4j.data.internal.python;

/** The text is not Python 3.11, or nested too deeply to be looked at. */
public final class PythonSyntaxException extends Exception {
  private static final long serialVersionUID = 1L;

  PythonSyntaxException(int line, String problem) {
    super("line " + line + ": " + problem);
  }
}
