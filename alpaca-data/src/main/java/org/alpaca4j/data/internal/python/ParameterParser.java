package org.alpaca4j.data.internal.python;

import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.data.internal.python.PythonTree.Kind;

/** Parameters of a lambda or a function. */
final class ParameterParser {
  private final TokenReader tokens;
  private final ExpressionParser expressions;
  private final List<PythonTree> parameters = new ArrayList<>();
  private boolean withDefault;
  private boolean starSeen;
  private boolean bareStar;

  ParameterParser(TokenReader tokens, ExpressionParser expressions) {
    this.tokens = tokens;
    this.expressions = expressions;
  }

  /** Parses a lambda's, up to the colon. */
  List<PythonTree> untyped() throws PythonSyntaxException {
    return parse(":", false);
  }

  /** Parses a function's, up to the closing bracket. */
  void typed() throws PythonSyntaxException {
    parse(")", true);
  }

  private List<PythonTree> parse(String end, boolean typed) throws PythonSyntaxException {
    boolean slashSeen = false;
    while (!tokens.at(end)) {
      Token start = tokens.peek();
      if (tokens.accept("**")) {
        requireNameAfterStar();
        parameter(start, "**", typed, false);
        tokens.accept(",");
        break;
      } else if (tokens.accept("*")) {
        star(start, typed);
      } else if (tokens.accept("/")) {
        if (slashSeen || starSeen || parameters.isEmpty()) {
          throw tokens.error("a misplaced / among parameters");
        }
        slashSeen = true;
        parameters.add(PythonTree.leaf(Kind.PARAMETER, "/"));
      } else {
        parameter(start, "", typed, true);
      }
      if (!tokens.at(end)) {
        tokens.expect(",");
      }
    }
    requireNameAfterStar();
    return parameters;
  }

  private void star(Token start, boolean typed) throws PythonSyntaxException {
    if (starSeen) {
      throw tokens.error("a second * among parameters");
    }
    starSeen = true;
    if (tokens.at(Token.Type.NAME)) {
      parameter(start, "*", typed, false);
    } else {
      bareStar = true;
      parameters.add(PythonTree.leaf(Kind.PARAMETER, "*"));
    }
  }

  private void requireNameAfterStar() throws PythonSyntaxException {
    if (bareStar) {
      throw tokens.error("a named parameter must follow *");
    }
  }

  private void parameter(Token start, String stars, boolean typed, boolean canHaveDefault)
      throws PythonSyntaxException {
    String name = tokens.expect(Token.Type.NAME, "a parameter").text();
    bareStar = false;
    if (typed && tokens.accept(":")) {
      if (stars.equals("*") && tokens.at("*")) {
        expressions.starred();
      } else {
        expressions.expression();
      }
    }
    List<PythonTree> value = List.of();
    if (canHaveDefault && tokens.accept("=")) {
      withDefault = true;
      value = List.of(expressions.expression());
    } else if (canHaveDefault && withDefault && !starSeen) {
      throw tokens.error("a parameter without a default follows one with a default");
    }
    parameters.add(PythonTree.of(start, Kind.PARAMETER, stars + name, value));
  }
}
