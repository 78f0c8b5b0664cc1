package org.alpaca4j.core.internal.jinja;

import java.util.Set;

/** Jinja's tests: {@code value is name(arguments)}. */
final class Tests {
  private static final Set<String> PLAIN =
      Set.of(
          "odd",
          "even",
          "defined",
          "undefined",
          "filter",
          "test",
          "none",
          "boolean",
          "false",
          "true",
          "integer",
          "float",
          "lower",
          "upper",
          "string",
          "mapping",
          "number",
          "sequence",
          "iterable",
          "callable",
          "escaped");
  private static final Set<String> WITH_ARGUMENT =
      Set.of(
          "divisibleby",
          "sameas",
          "in",
          "==",
          "eq",
          "equalto",
          "!=",
          "ne",
          ">",
          "gt",
          "greaterthan",
          ">=",
          "ge",
          "<",
          "lt",
          "lessthan",
          "<=",
          "le");

  private Tests() {}

  static boolean exists(String name) {
    return PLAIN.contains(name) || WITH_ARGUMENT.contains(name);
  }

  static boolean apply(String name, Object value, Arguments arguments) {
    if (WITH_ARGUMENT.contains(name)) {
      return compare(name, value, arguments);
    }
    arguments.none(name);
    return switch (name) {
      case "odd" -> Values.equal(Operators.apply("%", value, 2L), 1L);
      case "even" -> Values.equal(Operators.apply("%", value, 2L), 0L);
      case "defined" -> !(value instanceof Undefined);
      case "undefined" -> value instanceof Undefined;
      case "filter" -> Dict.hashKey(value) instanceof String filter && Filters.exists(filter);
      case "test" -> Dict.hashKey(value) instanceof String test && exists(test);
      case "none" -> value == None.NONE;
      case "boolean" -> value instanceof Boolean;
      case "false" -> Boolean.FALSE.equals(value);
      case "true" -> Boolean.TRUE.equals(value);
      case "integer" -> Values.isInt(value);
      case "float" -> value instanceof Double;
      case "lower" -> Strings.isCased(Values.str(value), false);
      case "upper" -> Strings.isCased(Values.str(value), true);
      case "string" -> Values.isString(value);
      case "mapping" -> value instanceof Dict;
      case "number" -> Values.isNumber(value);
      case "sequence" ->
          Values.lengthOrMinusOne(value) >= 0
              && !(value instanceof Dict.View)
              && !(value instanceof LoopContext);
      case "iterable" -> Values.isIterable(value);
      case "callable" -> value instanceof Callable || value instanceof Undefined;
      default -> value instanceof Markup;
    };
  }

  private static boolean compare(String name, Object value, Arguments arguments) {
    Object other = arguments.only(name);
    return switch (name) {
      case "divisibleby" -> Values.equal(Operators.apply("%", value, other), 0L);
      case "sameas" -> same(value, other);
      case "in" -> Values.contains(other, value);
      case "==", "eq", "equalto" -> Values.equal(value, other);
      case "!=", "ne" -> !Values.equal(value, other);
      case ">", "gt", "greaterthan" -> Values.ordered(">", value, other);
      case ">=", "ge" -> Values.ordered(">=", value, other);
      case "<", "lt", "lessthan" -> Values.ordered("<", value, other);
      default -> Values.ordered("<=", value, other);
    };
  }

  /** Identity; numbers and strings of one type count as the same object when they are equal. */
  private static boolean same(Object a, Object b) {
    boolean plain = a instanceof Boolean || Values.isInt(a) || a instanceof String;
    return a == b || plain && a.getClass() == b.getClass() && a.equals(b);
  }
}
