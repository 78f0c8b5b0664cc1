package org.alpaca4j.data.selfinstruct;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Iterator;
import java.util.Map;
import org.alpaca4j.core.internal.PythonFloat;

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
      out.append(PythonFloat.repr(value.doubleValue()));
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
}
