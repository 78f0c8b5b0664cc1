package org.alpaca4j.core.internal.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;
import java.util.Locale;
import org.alpaca4j.core.internal.PythonFloat;

/** Python's two ways to format: {@code '%s' % x} and {@code '{}'.format(x)}. */
final class Formatting {
  private static final int MAX_WIDTH = 100_000;

  private Formatting() {}

  // ---- printf style ----

  static String percent(String format, Object values) {
    List<?> arguments = values instanceof Tuple tuple ? tuple : List.of(values);
    boolean mapping = values instanceof Dict;
    StringBuilder out = new StringBuilder();
    int used = 0;
    int i = 0;
    while (i < format.length()) {
      char c = format.charAt(i++);
      if (c != '%') {
        out.append(c);
        continue;
      }
      Object named = null;
      if (i < format.length() && format.charAt(i) == '(') {
        int close = format.indexOf(')', i);
        if (close < 0) {
          throw JinjaException.value("incomplete format key");
        }
        if (!(values instanceof Dict dict)) {
          throw JinjaException.type("format requires a mapping");
        }
        String key = format.substring(i + 1, close);
        named = dict.get(key);
        if (named == null) {
          throw JinjaException.runtime("KeyError: '" + key + "'");
        }
        i = close + 1;
      }
      StringBuilder flags = new StringBuilder();
      while (i < format.length() && "#0- +".indexOf(format.charAt(i)) >= 0) {
        flags.append(format.charAt(i++));
      }
      int width = 0;
      if (i < format.length() && format.charAt(i) == '*') {
        width = starArgument(arguments, used++);
        i++;
        if (width < 0) {
          flags.append('-');
          width = -width;
        }
      } else {
        int start = i;
        while (i < format.length() && Character.digit(format.charAt(i), 10) >= 0) {
          i++;
        }
        width = number(format.substring(start, i), 0);
      }
      int precision = -1;
      if (i < format.length() && format.charAt(i) == '.') {
        i++;
        if (i < format.length() && format.charAt(i) == '*') {
          precision = Math.max(0, starArgument(arguments, used++));
          i++;
        } else {
          int start = i;
          while (i < format.length() && Character.digit(format.charAt(i), 10) >= 0) {
            i++;
          }
          precision = number(format.substring(start, i), 0);
        }
      }
      while (i < format.length() && "hlL".indexOf(format.charAt(i)) >= 0) {
        i++;
      }
      if (i >= format.length()) {
        throw JinjaException.value("incomplete format");
      }
      char type = format.charAt(i++);
      if (type == '%') {
        out.append('%');
        continue;
      }
      Object value = named;
      if (value == null) {
        if (used >= arguments.size()) {
          throw JinjaException.type("not enough arguments for format string");
        }
        value = arguments.get(used++);
      }
      out.append(percentOne(type, flags.toString(), width, precision, value));
      Rendering.checkLength(out.length());
    }
    boolean sequence = values instanceof List && !(values instanceof Tuple);
    if (used < arguments.size() && !mapping && !(sequence && used == 0)) {
      throw JinjaException.type("not all arguments converted during string formatting");
    }
    return out.toString();
  }

  private static int starArgument(List<?> arguments, int index) {
    if (index >= arguments.size()) {
      throw JinjaException.type("not enough arguments for format string");
    }
    if (!Values.isInt(arguments.get(index))) {
      throw JinjaException.type("* wants int");
    }
    return width(Values.index(arguments.get(index)));
  }

  private static int number(String digits, int none) {
    if (digits.isEmpty()) {
      return none;
    }
    return width(digits.length() > 9 ? Integer.MAX_VALUE : Integer.parseInt(digits));
  }

  private static int width(int width) {
    if (Math.abs((long) width) > MAX_WIDTH) {
      throw JinjaException.limit("format width over " + MAX_WIDTH);
    }
    return width;
  }

