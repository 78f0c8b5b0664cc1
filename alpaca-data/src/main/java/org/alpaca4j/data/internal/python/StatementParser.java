package org.alpaca4j.data.internal.python;

import java.util.List;
import java.util.Set;
import org.alpaca4j.data.internal.python.PythonTree.Kind;

/**
 * Recursive descent over Python's statements. Only the expressions in them are of interest: nothing
 * is kept of the statements themselves.
 */
final class StatementParser {
  private static final Set<String> AUGMENTED =
      Set.of("+=", "-=", "*=", "/=", "//=", "%=", "@=", "&=", "|=", "^=", ">>=", "<<=", "**=");

  private final TokenReader tokens;
  private final List<PythonTree> calls;
  private final ExpressionParser expressions;

  StatementParser(List<Token> source, List<PythonTree> calls) {
    this.tokens = new TokenReader(source);
    this.calls = calls;
    this.expressions = new ExpressionParser(tokens, calls, 0);
  }

  void parse() throws PythonSyntaxException {
    while (!tokens.at(Token.Type.END)) {
      statement();
    }
  }

  private void statement() throws PythonSyntaxException {
    Token first = tokens.peek();
    if (first.type() == Token.Type.NAME && first.text().equals("match") && startsMatch()) {
      match();
      return;
    }
    if (first.type() != Token.Type.KEYWORD && !first.is("@")) {
      simpleStatements();
      return;
    }
    switch (first.text()) {
      case "@" -> decorated();
      case "def" -> function();
      case "class" -> classDefinition();
      case "async" -> async();
      case "if" -> conditional();
      case "while" -> {
        tokens.next();
        expressions.namedExpression();
        block();
        optionalElse();
      }
      case "for" -> loop();
      case "with" -> with();
      case "try" -> tryStatement();
      default -> simpleStatements();
    }
  }

  private void block() throws PythonSyntaxException {
    tokens.expect(":");
    if (!tokens.at(Token.Type.NEWLINE)) {
      simpleStatements();
      return;
    }
    openBlock();
    while (!tokens.at(Token.Type.DEDENT)) {
      statement();
    }
    tokens.next();
  }

  private void openBlock() throws PythonSyntaxException {
    tokens.expect(Token.Type.NEWLINE, "a new line");
    tokens.expect(Token.Type.INDENT, "an indented block");
  }

  private void simpleStatements() throws PythonSyntaxException {
    simpleStatement();
    while (tokens.accept(";")) {
      if (tokens.at(Token.Type.NEWLINE)) {
        break;
      }
      simpleStatement();
    }
    tokens.expect(Token.Type.NEWLINE, "the end of the statement");
  }

  private void simpleStatement() throws PythonSyntaxException {
    Token first = tokens.peek();
    if (first.type() != Token.Type.KEYWORD) {
      assignmentOrExpression();
      return;
    }
    switch (first.text()) {
      case "pass", "break", "continue" -> tokens.next();
      case "return" -> {
        tokens.next();
        if (!atEndOfStatement()) {
          expressions.starExpressions();
        }
      }
      case "raise" -> {
        tokens.next();
        if (!atEndOfStatement()) {
          expressions.expression();
          if (tokens.accept("from")) {
            expressions.expression();
          }
        }
      }
      case "assert" -> {
        tokens.next();
        expressions.expression();
        if (tokens.accept(",")) {
          expressions.expression();
        }
      }
      case "del" -> delete();
      case "global", "nonlocal" -> {
        tokens.next();
        do {
          name();
        } while (tokens.accept(","));
      }
      case "import" -> {
        tokens.next();
        do {
          dottedName();
          optionalAs();
        } while (tokens.accept(","));
      }
      case "from" -> importFrom();
      default -> assignmentOrExpression();
    }
  }

  private boolean atEndOfStatement() {
    return tokens.at(Token.Type.NEWLINE) || tokens.at(";");
  }

  private void assignmentOrExpression() throws PythonSyntaxException {
    boolean inBrackets = tokens.at("(");
    PythonTree target = expressions.yieldOrStarExpressions();
    if (tokens.at(":")) {
      requireSingleTarget(target, inBrackets);
      tokens.next();
      expressions.expression();
      if (tokens.accept("=")) {
        expressions.yieldOrStarExpressions();
      }
    } else if (tokens.at(Token.Type.OPERATOR) && AUGMENTED.contains(tokens.peek().text())) {
      requireSingleTarget(target, inBrackets);
      tokens.next();
      expressions.yieldOrStarExpressions();
    } else {
      while (tokens.at("=")) {
        expressions.requireTarget(target);
        tokens.next();
        target = expressions.yieldOrStarExpressions();
      }
    }
  }

  private void requireSingleTarget(PythonTree target, boolean inBrackets)
      throws PythonSyntaxException {
    if (!target.is(Kind.NAME) && !target.is(Kind.ATTRIBUTE) && !target.is(Kind.SUBSCRIPT)) {
      throw tokens.error(
          "cannot assign to " + (inBrackets ? "what stands in brackets" : "several or none"));
    }
  }

  private void delete() throws PythonSyntaxException {
    tokens.next();
    do {
      requireDeletable(expressions.bitwiseOr());
    } while (tokens.accept(",") && !atEndOfStatement());
  }

  private void requireDeletable(PythonTree tree) throws PythonSyntaxException {
    if (tree.is(Kind.STARRED)) {
      throw tokens.error("cannot delete a starred expression");
    }
    if (tree.is(Kind.TUPLE) || tree.is(Kind.LIST)) {
      for (PythonTree child : tree.children()) {
        requireDeletable(child);
      }
    } else {
      expressions.requireTarget(tree);
    }
  }

