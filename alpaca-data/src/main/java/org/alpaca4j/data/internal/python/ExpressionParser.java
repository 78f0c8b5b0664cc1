package org.alpaca4j.data.internal.python;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.alpaca4j.data.internal.python.PythonTree.Kind;

/**
 * Recursive descent over Python's expressions; the methods are named like the rules of <a
 * href="https://docs.python.org/3.11/reference/grammar.html">the grammar</a>.
 */
final class ExpressionParser {
  /** Far more than the 200 nested brackets that CPython allows need. */
  private static final int MAX_RECURSION = 600;

  /** Left-associative operators, from | on, by how tightly they bind. */
  private static final Map<String, Integer> BINDING =
      Map.ofEntries(
          Map.entry("|", 1),
          Map.entry("^", 2),
          Map.entry("&", 3),
          Map.entry("<<", 4),
          Map.entry(">>", 4),
          Map.entry("+", 5),
          Map.entry("-", 5),
          Map.entry("*", 6),
          Map.entry("/", 6),
          Map.entry("//", 6),
          Map.entry("%", 6),
          Map.entry("@", 6));

  private final TokenReader tokens;
  private final List<PythonTree> calls;
  private final AtomParser atoms;
  private int recursion;

  /**
   * Parses from these tokens on.
   *
   * @param calls gets every call, inner ones first
   * @param recursion how deep this is in another parser already
   */
  ExpressionParser(TokenReader tokens, List<PythonTree> calls, int recursion) {
    this.tokens = tokens;
    this.calls = calls;
    this.recursion = recursion;
    this.atoms = new AtomParser(tokens, this);
  }

  /** Parses the source of a single expression, as within an f-string. */
  PythonTree nested(String source, int line) throws PythonSyntaxException {
    try {
      return whole(source, calls, recursion + 1);
    } catch (PythonSyntaxException e) {
      throw new PythonSyntaxException(line, "in an f-string: " + e.getMessage());
    }
  }

  static PythonTree whole(String source, List<PythonTree> calls, int recursion)
      throws PythonSyntaxException {
    TokenReader tokens = new TokenReader(Lexer.tokens(source));
    PythonTree tree = new ExpressionParser(tokens, calls, recursion).starExpressions();
    while (tokens.at(Token.Type.NEWLINE)) {
      tokens.next();
    }
    tokens.expect(Token.Type.END, "the end");
    return tree;
  }

  /** One or several expressions, possibly starred; several are a tuple. */
  PythonTree starExpressions() throws PythonSyntaxException {
    Token start = tokens.peek();
    PythonTree first = starExpression();
    if (!tokens.at(",")) {
      return first;
    }
    List<PythonTree> items = new ArrayList<>(List.of(first));
    while (tokens.accept(",")) {
      if (endsList()) {
        break;
      }
      items.add(starExpression());
    }
    return PythonTree.of(start, Kind.TUPLE, "", items);
  }

  /** A list with a comma at its end may be followed by these. */
  private boolean endsList() {
    Token next = tokens.peek();
    return switch (next.type()) {
      case NEWLINE, END, INDENT, DEDENT -> true;
      case OPERATOR ->
          List.of(")", "]", "}", "=", ":", ";").contains(next.text())
              || next.text().length() > 1 && next.text().endsWith("=");
      case KEYWORD -> next.is("in");
      default -> false;
    };
  }

  private PythonTree starExpression() throws PythonSyntaxException {
    return tokens.at("*") ? starred() : expression();
  }

  PythonTree starred() throws PythonSyntaxException {
    Token star = tokens.expect("*");
    return PythonTree.of(star, Kind.STARRED, "", List.of(bitwiseOr()));
  }

  PythonTree starNamedExpression() throws PythonSyntaxException {
    return tokens.at("*") ? starred() : namedExpression();
  }

  PythonTree namedExpression() throws PythonSyntaxException {
    if (!tokens.at(Token.Type.NAME) || !tokens.second().is(":=")) {
      return expression();
    }
    Token name = tokens.next();
    tokens.next();
    PythonTree target = PythonTree.leaf(Kind.NAME, name.text());
    return PythonTree.of(name, Kind.WALRUS, "", List.of(target, expression()));
  }

  PythonTree yieldOrStarExpressions() throws PythonSyntaxException {
    return tokens.at("yield") ? yieldExpression() : starExpressions();
  }

  PythonTree yieldExpression() throws PythonSyntaxException {
    Token start = tokens.expect("yield");
    if (tokens.accept("from")) {
      return PythonTree.of(start, Kind.YIELD_FROM, "", List.of(expression()));
    }
    boolean nothing = endsList();
    PythonTree value = nothing ? PythonTree.ABSENT : starExpressions();
    return PythonTree.of(start, Kind.YIELD, "", List.of(value));
  }

  PythonTree expression() throws PythonSyntaxException {
    enter();
    try {
      Token start = tokens.peek();
      if (start.is("lambda")) {
        tokens.next();
        List<PythonTree> parts = new ArrayList<>(new ParameterParser(tokens, this).untyped());
        tokens.expect(":");
        parts.add(expression());
        return PythonTree.of(start, Kind.LAMBDA, "", parts);
      }
      PythonTree value = disjunction();
      if (!tokens.accept("if")) {
        return value;
      }
      PythonTree condition = disjunction();
      tokens.expect("else");
      return PythonTree.of(start, Kind.CONDITIONAL, "", List.of(condition, value, expression()));
    } finally {
      recursion--;
    }
  }

  PythonTree disjunction() throws PythonSyntaxException {
    Token start = tokens.peek();
    PythonTree first = conjunction();
    if (!tokens.at("or")) {
      return first;
    }
    List<PythonTree> values = new ArrayList<>(List.of(first));
    while (tokens.accept("or")) {
      values.add(conjunction());
    }
    return PythonTree.of(start, Kind.BOOLEAN, "or", values);
  }

