package org.alpaca4j.core.internal.jinja;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.internal.jinja.JinjaException.Kind;
import org.jspecify.annotations.Nullable;

/** An expression of the tree; immutable, evaluated against a scope. */
sealed interface Expression {

  Object evaluate(Rendering rendering, Scope scope);

  record Constant(Object value) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      return value;
    }
  }

  record Name(String name) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Object value = scope.find(name);
      if (value == null) {
        value = rendering.variable(name);
      }
      return value == null ? Undefined.variable(name) : value;
    }
  }

  record ListLiteral(List<Expression> items) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      return evaluateAll(items, rendering, scope);
    }
  }

  record TupleLiteral(List<Expression> items) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      return new Tuple(evaluateAll(items, rendering, scope));
    }
  }

  record DictLiteral(List<Expression> keys, List<Expression> values) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Dict dict = new Dict();
      for (int i = 0; i < keys.size(); i++) {
        dict.put(keys.get(i).evaluate(rendering, scope), values.get(i).evaluate(rendering, scope));
      }
      return dict;
    }
  }

  record Attribute(Expression owner, String name) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      return rendering.attribute(owner.evaluate(rendering, scope), name);
    }
  }

  record Item(Expression owner, Expression key) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Object value = owner.evaluate(rendering, scope);
      return rendering.item(value, key.evaluate(rendering, scope));
    }
  }

  record SliceOf(Expression owner, Expression start, Expression stop, Expression step)
      implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Object value = owner.evaluate(rendering, scope);
      Slice slice =
          new Slice(
              start.evaluate(rendering, scope),
              stop.evaluate(rendering, scope),
              step.evaluate(rendering, scope));
      return slice.of(value);
    }
  }

  /** The argument list of a call, filter or test. */
  record ArgumentList(
      List<Expression> positional,
      Map<String, Expression> named,
      @Nullable Expression restPositional,
      @Nullable Expression restNamed) {
    static final ArgumentList EMPTY = new ArgumentList(List.of(), Map.of(), null, null);

    Arguments evaluate(Rendering rendering, Scope scope) {
      if (named.isEmpty() && restPositional == null && restNamed == null) {
        return positional.isEmpty()
            ? Arguments.EMPTY
            : Arguments.of(evaluateAll(positional, rendering, scope).toArray());
      }
      List<Object> values = evaluateAll(positional, rendering, scope);
      if (restPositional != null) {
        values.addAll(Values.list(restPositional.evaluate(rendering, scope)));
      }
      Map<String, Object> keywords = new LinkedHashMap<>();
      named.forEach((name, value) -> keywords.put(name, value.evaluate(rendering, scope)));
      if (restNamed != null) {
        if (!(restNamed.evaluate(rendering, scope) instanceof Dict dict)) {
          throw JinjaException.type("argument after ** must be a mapping");
        }
        for (Dict.Entry entry : dict.entries()) {
          if (!Values.isString(entry.key())) {
            throw JinjaException.type("keywords must be strings");
          }
          if (keywords.put(Values.text(entry.key()), entry.value()) != null) {
            throw JinjaException.type("got multiple values for keyword argument " + entry.key());
          }
        }
      }
      return new Arguments(values.toArray(), keywords);
    }
  }

  record Call(Expression callee, ArgumentList arguments) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Object function = callee.evaluate(rendering, scope);
      return rendering.call(function, arguments.evaluate(rendering, scope));
    }
  }

  record Filter(Expression value, String name, ArgumentList arguments) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Object input = value.evaluate(rendering, scope);
      rendering.work(1);
      return Filters.apply(rendering, name, input, arguments.evaluate(rendering, scope));
    }
  }

  record Test(Expression value, String name, ArgumentList arguments) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Object input = value.evaluate(rendering, scope);
      return Tests.apply(name, input, arguments.evaluate(rendering, scope));
    }
  }

  record Unary(boolean negative, Expression value) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      return Operators.negate(value.evaluate(rendering, scope), negative);
    }
  }

  record Not(Expression value) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      return !Values.isTrue(value.evaluate(rendering, scope));
    }
  }

  record And(Expression left, Expression right) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Object value = left.evaluate(rendering, scope);
      return Values.isTrue(value) ? right.evaluate(rendering, scope) : value;
    }
  }

  record Or(Expression left, Expression right) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Object value = left.evaluate(rendering, scope);
      return Values.isTrue(value) ? value : right.evaluate(rendering, scope);
    }
  }

  record Arithmetic(String operator, Expression left, Expression right) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Object a = left.evaluate(rendering, scope);
      Object result = Operators.apply(operator, a, right.evaluate(rendering, scope));
      if (result instanceof String || result instanceof List) {
        rendering.work(
            result instanceof String text ? text.length() >> 4 : ((List<?>) result).size());
      }
      return result;
    }
  }

  record Concatenation(List<Expression> parts) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      StringBuilder text = new StringBuilder();
      for (Expression part : parts) {
        text.append(Values.str(part.evaluate(rendering, scope)));
        Rendering.checkLength(text.length());
      }
      rendering.work(text.length() >> 4);
      return text.toString();
    }
  }

  /** {@code a < b <= c}; operators are Python's, with "in" and "not in". */
  record Comparison(Expression first, List<String> operators, List<Expression> others)
      implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      Object left = first.evaluate(rendering, scope);
      for (int i = 0; i < operators.size(); i++) {
        Object right = others.get(i).evaluate(rendering, scope);
        if (!compare(operators.get(i), left, right)) {
          return false;
        }
        left = right;
      }
      return true;
    }

    static boolean compare(String operator, Object a, Object b) {
      return switch (operator) {
        case "==" -> Values.equal(a, b);
        case "!=" -> !Values.equal(a, b);
        case "in" -> Values.contains(b, a);
        case "not in" -> !Values.contains(b, a);
        default -> Values.ordered(operator, a, b);
      };
    }
  }

  record Conditional(Expression test, Expression then, @Nullable Expression otherwise, int line)
      implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      if (Values.isTrue(test.evaluate(rendering, scope))) {
        return then.evaluate(rendering, scope);
      }
      return otherwise == null
          ? Undefined.hint(
              "the inline if-expression on line "
                  + line
                  + " evaluated to false and no else section was defined.")
          : otherwise.evaluate(rendering, scope);
    }
  }

  /** A filter or test that does not exist, inside an {@code if} that may never reach it. */
  record Unknown(String message) implements Expression {
    @Override
    public Object evaluate(Rendering rendering, Scope scope) {
      throw new JinjaException(Kind.RUNTIME, message);
    }
  }

  private static List<Object> evaluateAll(
      List<Expression> expressions, Rendering rendering, Scope scope) {
    List<Object> values = new ArrayList<>(expressions.size());
    for (Expression expression : expressions) {
      values.add(expression.evaluate(rendering, scope));
    }
    return values;
  }
}