  private void importFrom() throws PythonSyntaxException {
    tokens.next();
    boolean relative = false;
    while (tokens.accept(".") || tokens.accept("...")) {
      relative = true;
    }
    if (!relative || !tokens.at("import")) {
      dottedName();
    }
    tokens.expect("import");
    if (tokens.accept("*")) {
      return;
    }
    boolean brackets = tokens.accept("(");
    do {
      if (brackets && tokens.at(")")) {
        break;
      }
      name();
      optionalAs();
    } while (tokens.accept(","));
    if (brackets) {
      tokens.expect(")");
    }
  }

  private void name() throws PythonSyntaxException {
    tokens.expect(Token.Type.NAME, "a name");
  }

  private void dottedName() throws PythonSyntaxException {
    do {
      name();
    } while (tokens.accept("."));
  }

  private void optionalAs() throws PythonSyntaxException {
    if (tokens.accept("as")) {
      name();
    }
  }

  private void decorated() throws PythonSyntaxException {
    while (tokens.accept("@")) {
      expressions.namedExpression();
      tokens.expect(Token.Type.NEWLINE, "a new line");
    }
    if (!tokens.at("def") && !tokens.at("class") && !tokens.at("async")) {
      throw tokens.unexpected("a function or class");
    }
    if (tokens.at("async") && !tokens.second().is("def")) {
      throw tokens.unexpected("a function or class");
    }
    statement();
  }

  private void function() throws PythonSyntaxException {
    tokens.next();
    name();
    tokens.expect("(");
    new ParameterParser(tokens, expressions).typed();
    tokens.expect(")");
    if (tokens.accept("->")) {
      expressions.expression();
    }
    block();
  }

  private void classDefinition() throws PythonSyntaxException {
    tokens.next();
    name();
    if (tokens.accept("(")) {
      expressions.classArguments();
    }
    block();
  }

  private void async() throws PythonSyntaxException {
    tokens.next();
    if (tokens.at("def")) {
      function();
    } else if (tokens.at("for")) {
      loop();
    } else if (tokens.at("with")) {
      with();
    } else {
      throw tokens.unexpected("def, for or with");
    }
  }

  private void conditional() throws PythonSyntaxException {
    do {
      tokens.next();
      expressions.namedExpression();
      block();
    } while (tokens.at("elif"));
    optionalElse();
  }

  private void optionalElse() throws PythonSyntaxException {
    if (tokens.accept("else")) {
      block();
    }
  }

  private void loop() throws PythonSyntaxException {
    tokens.next();
    expressions.starTargets();
    tokens.expect("in");
    expressions.starExpressions();
    block();
    optionalElse();
  }

  /**
   * Brackets may hold the items or belong to the first one: the second is tried if not the first.
   */
  private void with() throws PythonSyntaxException {
    tokens.next();
    int position = tokens.position();
    int found = calls.size();
    if (tokens.accept("(") && bracketedItems()) {
      block();
      return;
    }
    tokens.back(position);
    calls.subList(found, calls.size()).clear();
    do {
      withItem();
    } while (tokens.accept(","));
    block();
  }

  private boolean bracketedItems() {
    try {
      do {
        if (tokens.at(")")) {
          break;
        }
        withItem();
      } while (tokens.accept(","));
      tokens.expect(")");
      return tokens.at(":");
    } catch (PythonSyntaxException e) {
      return false;
    }
  }

  private void withItem() throws PythonSyntaxException {
    expressions.expression();
    if (tokens.accept("as")) {
      expressions.requireTarget(tokens.at("*") ? expressions.starred() : expressions.bitwiseOr());
    }
  }

  private void tryStatement() throws PythonSyntaxException {
    tokens.next();
    block();
    boolean handled = tokens.at("except");
    if (handled) {
      boolean groups = tokens.second().is("*");
      while (tokens.accept("except")) {
        if (tokens.accept("*") != groups) {
          throw tokens.error("except and except* are mixed");
        }
        if (groups || !tokens.at(":")) {
          expressions.expression();
          optionalAs();
        }
        block();
      }
      optionalElse();
    }
    if (tokens.accept("finally")) {
      block();
    } else if (!handled) {
      throw tokens.unexpected("except or finally");
    }
  }

  /**
   * Returns whether the name match begins a statement: then its line ends with a colon, and an
   * indented case follows.
   */
  private boolean startsMatch() {
    int position = tokens.position();
    boolean colon = false;
    while (!tokens.at(Token.Type.NEWLINE)) {
      colon = tokens.next().is(":");
    }
    tokens.next();
    boolean indented = tokens.at(Token.Type.INDENT);
    tokens.next();
    boolean cases = tokens.peek().text().equals("case");
    tokens.back(position);
    return colon && indented && cases;
  }

  private void match() throws PythonSyntaxException {
    tokens.next();
    expressions.matchSubject();
    tokens.expect(":");
    openBlock();
    while (!tokens.at(Token.Type.DEDENT)) {
      if (!tokens.peek().text().equals("case")) {
        throw tokens.unexpected("case");
      }
      tokens.next();
      skipPattern();
      if (tokens.accept("if")) {
        expressions.namedExpression();
      }
      block();
    }
    tokens.next();
  }

  /** A pattern holds no call, though it can look like one; it is not looked at. */
  private void skipPattern() throws PythonSyntaxException {
    int brackets = 0;
    int position = tokens.position();
    while (brackets > 0 || !tokens.at(":") && !tokens.at("if")) {
      if (tokens.at(Token.Type.NEWLINE)) {
        throw tokens.unexpected("':'");
      }
      String text = tokens.next().text();
      if (List.of("(", "[", "{").contains(text)) {
        brackets++;
      } else if (List.of(")", "]", "}").contains(text)) {
        brackets--;
      }
    }
    if (tokens.position() == position) {
      throw tokens.unexpected("a pattern");
    }
  }
}
