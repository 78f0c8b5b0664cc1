package org.alpaca4j.data.internal.python;

import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.data.internal.python.PythonTree.Kind;

/** Names, constants, what stands in brackets, arguments and slices. */
final class AtomParser {
  private final TokenReader tokens;
  private final ExpressionParser expressions;

  AtomParser(TokenReader tokens, ExpressionParser expressions) {
    this.tokens = tokens;
    this.expressions = expressions;
  }

  PythonTree atom() throws PythonSyntaxException {
    Token token = tokens.peek();
    switch (token.type()) {
      case NAME -> {
        return PythonTree.leaf(Kind.NAME, tokens.next().text());
      }
      case NUMBER -> {
        return PythonTree.leaf(Kind.NUMBER, NumberLiterals.value(tokens.next()));
      }
      case STRING -> {
        List<Token> neighbours = new ArrayList<>();
        while (tokens.at(Token.Type.STRING)) {
          neighbours.add(tokens.next());
        }
        return StringLiterals.join(neighbours, expressions::nested);
      }
      default -> {}
    }
    if (tokens.accept("(")) {
      return inRoundBrackets(token);
    } else if (tokens.accept("[")) {
      return list(token);
    } else if (tokens.accept("{")) {
      return inCurlyBrackets(token);
    } else if (token.is("None") || token.is("True") || token.is("False") || token.is("...")) {
      return PythonTree.leaf(Kind.CONSTANT, tokens.next().text());
    }
    throw tokens.unexpected("an expression");
  }

  private PythonTree inRoundBrackets(Token start) throws PythonSyntaxException {
    if (tokens.accept(")")) {
      return PythonTree.leaf(Kind.TUPLE, "");
    }
    if (tokens.at("yield")) {
      PythonTree value = expressions.yieldExpression();
      tokens.expect(")");
      return value;
    }
    PythonTree first = expressions.starNamedExpression();
    if (atComprehension()) {
      return comprehension(start, Kind.GENERATOR, ")", first);
    }
    if (tokens.at(",")) {
      return PythonTree.of(start, Kind.TUPLE, "", items(first, ")"));
    }
    if (first.is(Kind.STARRED)) {
      throw tokens.error("a starred expression needs a list or tuple around it");
    }
    tokens.expect(")");
    return first;
  }

  private PythonTree list(Token start) throws PythonSyntaxException {
    if (tokens.accept("]")) {
      return PythonTree.leaf(Kind.LIST, "");
    }
    PythonTree first = expressions.starNamedExpression();
    return atComprehension()
        ? comprehension(start, Kind.LIST_COMPREHENSION, "]", first)
        : PythonTree.of(start, Kind.LIST, "", items(first, "]"));
  }

  private PythonTree inCurlyBrackets(Token start) throws PythonSyntaxException {
    if (tokens.accept("}")) {
      return PythonTree.leaf(Kind.DICT, "");
    }
    if (tokens.at("**")) {
      return dict(start, entry());
    }
    PythonTree first = expressions.starNamedExpression();
    if (tokens.at(":") && !first.is(Kind.STARRED)) {
      tokens.next();
      PythonTree value = expressions.expression();
      List<PythonTree> pair = List.of(first, value);
      return atComprehension()
          ? comprehension(start, Kind.DICT_COMPREHENSION, "}", first, value)
          : dict(start, pair);
    }
    return atComprehension()
        ? comprehension(start, Kind.SET_COMPREHENSION, "}", first)
        : PythonTree.of(start, Kind.SET, "", items(first, "}"));
  }

  /** Keys and values in turn; an unpacked dictionary has no key. */
  private PythonTree dict(Token start, List<PythonTree> firstEntry) throws PythonSyntaxException {
    List<PythonTree> entries = new ArrayList<>(firstEntry);
    while (!tokens.accept("}")) {
      tokens.expect(",");
      if (!tokens.at("}")) {
        entries.addAll(entry());
      }
    }
    return PythonTree.of(start, Kind.DICT, "", entries);
  }

  private List<PythonTree> entry() throws PythonSyntaxException {
    if (tokens.accept("**")) {
      return List.of(PythonTree.ABSENT, expressions.bitwiseOr());
    }
    PythonTree key = expressions.expression();
    tokens.expect(":");
    return List.of(key, expressions.expression());
  }