  private static String percentOne(
      char type, String flags, int width, int precision, Object value) {
    String body;
    String sign = "";
    boolean numeric = true;
    switch (type) {
      case 's', 'r', 'a' -> {
        if (type == 'a') {
          throw JinjaException.unsupported("the format %a");
        }
        body = type == 's' ? Values.str(value) : Values.repr(value);
        body = precision >= 0 ? first(body, precision) : body;
        numeric = false;
      }
      case 'c' -> {
        if (Values.isString(value) && Values.length(value) == 1) {
          body = Values.text(value);
        } else if (Values.isInt(value) && Character.isValidCodePoint(Values.index(value))) {
          body = Character.toString(Values.index(value));
        } else {
          throw JinjaException.type("%c requires int or char");
        }
        numeric = false;
      }
      case 'd', 'i', 'u', 'x', 'X', 'o' -> {
        if (value instanceof Undefined undefined) {
          throw undefined.failure();
        }
        boolean hex = type == 'x' || type == 'X' || type == 'o';
        if (!Values.isNumber(value) || hex && value instanceof Double) {
          throw JinjaException.type(
              "%" + type + " format: a real number is required, not " + Values.typeName(value));
        }
        Object whole = value instanceof Double number ? Values.truncate(number) : value;
        BigInteger number = Values.big(whole);
        sign = number.signum() < 0 ? "-" : "";
        body = number.abs().toString(type == 'o' ? 8 : hex ? 16 : 10);
        body = precision > body.length() ? "0".repeat(precision - body.length()) + body : body;
        body = type == 'X' ? body.toUpperCase(Locale.ROOT) : body;
        if (hex && flags.contains("#")) {
          sign += "0" + type;
        }
      }
      case 'f', 'F', 'e', 'E', 'g', 'G' -> {
        if (value instanceof Undefined undefined) {
          throw undefined.failure();
        }
        if (!Values.isNumber(value)) {
          throw JinjaException.type("must be real number, not " + Values.typeName(value));
        }
        double number = Values.real(value);
        sign = number < 0 || number == 0 && 1 / number < 0 ? "-" : "";
        body = real(Math.abs(number), type, precision < 0 ? 6 : precision, flags.contains("#"));
      }
      default -> throw JinjaException.value("unsupported format character '" + type + "'");
    }
    if (numeric && !sign.startsWith("-")) {
      sign = (flags.contains("+") ? "+" : flags.contains(" ") ? " " : "") + sign;
    }
    int missing = width - Strings.length(sign) - Strings.length(body);
    if (missing <= 0) {
      return sign + body;
    } else if (flags.contains("-")) {
      return sign + body + " ".repeat(missing);
    } else if (flags.contains("0") && numeric) {
      return sign + "0".repeat(missing) + body;
    }
    return " ".repeat(missing) + sign + body;
  }

  private static String first(String text, int count) {
    return Strings.length(text) <= count
        ? text
        : text.substring(0, text.offsetByCodePoints(0, count));
  }

  /** Formats a number that is not negative as C does for %f, %e or %g. */
  private static String real(double value, char type, int precision, boolean alternate) {
    boolean upper = Character.isUpperCase(type);
    if (Double.isNaN(value) || Double.isInfinite(value)) {
      String text = Double.isNaN(value) ? "nan" : "inf";
      return upper ? text.toUpperCase(Locale.ROOT) : text;
    }
    BigDecimal exact = new BigDecimal(value);
    String text;
    switch (Character.toLowerCase(type)) {
      case 'f' -> text = exact.setScale(precision, RoundingMode.HALF_EVEN).toPlainString();
      case 'e' -> text = scientific(exact, precision + 1, false);
      default -> {
        int digits = Math.max(1, precision);
        BigDecimal rounded = exact.round(new MathContext(digits, RoundingMode.HALF_EVEN));
        int exponent = exponent(rounded);
        if (exponent < -4 || exponent >= digits) {
          text = scientific(exact, digits, !alternate);
        } else {
          text = rounded.setScale(digits - 1 - exponent, RoundingMode.HALF_EVEN).toPlainString();
          text = alternate ? text : trimZeros(text);
        }
      }
    }
    if (alternate && !text.contains(".")) {
      text += ".";
    }
    return upper ? text.toUpperCase(Locale.ROOT) : text;
  }

