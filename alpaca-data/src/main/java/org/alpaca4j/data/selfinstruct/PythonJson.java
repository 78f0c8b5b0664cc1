package org.alpaca4j.data.selfinstruct;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Iterator;
import java.util.Map;

/** Writes JSON as Python's {@code json.dump(value, file, indent=4)} does, byte for byte. */
final class PythonJson {
  private static final String INDENT = "    ";

  private PythonJson() {}

  /**
   * Returns a value's text.
   *
   * @param depth how many levels of indentation the value stands at; its first line has none
   */
  static String write(JsonNode value, int depth) {
    StringBuilder out = new StringBuilder();
    write(value, depth, out);
    return out.toString();
  }

  private static void write(JsonNode value, int depth, StringBuilder out) {
    if (value.isObject() && !value.isEmpty()) {
      String separator = "{";
      for (Map.Entry<String, JsonNode> field : value.properties()) {
        newLine(separator, depth + 1, out);
        string(field.getKey(), out);
        out.append(": ");
        write(field.getValue(), depth + 1, out);
        separator = ",";
      }
      newLine("", depth, out);
      out.append('}');
    } else if (value.isArray() && !value.isEmpty()) {
      String separator = "[";
      for (Iterator<JsonNode> elements = value.elements(); elements.hasNext(); ) {
        newLine(separator, depth + 1, out);
        write(elements.next(), depth + 1, out);
        separator = ",";
      }
      newLine("", depth, out);
      out.append(']');
    } else if (value.isTextual()) {
      string(value.textValue(), out);
    } else if (value.isFloatingPointNumber()) {
      out.append(number(value.doubleValue()));
    } else {
      out.append(value); // a literal, an integer, or an empty container
    }
  }

  private static void newLine(String before, int depth, StringBuilder out) {
    out.append(before).append('\n').append(INDENT.repeat(depth));
  }

  private static void string(String text, StringBuilder out) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\b' -> out.append("\\b");
        case '\f' -> out.append("\\f");
        default -> {
          if (c >= ' ' && c < 0x7F) {
            out.append(c);
          } else {
            out.append("\\u").append(String.format("%04x", (int) c));
          }
        }
      }
    }
    out.append('"');
  }

  /** Returns Python's repr of a finite number: the fewest digits that read back as the same. */
  static String number(double value) {
    BigDecimal shortest = shortest(value);
    String digits = shortest.unscaledValue().abs().toString();
    int exponent = digits.length() - 1 - shortest.scale();
    if (shortest.signum() == 0 || exponent >= -4 && exponent < 16) {
      String plain = shortest.toPlainString();
      String sign = 1 / value == Double.NEGATIVE_INFINITY ? "-" : "";
      return sign + plain + (plain.contains(".") ? "" : ".0");
    }
    return (value < 0 ? "-" : "")
        + digits.charAt(0)
        + (digits.length() > 1 ? "." + digits.substring(1) : "")
        + String.format("e%+03d", exponent);
  }

  // Double.toString gives too many digits for some numbers before JDK 19.
  private static BigDecimal shortest(double value) {
    BigDecimal exact = new BigDecimal(value);
    int least = Math.abs(value) < Double.MIN_NORMAL ? 1 : 15; // fewer digits are never ambiguous
    for (int precision = least; precision < 17; precision++) {
      BigDecimal rounded = exact.round(new MathContext(precision, RoundingMode.HALF_EVEN));
      if (rounded.doubleValue() == value) {
        return stripped(rounded);
      }
    }
    return stripped(exact.round(new MathContext(17, RoundingMode.HALF_EVEN)));
  }

  private static BigDecimal stripped(BigDecimal value) {
    return value.signum() == 0 ? BigDecimal.ZERO : value.stripTrailingZeros();
  }
}