  private List<PythonTree> items(PythonTree first, String end) throws PythonSyntaxException {
    List<PythonTree> items = new ArrayList<>(List.of(first));
    while (!tokens.accept(end)) {
      tokens.expect(",");
      if (!tokens.at(end)) {
        items.add(expressions.starNamedExpression());
      }
    }
    return items;
  }

  private boolean atComprehension() {
    return tokens.at("for") || tokens.at("async");
  }

  private PythonTree comprehension(Token start, Kind kind, String end, PythonTree... result)
      throws PythonSyntaxException {
    if (result[0].is(Kind.STARRED)) {
      throw tokens.error("a comprehension cannot be starred");
    }
    List<PythonTree> parts = new ArrayList<>(List.of(result));
    while (atComprehension()) {
      Token clause = tokens.peek();
      boolean async = tokens.accept("async");
      tokens.expect("for");
      List<PythonTree> of = new ArrayList<>(List.of(expressions.starTargets()));
      tokens.expect("in");
      of.add(expressions.disjunction());
      while (tokens.accept("if")) {
        of.add(expressions.disjunction());
      }
      parts.add(PythonTree.of(clause, Kind.CLAUSE, async ? "async" : "", of));
    }
    tokens.expect(end);
    return PythonTree.of(start, kind, "", parts);
  }

  /** Parses arguments behind the opening bracket, up to the closing one. */
  List<PythonTree> arguments(boolean canBeGenerator) throws PythonSyntaxException {
    List<PythonTree> arguments = new ArrayList<>();
    boolean named = false;
    boolean unpacked = false;
    while (!tokens.accept(")")) {
      if (!arguments.isEmpty()) {
        tokens.expect(",");
        if (tokens.accept(")")) {
          break;
        }
      }
      Token start = tokens.peek();
      if (tokens.accept("**")) {
        unpacked = true;
        arguments.add(PythonTree.of(start, Kind.KEYWORD, "**", List.of(expressions.expression())));
      } else if (tokens.accept("*")) {
        if (unpacked) {
          throw tokens.error("an unpacked argument follows an unpacked dictionary");
        }
        arguments.add(PythonTree.of(start, Kind.STARRED, "", List.of(expressions.expression())));
      } else if (start.type() == Token.Type.NAME && tokens.second().is("=")) {
        named = true;
        tokens.next();
        tokens.next();
        arguments.add(
            PythonTree.of(start, Kind.KEYWORD, start.text(), List.of(expressions.expression())));
      } else {
        PythonTree value = expressions.namedExpression();
        if (canBeGenerator && arguments.isEmpty() && atComprehension()) {
          return List.of(comprehension(start, Kind.GENERATOR, ")", value));
        }
        if (named || unpacked) {
          throw tokens.error("a positional argument follows a named one");
        }
        arguments.add(value);
      }
    }
    return arguments;
  }

  /** Parses what stands in square brackets behind a value, up to the closing one. */
  PythonTree slices() throws PythonSyntaxException {
    Token start = tokens.peek();
    PythonTree first = slice();
    if (tokens.accept("]")) {
      return first.is(Kind.STARRED) ? PythonTree.of(start, Kind.TUPLE, "", List.of(first)) : first;
    }
    List<PythonTree> items = new ArrayList<>(List.of(first));
    while (!tokens.accept("]")) {
      tokens.expect(",");
      if (!tokens.at("]")) {
        items.add(slice());
      }
    }
    return PythonTree.of(start, Kind.TUPLE, "", items);
  }

  private PythonTree slice() throws PythonSyntaxException {
    Token start = tokens.peek();
    if (start.is("*")) {
      return expressions.starred();
    }
    PythonTree from = start.is(":") ? PythonTree.ABSENT : expressions.namedExpression();
    if (!tokens.accept(":")) {
      return from;
    }
    PythonTree to = atSliceEnd() ? PythonTree.ABSENT : expressions.expression();
    PythonTree step =
        tokens.accept(":") && !atSliceEnd() ? expressions.expression() : PythonTree.ABSENT;
    return PythonTree.of(start, Kind.SLICE, "", List.of(from, to, step));
  }

  private boolean atSliceEnd() {
    return tokens.at(":") || tokens.at(",") || tokens.at("]");
  }
}