  private static int exponent(BigDecimal value) {
    return value.signum() == 0 ? 0 : value.precision() - 1 - value.scale();
  }

  private static String trimZeros(String text) {
    if (!text.contains(".")) {
      return text;
    }
    int end = text.length();
    while (text.charAt(end - 1) == '0') {
      end--;
    }
    return text.substring(0, text.charAt(end - 1) == '.' ? end - 1 : end);
  }

  private static String scientific(BigDecimal exact, int digits, boolean trim) {
    BigDecimal rounded = exact.round(new MathContext(digits, RoundingMode.HALF_EVEN));
    int exponent = exponent(rounded);
    String mantissa =
        rounded.signum() == 0
            ? BigDecimal.ZERO.setScale(digits - 1).toPlainString()
            : rounded
                .movePointLeft(exponent)
                .setScale(digits - 1, RoundingMode.HALF_EVEN)
                .toPlainString();
    mantissa = trim ? trimZeros(mantissa) : mantissa;
    String power = Integer.toString(Math.abs(exponent));
    return mantissa + (exponent < 0 ? "e-" : "e+") + (power.length() < 2 ? "0" : "") + power;
  }

  // ---- str.format ----

  static String format(Rendering rendering, String format, Arguments arguments) {
    return new Fields(rendering, arguments).format(format, 2);
  }

  private static final class Fields {
    private final Rendering rendering;
    private final Arguments arguments;
    private int next;
    private boolean automatic;
    private boolean manual;

    Fields(Rendering rendering, Arguments arguments) {
      this.rendering = rendering;
      this.arguments = arguments;
    }

    String format(String format, int depth) {
      if (depth < 0) {
        throw JinjaException.value("Max string recursion exceeded");
      }
      StringBuilder out = new StringBuilder();
      for (int i = 0; i < format.length(); i++) {
        char c = format.charAt(i);
        boolean doubled = i + 1 < format.length() && format.charAt(i + 1) == c;
        if ((c == '{' || c == '}') && doubled) {
          out.append(c);
          i++;
        } else if (c == '}') {
          throw JinjaException.value("Single '}' encountered in format string");
        } else if (c == '{') {
          int end = close(format, i);
          out.append(field(format.substring(i + 1, end), depth));
          Rendering.checkLength(out.length());
          i = end;
        } else {
          out.append(c);
        }
      }
      return out.toString();
    }

    private static int close(String format, int from) {
      int level = 0;
      for (int i = from; i < format.length(); i++) {
        char c = format.charAt(i);
        level += c == '{' ? 1 : c == '}' ? -1 : 0;
        if (level == 0) {
          return i;
        }
      }
      throw JinjaException.value("expected '}' before end of string");
    }

    private String field(String field, int depth) {
      int end = 0;
      boolean bracket = false;
      while (end < field.length()
          && (bracket || field.charAt(end) != ':' && field.charAt(end) != '!')) {
        bracket = field.charAt(end) == '[' || bracket && field.charAt(end) != ']';
        end++;
      }
      Object value = lookup(field.substring(0, end));
      String rest = field.substring(end);
      if (rest.startsWith("!")) {
        if (rest.length() < 2 || rest.length() > 2 && rest.charAt(2) != ':') {
          throw JinjaException.value("expected ':' after conversion specifier");
        }
        switch (rest.charAt(1)) {
          case 's' -> value = Values.str(value);
          case 'r' -> value = Values.repr(value);
          case 'a' -> throw JinjaException.unsupported("the conversion !a");
          default -> throw JinjaException.value("Unknown conversion specifier " + rest.charAt(1));
        }
        rest = rest.substring(2);
      }
      String specification = rest.isEmpty() ? "" : format(rest.substring(1), depth - 1);
      return specified(value, specification);
    }

