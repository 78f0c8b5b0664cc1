package org.alpaca4j.core.internal.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.alpaca4j.core.internal.PythonFloat;
import org.jspecify.annotations.Nullable;

/**
 * Python's view of values. str is String (or {@link Markup}), int is Long or, beyond 64 bits,
 * BigInteger, float is Double, bool is Boolean, list is List, tuple {@link Tuple}, dict {@link
 * Dict}, None {@link None}.
 */
final class Values {
  /** Longer integers are neither read nor printed, as in Python. */
  static final int MAX_INT_DIGITS = 4300;

  private static final BigInteger LONG_MIN = BigInteger.valueOf(Long.MIN_VALUE);
  private static final BigInteger LONG_MAX = BigInteger.valueOf(Long.MAX_VALUE);

  private Values() {}

  /** Copies caller data into template values; what is no JSON-like value is refused. */
  static Object fromJava(@Nullable Object value) {
    if (value == null) {
      return None.NONE;
    }
    if (value instanceof String || value instanceof Long || value instanceof Boolean) {
      return value;
    }
    if (value instanceof Double || value instanceof Undefined || value instanceof None) {
      return value;
    }
    if (value instanceof Integer || value instanceof Short || value instanceof Byte) {
      return ((Number) value).longValue();
    }
    if (value instanceof BigInteger integer) {
      return normalize(integer);
    }
    if (value instanceof Float || value instanceof BigDecimal) {
      return Double.parseDouble(value.toString());
    }
    if (value instanceof Map<?, ?> map) {
      Dict dict = new Dict();
      map.forEach((key, item) -> dict.put(fromJava(key), fromJava(item)));
      return dict;
    }
    if (value instanceof Iterable<?> items) {
      List<Object> list = new ArrayList<>();
      items.forEach(item -> list.add(fromJava(item)));
      return list;
    }
    if (value instanceof Object[] items) {
      return fromJava(List.of(items));
    }
    if (value instanceof Character || value instanceof Enum) {
      return value.toString();
    }
    throw JinjaException.type(
        "a chat template cannot use a value of "
            + value.getClass()
            + "; pass strings, numbers, booleans, lists and maps");
  }

  static String typeName(Object value) {
    if (value instanceof String) {
      return "str";
    } else if (value instanceof Markup) {
      return "Markup";
    } else if (value instanceof Boolean) {
      return "bool";
    } else if (value instanceof Long || value instanceof BigInteger) {
      return "int";
    } else if (value instanceof Double) {
      return "float";
    } else if (value instanceof None) {
      return "NoneType";
    } else if (value instanceof Tuple) {
      return "tuple";
    } else if (value instanceof List) {
      return "list";
    } else if (value instanceof Dict) {
      return "dict";
    } else if (value instanceof Undefined) {
      return "Undefined";
    } else if (value instanceof Range) {
      return "range";
    } else if (value instanceof Slice) {
      return "slice";
    } else if (value instanceof LazyIterator iterator) {
      return iterator.typeName();
    } else if (value instanceof Dict.View view) {
      return "dict_" + view.part().name().toLowerCase(Locale.ROOT);
    } else if (value instanceof Namespace) {
      return "Namespace";
    } else if (value instanceof LoopContext) {
      return "LoopContext";
    } else if (value instanceof Macro) {
      return "Macro";
    }
    return value instanceof Callable.Function ? "function" : value.getClass().getSimpleName();
  }

  static boolean isString(Object value) {
    return value instanceof String || value instanceof Markup;
  }

  /** Returns the text of a str (safe or not). */
  static String text(Object value) {
    return value instanceof Markup markup ? markup.text() : (String) value;
  }

  /** Whether the value is an int but not a bool. */
  static boolean isInt(Object value) {
    return value instanceof Long || value instanceof BigInteger;
  }

  static boolean isNumber(Object value) {
    return isInt(value) || value instanceof Double || value instanceof Boolean;
  }

  static boolean isTrue(Object value) {
    if (value instanceof Boolean flag) {
      return flag;
    } else if (value instanceof String text) {
      return !text.isEmpty();
    } else if (value instanceof Long number) {
      return number != 0;
    } else if (value instanceof Double number) {
      return number != 0;
    } else if (value instanceof None || value instanceof Undefined) {
      return false;
    } else if (value instanceof LazyIterator) {
      return true;
    }
    int length = lengthOrMinusOne(value);
    return length != 0;
  }

