package org.alpaca4j.data.internal.python;

import java.util.List;

/** Goes through tokens, one ahead. */
final class TokenReader {
  private final List<Token> tokens;
  private int at;

  TokenReader(List<Token> tokens) {
    this.tokens = tokens;
  }

  Token peek() {
    return tokens.get(at);
  }

  /** Returns the token behind the next one. */
  Token second() {
    return tokens.get(Math.min(at + 1, tokens.size() - 1));
  }

  Token next() {
    Token token = tokens.get(at);
    if (at < tokens.size() - 1) {
      at++;
    }
    return token;
  }

  int position() {
    return at;
  }

  void back(int position) {
    at = position;
  }

  boolean at(String keywordOrOperator) {
    return peek().is(keywordOrOperator);
  }

  boolean at(Token.Type type) {
    return peek().type() == type;
  }

  boolean accept(String keywordOrOperator) {
    if (!at(keywordOrOperator)) {
      return false;
    }
    next();
    return true;
  }

  Token expect(String keywordOrOperator) throws PythonSyntaxException {
    if (!at(keywordOrOperator)) {
      throw unexpected("'" + keywordOrOperator + "'");
    }
    return next();
  }

  Token expect(Token.Type type, String wanted) throws PythonSyntaxException {
    if (!at(type)) {
      throw unexpected(wanted);
    }
    return next();
  }

  PythonSyntaxException unexpected(String wanted) {
    return error("expected " + wanted + ", found " + peek().shown());
  }

  PythonSyntaxException error(String problem) {
    return new PythonSyntaxException(peek().line(), problem);
  }
}
