package org.alpaca4j.data.internal.python;

/** Python's backslash escapes. An unknown one stays as it is, as in Python. */
final class StringEscapes {
  private static final int NONE = -1;

  private final String body;
  private final boolean bytes;
  private final int line;
  private final StringBuilder out = new StringBuilder();
  private int at;

  private StringEscapes(String body, boolean bytes, int line) {
    this.body = body;
    this.bytes = bytes;
    this.line = line;
  }

  static String decode(String body, int line) throws PythonSyntaxException {
    return body.indexOf('\\') < 0 ? body : new StringEscapes(body, false, line).decode();
  }

  /** Returns bytes as characters up to U+00FF. */
  static String decodeBytes(String body, int line) throws PythonSyntaxException {
    return body.indexOf('\\') < 0 ? body : new StringEscapes(body, true, line).decode();
  }

  private String decode() throws PythonSyntaxException {
    while (at < body.length()) {
      char c = body.charAt(at++);
      if (c == '\\' && at < body.length()) {
        escape(body.charAt(at++));
      } else {
        out.append(c);
      }
    }
    return out.toString();
  }

  private void escape(char c) throws PythonSyntaxException {
    int simple = simple(c);
    if (simple != NONE) {
      out.append((char) simple);
    } else if (c >= '0' && c <= '7') {
      octal(c);
    } else if (c == 'x') {
      hexadecimal(2);
    } else if (!bytes && (c == 'u' || c == 'U')) {
      hexadecimal(c == 'u' ? 4 : 8);
    } else if (!bytes && c == 'N') {
      named();
    } else if (c != '\n') {
      out.append('\\').append(c);
    }
  }

  private static int simple(char c) {
    return switch (c) {
      case '\\', '\'', '"' -> c;
      case 'a' -> 7;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'v' -> 11;
      default -> NONE;
    };
  }

  private void octal(char first) {
    int value = first - '0';
    for (int i = 0; i < 2 && at < body.length(); i++) {
      char c = body.charAt(at);
      if (c < '0' || c > '7') {
        break;
      }
      value = value * 8 + c - '0';
      at++;
    }
    out.append((char) (bytes ? value & 0xFF : value));
  }

  private void hexadecimal(int digits) throws PythonSyntaxException {
    long value = 0;
    for (int i = 0; i < digits; i++) {
      int digit =
          at < body.length() && body.charAt(at) < 128 ? Character.digit(body.charAt(at), 16) : NONE;
      if (digit == NONE) {
        throw new PythonSyntaxException(line, "a cut off escape in a string");
      }
      value = value * 16 + digit;
      at++;
    }
    if (value > Character.MAX_CODE_POINT) {
      throw new PythonSyntaxException(line, "an escape beyond Unicode in a string");
    }
    out.appendCodePoint((int) value);
  }

  private void named() throws PythonSyntaxException {
    int end = body.indexOf('}', at);
    if (at >= body.length() || body.charAt(at) != '{' || end < 0) {
      throw new PythonSyntaxException(line, "\\N needs a character's name in brackets");
    }
    String name = body.substring(at + 1, end);
    at = end + 1;
    try {
      out.appendCodePoint(Character.codePointOf(name));
    } catch (IllegalArgumentException e) {
      throw new PythonSyntaxException(line, "there is no character of the name " + name);
    }
  }
}