  static int length(Object value) {
    int length = lengthOrMinusOne(value);
    if (length < 0) {
      throw JinjaException.type("object of type '" + typeName(value) + "' has no len()");
    }
    return length;
  }

  static int lengthOrMinusOne(Object value) {
    if (value instanceof String text) {
      return text.codePointCount(0, text.length());
    } else if (value instanceof List<?> list) {
      return list.size();
    } else if (value instanceof Dict dict) {
      return dict.size();
    } else if (value instanceof Markup markup) {
      return markup.text().codePointCount(0, markup.text().length());
    } else if (value instanceof Undefined) {
      return 0;
    } else if (value instanceof Dict.View view) {
      return view.dict().size();
    } else if (value instanceof Range range) {
      return range.length;
    } else if (value instanceof LoopContext loop) {
      return loop.length();
    }
    return -1;
  }

  static boolean isIterable(Object value) {
    return lengthOrMinusOne(value) >= 0 || value instanceof LazyIterator;
  }

  @SuppressWarnings("unchecked")
  static Iterator<Object> iterate(Object value) {
    if (value instanceof List) {
      return ((List<Object>) value).iterator();
    } else if (isString(value)) {
      List<Object> characters = new ArrayList<>();
      text(value).codePoints().forEach(c -> characters.add(Character.toString(c)));
      return characters.iterator();
    } else if (value instanceof Dict dict) {
      return dict.keys().iterator();
    } else if (value instanceof Dict.View view) {
      return view.list().iterator();
    } else if (value instanceof Range range) {
      return range.asList().iterator();
    } else if (value instanceof LazyIterator iterator) {
      return iterator;
    } else if (value instanceof Undefined) {
      return List.of().iterator();
    } else if (value instanceof LoopContext) {
      throw JinjaException.unsupported("iterating over 'loop'");
    }
    throw JinjaException.type("'" + typeName(value) + "' object is not iterable");
  }

  static List<Object> list(Object value) {
    List<Object> list = new ArrayList<>();
    iterate(value).forEachRemaining(list::add);
    return list;
  }

  // ---- text ----

  /** Returns Python's {@code str(value)}. */
  static String str(Object value) {
    if (value instanceof String text) {
      return text;
    } else if (value instanceof Long number) {
      return Long.toString(number);
    } else if (value instanceof Markup markup) {
      return markup.text();
    } else if (value instanceof Undefined) {
      return "";
    }
    return repr(value);
  }

  /** Returns Python's {@code repr(value)}. */
  static String repr(Object value) {
    StringBuilder text = new StringBuilder();
    repr(value, text);
    return text.toString();
  }

  private static void repr(Object value, StringBuilder out) {
    if (out.length() > Rendering.MAX_TEXT) {
      throw Rendering.tooLong();
    }
    if (value instanceof String text) {
      Strings.repr(text, out);
    } else if (value instanceof Markup markup) {
      out.append("Markup(");
      Strings.repr(markup.text(), out);
      out.append(')');
    } else if (value instanceof Boolean flag) {
      out.append(flag ? "True" : "False");
    } else if (value instanceof None) {
      out.append("None");
    } else if (value instanceof Long number) {
      out.append(number.longValue());
    } else if (value instanceof BigInteger number) {
      out.append(integer(number));
    } else if (value instanceof Double number) {
      out.append(PythonFloat.repr(number));
    } else if (value instanceof Tuple tuple) {
      out.append('(');
      items(tuple, out);
      out.append(tuple.size() == 1 ? ",)" : ")");
    } else if (value instanceof List<?> list) {
      out.append('[');
      items(list, out);
      out.append(']');
    } else if (value instanceof Dict dict) {
      dict(dict, out);
    } else if (value instanceof Dict.View view) {
      out.append(typeName(view)).append("([");
      items(view.list(), out);
      out.append("])");
    } else if (value instanceof Undefined) {
      out.append("Undefined");
    } else if (value instanceof Range range) {
      out.append("range(").append(range.start).append(", ").append(range.stop);
      out.append(range.step == 1 ? "" : ", " + range.step).append(')');
    } else if (value instanceof Namespace namespace) {
      out.append("<Namespace ");
      dict(namespace.attributes(), out);
      out.append('>');
    } else if (value instanceof LoopContext loop) {
      out.append("<LoopContext ").append(loop.index0() + 1).append('/');
      out.append(loop.length()).append('>');
    } else if (value instanceof Macro macro) {
      out.append("<Macro ");
      out.append(macro.name().isEmpty() ? "anonymous" : repr(macro.name())).append('>');
    } else {
      throw JinjaException.runtime(
          "printing a " + typeName(value) + " would show a memory address; add '|list' or call it");
    }
  }

