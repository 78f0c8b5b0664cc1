package org.alpaca4j.data.internal.python;

/**
 * A token.
 *
 * @param text as it stands in the source; of a name, in Unicode's form NFKC as Python compares it
 * @param line from 1
 */
record Token(Type type, String text, int line) {
  enum Type {
    NAME,
    KEYWORD,
    NUMBER,
    STRING,
    OPERATOR,
    NEWLINE,
    INDENT,
    DEDENT,
    END
  }

  /** Returns whether this is the given keyword or operator. */
  boolean is(String keywordOrOperator) {
    return (type == Type.KEYWORD || type == Type.OPERATOR) && text.equals(keywordOrOperator);
  }

  /** Returns what messages call this token. */
  String shown() {
    return switch (type) {
      case NEWLINE -> "the end of the line";
      case INDENT -> "an indentation";
      case DEDENT, END -> "the end";
      default -> "'" + (text.length() > 40 ? text.substring(0, 40) + "..." : text) + "'";
    };
  }
}
