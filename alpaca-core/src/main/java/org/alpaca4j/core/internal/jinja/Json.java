package org.alpaca4j.core.internal.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.alpaca4j.core.internal.PythonFloat;
import org.jspecify.annotations.Nullable;

/**
 * Python's json.dumps as transformers offers it to templates: {@code tojson(ensure_ascii=False,
 * indent=None, separators=None, sort_keys=False)}; no HTML escaping.
 */
final class Json {
  private static final int MAX_DEPTH = 200;

  private final boolean ascii;
  private final @Nullable String indent;
  private final String itemSeparator;
  private final String keySeparator;
  private final boolean sortKeys;
  private final StringBuilder out = new StringBuilder();

  private Json(
      boolean ascii, @Nullable String indent, @Nullable Object separators, boolean sortKeys) {
    this.ascii = ascii;
    this.indent = indent;
    this.sortKeys = sortKeys;
    if (separators == null || separators == None.NONE) {
      itemSeparator = indent == null ? ", " : ",";
      keySeparator = ": ";
    } else {
      List<Object> pair = Values.list(separators);
      if (pair.size() != 2 || !pair.stream().allMatch(Values::isString)) {
        throw JinjaException.value("tojson needs two separators");
      }
      itemSeparator = Values.text(pair.get(0));
      keySeparator = Values.text(pair.get(1));
    }
  }

  static String dumps(Object value, Arguments arguments) {
    @Nullable Object[] given =
        arguments.bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys");
    String indent = null;
    if (given[1] != null && given[1] != None.NONE) {
      indent =
          Values.isString(given[1])
              ? Values.text(given[1])
              : Strings.repeat(" ", Math.min(10_000, Values.index(given[1])));
    }
    Json json =
        new Json(
            given[0] != null && Values.isTrue(given[0]),
            indent,
            given[2],
            given[3] != null && Values.isTrue(given[3]));
    json.write(value, 0);
    return json.out.toString();
  }

  private void write(Object value, int depth) {
    Rendering.checkLength(out.length());
    if (depth > MAX_DEPTH) {
      throw JinjaException.limit("JSON nested deeper than " + MAX_DEPTH);
    }
    if (Values.isString(value)) {
      string(Values.text(value));
    } else if (value == None.NONE) {
      out.append("null");
    } else if (value instanceof Boolean flag) {
      out.append(flag.booleanValue());
    } else if (Values.isInt(value)) {
      out.append(Values.str(value));
    } else if (value instanceof Double number) {
      out.append(number(number));
    } else if (value instanceof List<?> list) {
      list(list, depth);
    } else if (value instanceof Dict dict) {
      dict(dict, depth);
    } else {
      throw JinjaException.type(
          "Object of type " + Values.typeName(value) + " is not JSON serializable");
    }
  }

  private static String number(double number) {
    if (Double.isNaN(number)) {
      return "NaN";
    } else if (Double.isInfinite(number)) {
      return number > 0 ? "Infinity" : "-Infinity";
    }
    return PythonFloat.repr(number);
  }

  private void list(List<?> list, int depth) {
    if (list.isEmpty()) {
      out.append("[]");
      return;
    }
    out.append('[');
    boolean first = true;
    for (Object item : list) {
      separate(first, depth + 1);
      first = false;
      write(item, depth + 1);
    }
    newLine(depth);
    out.append(']');
  }

  private void dict(Dict dict, int depth) {
    if (dict.size() == 0) {
      out.append("{}");
      return;
    }
    List<Dict.Entry> entries = new ArrayList<>(dict.entries());
    if (sortKeys) {
      entries.sort(
          (a, b) ->
              Values.ordered("<", a.key(), b.key())
                  ? -1
                  : Values.ordered("<", b.key(), a.key()) ? 1 : 0);
    }
    out.append('{');
    boolean first = true;
    for (Dict.Entry entry : entries) {
      separate(first, depth + 1);
      first = false;
      string(key(entry.key()));
      out.append(keySeparator);
      write(entry.value(), depth + 1);
    }
    newLine(depth);
    out.append('}');
  }

  private static String key(Object key) {
    if (Values.isString(key)) {
      return Values.text(key);
    } else if (key == None.NONE) {
      return "null";
    } else if (key instanceof Boolean flag) {
      return flag.toString();
    } else if (key instanceof Double number) {
      return number(number);
    } else if (Values.isInt(key)) {
      return Values.str(key);
    }
    throw JinjaException.type(
        "keys must be str, int, float, bool or None, not " + Values.typeName(key));
  }

  private void separate(boolean first, int depth) {
    if (!first) {
      out.append(itemSeparator);
    }
    newLine(depth);
  }

  private void newLine(int depth) {
    if (indent != null) {
      out.append('\n');
      for (int i = 0; i < depth; i++) {
        out.append(indent);
      }
    }
  }

  private void string(String text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\f' -> out.append("\\f");
        case '\b' -> out.append("\\b");
        default -> {
          if (c < ' ' || ascii && c > '~') {
            out.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }
}