  private static void items(List<?> items, StringBuilder out) {
    String separator = "";
    for (Object item : items) {
      out.append(separator);
      repr(item, out);
      separator = ", ";
    }
  }

  private static void dict(Dict dict, StringBuilder out) {
    out.append('{');
    String separator = "";
    for (Dict.Entry entry : dict.entries()) {
      out.append(separator);
      repr(entry.key(), out);
      out.append(": ");
      repr(entry.value(), out);
      separator = ", ";
    }
    out.append('}');
  }

  private static String integer(BigInteger number) {
    String digits = number.bitLength() > MAX_INT_DIGITS * 4 ? "" : number.toString();
    if (digits.isEmpty() || number.abs().toString().length() > MAX_INT_DIGITS) {
      throw JinjaException.value(
          "Exceeds the limit (" + MAX_INT_DIGITS + " digits) for integer string conversion");
    }
    return digits;
  }

  // ---- numbers ----

  static Object normalize(BigInteger number) {
    boolean fits = number.compareTo(LONG_MIN) >= 0 && number.compareTo(LONG_MAX) <= 0;
    return fits ? (Object) number.longValue() : number;
  }

  static BigInteger big(Object integer) {
    if (integer instanceof Long number) {
      return BigInteger.valueOf(number);
    } else if (integer instanceof Boolean flag) {
      return flag ? BigInteger.ONE : BigInteger.ZERO;
    }
    return (BigInteger) integer;
  }

  static double real(Object number) {
    if (number instanceof Double value) {
      return value;
    } else if (number instanceof Boolean flag) {
      return flag ? 1 : 0;
    }
    double value = ((Number) number).doubleValue();
    if (Double.isInfinite(value)) {
      throw JinjaException.runtime("OverflowError: int too large to convert to float");
    }
    return value;
  }

  static boolean isIntegral(double value) {
    return !Double.isInfinite(value) && value == Math.rint(value);
  }

  static Object truncate(double value) {
    if (Double.isNaN(value)) {
      throw JinjaException.value("cannot convert float NaN to integer");
    } else if (Double.isInfinite(value)) {
      throw JinjaException.runtime("OverflowError: cannot convert float infinity to integer");
    }
    return normalize(new BigDecimal(value).toBigInteger());
  }

  static int clampToInt(Object integer) {
    if (integer instanceof BigInteger number) {
      return number.signum() < 0 ? -Integer.MAX_VALUE : Integer.MAX_VALUE;
    }
    long value = (Long) integer;
    return (int) Math.max(-Integer.MAX_VALUE, Math.min(Integer.MAX_VALUE, value));
  }

  /** Returns an int argument; bool counts, anything else is a TypeError. */
  static int index(Object value) {
    if (value instanceof Boolean flag) {
      return flag ? 1 : 0;
    } else if (value instanceof Undefined || !isInt(value)) {
      throw JinjaException.type(
          "'" + typeName(value) + "' object cannot be interpreted as an integer");
    }
    return clampToInt(value);
  }

  // ---- comparison ----

  static boolean equal(Object a, Object b) {
    if (a instanceof String left && b instanceof String right) {
      return left.equals(right);
    } else if (isNumber(a)) {
      return isNumber(b) && compareNumbers(a, b) == 0;
    } else if (isString(a)) {
      return isString(b) && text(a).equals(text(b));
    } else if (a instanceof List<?> left && b instanceof List<?> right) {
      return a instanceof Tuple == b instanceof Tuple && equalItems(left, right);
    } else if (a instanceof Dict left && b instanceof Dict right) {
      return equalDicts(left, right);
    } else if (a instanceof Undefined) {
      return b instanceof Undefined;
    } else if (a instanceof Range left && b instanceof Range right) {
      return equalItems(left.asList(), right.asList());
    } else if (a instanceof Dict.View left && b instanceof Dict.View right) {
      if (left.part() == Dict.Part.VALUES || right.part() == Dict.Part.VALUES) {
        return a == b;
      }
      throw JinjaException.unsupported("comparing dict views");
    }
    return a == b;
  }