    private Object lookup(String path) {
      int end = 0;
      while (end < path.length() && path.charAt(end) != '.' && path.charAt(end) != '[') {
        end++;
      }
      String first = path.substring(0, end);
      Object value;
      if (first.isEmpty() || first.chars().allMatch(c -> c >= '0' && c <= '9')) {
        automatic |= first.isEmpty();
        manual |= !first.isEmpty();
        if (automatic && manual) {
          throw JinjaException.value(
              "cannot switch between manual field specification and automatic field numbering");
        }
        int index = first.isEmpty() ? next++ : number(first, 0);
        if (index >= arguments.positional().length) {
          throw JinjaException.runtime(
              "IndexError: Replacement index " + index + " out of range for positional args tuple");
        }
        value = arguments.positional()[index];
      } else {
        value = arguments.named().get(first);
        if (value == null) {
          throw JinjaException.runtime("KeyError: '" + first + "'");
        }
      }
      int i = end;
      while (i < path.length()) {
        if (path.charAt(i) == '.') {
          int stop = i + 1;
          while (stop < path.length() && path.charAt(stop) != '.' && path.charAt(stop) != '[') {
            stop++;
          }
          value = rendering.attribute(value, path.substring(i + 1, stop));
          i = stop;
        } else {
          int stop = path.indexOf(']', i);
          if (path.charAt(i) != '[' || stop < 0) {
            throw JinjaException.value("Missing ']' in format string");
          }
          String key = path.substring(i + 1, stop);
          boolean index = !key.isEmpty() && key.chars().allMatch(c -> c >= '0' && c <= '9');
          value = rendering.item(value, index ? (Object) (long) number(key, 0) : key);
          i = stop + 1;
        }
      }
      return value;
    }
  }

  /** Python's {@code format(value, specification)} for str, int and float. */
  static String specified(Object value, String specification) {
    if (specification.isEmpty()) {
      return Values.str(value);
    }
    Specification parsed = Specification.parse(specification);
    if (Values.isString(value)) {
      return parsed.text(Values.text(value));
    } else if (Values.isNumber(value)) {
      return parsed.number(value);
    }
    throw JinjaException.type(
        "unsupported format string passed to " + Values.typeName(value) + ".__format__");
  }

