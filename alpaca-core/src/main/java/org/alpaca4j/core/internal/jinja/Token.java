package org.alpaca4j.core.internal.jinja;

/** One lexical token; {@code value} is a String, or a number for INTEGER and FLOAT. */
record Token(Type type, Object value, int line) {

  enum Type {
    DATA,
    VARIABLE_BEGIN,
    VARIABLE_END,
    BLOCK_BEGIN,
    BLOCK_END,
    NAME,
    STRING,
    INTEGER,
    FLOAT,
    OPERATOR,
    EOF
  }

  String text() {
    return (String) value;
  }

  boolean isName(String name) {
    return type == Type.NAME && value.equals(name);
  }

  boolean isOperator(String operator) {
    return type == Type.OPERATOR && value.equals(operator);
  }

  String describe() {
    return switch (type) {
      case DATA -> "template data / text";
      case VARIABLE_BEGIN -> "begin of print statement";
      case VARIABLE_END -> "end of print statement";
      case BLOCK_BEGIN -> "begin of statement block";
      case BLOCK_END -> "end of statement block";
      case EOF -> "end of template";
      case STRING -> "string";
      case INTEGER -> "integer";
      case FLOAT -> "float";
      case NAME, OPERATOR -> text();
    };
  }
}