  private PythonTree conjunction() throws PythonSyntaxException {
    Token start = tokens.peek();
    PythonTree first = inversion();
    if (!tokens.at("and")) {
      return first;
    }
    List<PythonTree> values = new ArrayList<>(List.of(first));
    while (tokens.accept("and")) {
      values.add(inversion());
    }
    return PythonTree.of(start, Kind.BOOLEAN, "and", values);
  }

  private PythonTree inversion() throws PythonSyntaxException {
    if (!tokens.at("not")) {
      return comparison();
    }
    enter();
    try {
      return PythonTree.of(tokens.next(), Kind.UNARY, "not", List.of(inversion()));
    } finally {
      recursion--;
    }
  }

  private PythonTree comparison() throws PythonSyntaxException {
    Token start = tokens.peek();
    List<PythonTree> values = new ArrayList<>(List.of(bitwiseOr()));
    StringBuilder operators = new StringBuilder();
    while (true) {
      String operator = comparisonOperator();
      if (operator.isEmpty()) {
        break;
      }
      operators.append(operator).append(' ');
      values.add(bitwiseOr());
    }
    return values.size() == 1
        ? values.get(0)
        : PythonTree.of(start, Kind.COMPARISON, operators.toString(), values);
  }

  private String comparisonOperator() throws PythonSyntaxException {
    Token token = tokens.peek();
    if (token.is("not")) {
      tokens.next();
      tokens.expect("in");
      return "not in";
    }
    if (tokens.accept("is")) {
      return tokens.accept("not") ? "is not" : "is";
    }
    for (String operator : List.of("<", ">", "==", ">=", "<=", "!=", "in")) {
      if (tokens.accept(operator)) {
        return operator;
      }
    }
    return "";
  }

  PythonTree bitwiseOr() throws PythonSyntaxException {
    return binary(1);
  }

  /** Parses operators that bind at least so tightly. */
  private PythonTree binary(int lowest) throws PythonSyntaxException {
    Token start = tokens.peek();
    PythonTree left = factor();
    while (tokens.at(Token.Type.OPERATOR)) {
      Integer binding = BINDING.get(tokens.peek().text());
      if (binding == null || binding < lowest) {
        break;
      }
      String operator = tokens.next().text();
      left = PythonTree.of(start, Kind.BINARY, operator, List.of(left, binary(binding + 1)));
    }
    return left;
  }

  private PythonTree factor() throws PythonSyntaxException {
    Token start = tokens.peek();
    if (!start.is("+") && !start.is("-") && !start.is("~")) {
      return power();
    }
    enter();
    try {
      tokens.next();
      return PythonTree.of(start, Kind.UNARY, start.text(), List.of(factor()));
    } finally {
      recursion--;
    }
  }

  private PythonTree power() throws PythonSyntaxException {
    Token start = tokens.peek();
    PythonTree base =
        tokens.accept("await")
            ? PythonTree.of(start, Kind.AWAIT, "", List.of(primary()))
            : primary();
    if (!tokens.accept("**")) {
      return base;
    }
    enter();
    try {
      return PythonTree.of(start, Kind.BINARY, "**", List.of(base, factor()));
    } finally {
      recursion--;
    }
  }

  private PythonTree primary() throws PythonSyntaxException {
    Token start = tokens.peek();
    PythonTree tree = atoms.atom();
    while (true) {
      if (tokens.accept(".")) {
        Token name = tokens.expect(Token.Type.NAME, "a name");
        tree = PythonTree.of(start, Kind.ATTRIBUTE, name.text(), List.of(tree));
      } else if (tokens.accept("(")) {
        List<PythonTree> parts = new ArrayList<>(List.of(tree));
        parts.addAll(atoms.arguments(true));
        tree = PythonTree.of(start, Kind.CALL, "", parts);
        calls.add(tree);
      } else if (tokens.accept("[")) {
        tree = PythonTree.of(start, Kind.SUBSCRIPT, "", List.of(tree, atoms.slices()));
      } else {
        return tree;
      }
    }
  }

  /** Parses a class's arguments behind the opening bracket. */
  void classArguments() throws PythonSyntaxException {
    atoms.arguments(false);
  }

  /** Parses what a match statement looks at. */
  void matchSubject() throws PythonSyntaxException {
    starNamedExpression();
    while (tokens.accept(",")) {
      if (!tokens.at(":")) {
        starNamedExpression();
      }
    }
  }

  /** Names, attributes, elements, and lists of them: what a for or an assignment can write to. */
  PythonTree starTargets() throws PythonSyntaxException {
    Token start = tokens.peek();
    PythonTree first = tokens.at("*") ? starred() : bitwiseOr();
    List<PythonTree> items = new ArrayList<>(List.of(first));
    boolean several = tokens.at(",");
    while (tokens.accept(",")) {
      if (endsList()) {
        break;
      }
      items.add(tokens.at("*") ? starred() : bitwiseOr());
    }
    PythonTree targets = several ? PythonTree.of(start, Kind.TUPLE, "", items) : first;
    requireTarget(targets);
    return targets;
  }

  void requireTarget(PythonTree tree) throws PythonSyntaxException {
    switch (tree.kind()) {
      case NAME, ATTRIBUTE, SUBSCRIPT -> {}
      case TUPLE, LIST, STARRED -> {
        for (PythonTree child : tree.children()) {
          requireTarget(child);
        }
      }
      default -> throw tokens.error("cannot assign to what stands before " + tokens.peek().shown());
    }
  }

  private void enter() throws PythonSyntaxException {
    if (++recursion > MAX_RECURSION) {
      throw tokens.error("nested too deeply");
    }
  }
}