  private static boolean equalItems(List<?> a, List<?> b) {
    if (a.size() != b.size()) {
      return false;
    }
    for (int i = 0; i < a.size(); i++) {
      if (!same(a.get(i), b.get(i))) {
        return false;
      }
    }
    return true;
  }

  /** Equality inside containers, where an object is always equal to itself. */
  private static boolean same(Object a, Object b) {
    return a == b || equal(a, b);
  }

  private static boolean equalDicts(Dict a, Dict b) {
    if (a.size() != b.size()) {
      return false;
    }
    for (Dict.Entry entry : a.entries()) {
      Object other = b.get(entry.key());
      if (other == null || !same(entry.value(), other)) {
        return false;
      }
    }
    return true;
  }

  /** Compares two numbers; NaN gives 2, which is neither less, equal nor greater. */
  private static int compareNumbers(Object a, Object b) {
    if (a instanceof Long left && b instanceof Long right) {
      return Long.compare(left, right);
    }
    if (a instanceof Double || b instanceof Double) {
      double left = a instanceof Double number ? number : Double.NaN;
      double right = b instanceof Double number ? number : Double.NaN;
      if (a instanceof Double && b instanceof Double) {
        return left == right ? 0 : left < right ? -1 : left > right ? 1 : 2;
      }
      double known = a instanceof Double ? left : right;
      if (Double.isNaN(known)) {
        return 2;
      }
      if (Double.isInfinite(known)) {
        return (known > 0) == (a instanceof Double) ? 1 : -1;
      }
      return exact(a).compareTo(exact(b));
    }
    return big(a).compareTo(big(b));
  }

  private static BigDecimal exact(Object number) {
    return number instanceof Double value ? new BigDecimal(value) : new BigDecimal(big(number));
  }

  /** Evaluates one of {@code < <= > >=}. */
  static boolean ordered(String operator, Object a, Object b) {
    if (a instanceof Undefined undefined) {
      throw undefined.failure();
    } else if (b instanceof Undefined undefined) {
      throw undefined.failure();
    }
    int order;
    if (isNumber(a) && isNumber(b)) {
      order = compareNumbers(a, b);
    } else if (isString(a) && isString(b)) {
      order = Strings.compare(text(a), text(b));
    } else if (a instanceof List<?> left
        && b instanceof List<?> right
        && a instanceof Tuple == b instanceof Tuple) {
      for (int i = 0; i < Math.min(left.size(), right.size()); i++) {
        if (!same(left.get(i), right.get(i))) {
          return ordered(operator, left.get(i), right.get(i));
        }
      }
      order = Integer.compare(left.size(), right.size());
    } else if (a instanceof Dict.View && b instanceof Dict.View) {
      throw JinjaException.unsupported("comparing dict views");
    } else {
      throw JinjaException.type(
          "'"
              + operator
              + "' not supported between instances of '"
              + typeName(a)
              + "' and '"
              + typeName(b)
              + "'");
    }
    return switch (operator) {
      case "<" -> order == -1 || order < -1;
      case "<=" -> order <= 0;
      case ">" -> order == 1;
      default -> order == 0 || order == 1;
    };
  }

  /** Evaluates {@code item in container}. */
  static boolean contains(Object container, Object item) {
    if (isString(container)) {
      if (!isString(item)) {
        if (item instanceof Undefined undefined) {
          throw JinjaException.type(
              "'in <string>' requires string as left operand, not Undefined ("
                  + undefined.failure().getMessage()
                  + ")");
        }
        throw JinjaException.type(
            "'in <string>' requires string as left operand, not " + typeName(item));
      }
      return text(container).contains(text(item));
    } else if (container instanceof Dict dict) {
      return dict.get(item) != null;
    } else if (container instanceof Namespace || !isIterable(container)) {
      throw JinjaException.type("argument of type '" + typeName(container) + "' is not iterable");
    }
    for (Iterator<Object> items = iterate(container); items.hasNext(); ) {
      if (same(items.next(), item)) {
        return true;
      }
    }
    return false;
  }
}