  private record Specification(
      String fill,
      char align,
      char sign,
      boolean alternate,
      int width,
      char group,
      int precision,
      char type) {

    static Specification parse(String text) {
      int i = 0;
      String fill = " ";
      char align = 0;
      int first = Character.charCount(text.codePointAt(0));
      if (text.length() > first && "<>=^".indexOf(text.charAt(first)) >= 0) {
        fill = text.substring(0, first);
        align = text.charAt(first);
        i = first + 1;
      } else if ("<>=^".indexOf(text.charAt(0)) >= 0) {
        align = text.charAt(0);
        i = 1;
      }
      char sign = 0;
      if (i < text.length() && "+- ".indexOf(text.charAt(i)) >= 0) {
        sign = text.charAt(i++);
      }
      if (i < text.length() && text.charAt(i) == 'z') {
        throw JinjaException.unsupported("the format option z");
      }
      boolean alternate = i < text.length() && text.charAt(i) == '#';
      i += alternate ? 1 : 0;
      if (i < text.length() && text.charAt(i) == '0') {
        fill = align == 0 ? "0" : fill;
        align = align == 0 ? '=' : align;
        i++;
      }
      int start = i;
      while (i < text.length() && Character.digit(text.charAt(i), 10) >= 0) {
        i++;
      }
      int width = Formatting.number(text.substring(start, i), 0);
      char group = 0;
      if (i < text.length() && (text.charAt(i) == ',' || text.charAt(i) == '_')) {
        group = text.charAt(i++);
      }
      int precision = -1;
      if (i < text.length() && text.charAt(i) == '.') {
        start = ++i;
        while (i < text.length() && Character.digit(text.charAt(i), 10) >= 0) {
          i++;
        }
        precision = Formatting.number(text.substring(start, i), -1);
        if (precision < 0) {
          throw JinjaException.value("Format specifier missing precision");
        }
      }
      char type = i < text.length() ? text.charAt(i++) : 0;
      if (i < text.length()) {
        throw JinjaException.value("Invalid format specifier '" + text + "'");
      }
      return new Specification(fill, align, sign, alternate, width, group, precision, type);
    }

    String text(String value) {
      if (type != 0 && type != 's') {
        throw JinjaException.value("Unknown format code '" + type + "' for object of type 'str'");
      }
      if (sign != 0 || alternate || group != 0) {
        throw JinjaException.value("Sign or '#' or ',' not allowed in string format specifier");
      }
      if (align == '=' && !fill.equals("0")) {
        throw JinjaException.value("'=' alignment not allowed in string format specifier");
      }
      String kept = precision >= 0 ? first(value, precision) : value;
      return pad("", kept, align == 0 || align == '=' ? '<' : align);
    }

    String number(Object value) {
      boolean whole =
          !(value instanceof Double)
              && type != 'f'
              && type != 'F'
              && type != 'e'
              && type != 'E'
              && type != 'g'
              && type != 'G'
              && type != '%';
      String prefix;
      String body;
      if (whole) {
        BigInteger number = Values.big(value);
        prefix = number.signum() < 0 ? "-" : "";
        int radix =
            switch (type) {
              case 0, 'd', 'n' -> 10;
              case 'x', 'X' -> 16;
              case 'o' -> 8;
              case 'b' -> 2;
              case 'c' -> throw JinjaException.unsupported("the format code c");
              default ->
                  throw JinjaException.value(
                      "Unknown format code '" + type + "' for object of type 'int'");
            };
        if (precision >= 0) {
          throw JinjaException.value("Precision not allowed in integer format specifier");
        }
        body = number.abs().toString(radix);
        body = type == 'X' ? body.toUpperCase(Locale.ROOT) : body;
        body = group == 0 ? body : grouped(body, radix == 10 ? 3 : 4);
        if (alternate && radix != 10) {
          body = "0" + type + body;
        }
      } else {
        double number = Values.real(value);
        prefix = number < 0 || number == 0 && 1 / number < 0 ? "-" : "";
        double size = Math.abs(number);
        body =
            switch (type) {
              case 0 ->
                  precision < 0
                      ? PythonFloat.repr(size)
                      : throwUnsupported("a float format without a type");
              case 'f', 'F', 'e', 'E', 'g', 'G' ->
                  real(size, type, precision < 0 ? 6 : precision, alternate);
              case '%' -> real(size * 100, 'f', precision < 0 ? 6 : precision, alternate) + "%";
              default ->
                  throw JinjaException.value(
                      "Unknown format code '" + type + "' for object of type 'float'");
            };
        if (group != 0) {
          int point = body.indexOf('.') < 0 ? body.length() : body.indexOf('.');
          point = body.endsWith("%") && point == body.length() ? point - 1 : point;
          body = grouped(body.substring(0, point), 3) + body.substring(point);
        }
      }
      if (prefix.isEmpty() && (sign == '+' || sign == ' ')) {
        prefix = String.valueOf(sign);
      }
      return pad(prefix, body, align == 0 ? '>' : align);
    }

    private static String throwUnsupported(String what) {
      throw JinjaException.unsupported(what);
    }

    private String grouped(String digits, int size) {
      if (fill.equals("0") && align == '=' && width > 0) {
        throw JinjaException.unsupported("zero padding together with grouping");
      }
      StringBuilder out = new StringBuilder(digits);
      for (int i = digits.length() - size; i > 0; i -= size) {
        out.insert(i, group);
      }
      return out.toString();
    }

    private String pad(String prefix, String body, char side) {
      int missing = width - Strings.length(prefix) - Strings.length(body);
      if (missing <= 0) {
        return prefix + body;
      }
      return switch (side) {
        case '<' -> prefix + body + fill.repeat(missing);
        case '=' -> prefix + fill.repeat(missing) + body;
        case '^' -> fill.repeat(missing / 2) + prefix + body + fill.repeat(missing - missing / 2);
        default -> fill.repeat(missing) + prefix + body;
      };
    }
  }
}
