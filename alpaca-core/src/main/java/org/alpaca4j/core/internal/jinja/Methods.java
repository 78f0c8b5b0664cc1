package org.alpaca4j.core.internal.jinja;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;
import org.alpaca4j.core.internal.jinja.Callable.Function;
import org.jspecify.annotations.Nullable;

/**
 * Attributes and methods of Python's built-in types, as far as the sandbox lets templates at them.
 */
final class Methods {
  /** A method of a str; the receiver is its text. */
  private interface StringMethod {
    Object call(Rendering rendering, String self, Arguments arguments);
  }

  private static final Map<String, StringMethod> STRING = new HashMap<>();

  /** Methods that exist in Python but not here: calling one is an error, not undefined. */
  private static final Set<String> STRING_UNSUPPORTED =
      Set.of("encode", "maketrans", "translate", "isidentifier");

  private static final Set<String> DICT_MUTATORS =
      Set.of("clear", "pop", "popitem", "setdefault", "update");
  private static final Set<String> LIST_MUTATORS =
      Set.of("append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove");

  private Methods() {}

  /** Returns the attribute, or null when the type has none of that name. */
  static @Nullable Object attribute(Object value, String name) {
    if (value instanceof Undefined undefined) {
      if (name.equals("__class__")) {
        return Undefined.unsafe(value, name);
      }
      throw undefined.failure();
    } else if (value instanceof Namespace namespace) {
      return namespace.attributes().get(name);
    } else if (name.startsWith("__") && name.endsWith("__")) {
      return Undefined.unsafe(value, name);
    } else if (value instanceof Dict dict) {
      return ofDict(dict, name);
    } else if (Values.isString(value)) {
      return ofString(value, name);
    } else if (value instanceof List<?> list) {
      return ofList(list, name);
    } else if (value instanceof LoopContext loop) {
      return loop.attribute(name);
    } else if (value instanceof Globals.Instance instance) {
      return instance.attribute(name);
    } else if (Values.isNumber(value)) {
      return ofNumber(value, name);
    } else if (value instanceof Macro macro) {
      return switch (name) {
        case "name" -> macro.name();
        case "arguments", "catch_kwargs", "catch_varargs", "caller", "explicit_caller" ->
            throw JinjaException.unsupported("the macro attribute '" + name + "'");
        default -> null;
      };
    } else if (value instanceof Range range) {
      return switch (name) {
        case "start" -> range.start;
        case "stop" -> range.stop;
        case "step" -> range.step;
        case "index", "count" -> ofList(range.asList(), name);
        default -> null;
      };
    }
    return null;
  }

  private static @Nullable Object ofDict(Dict dict, String name) {
    return switch (name) {
      case "items" -> view(dict, name, Dict.Part.ITEMS);
      case "keys" -> view(dict, name, Dict.Part.KEYS);
      case "values" -> view(dict, name, Dict.Part.VALUES);
      case "get" ->
          new Function(
              name,
              (rendering, arguments) -> {
                positionalOnly("get", arguments);
                @Nullable Object[] given = arguments.bind("get", 1, "key", "default");
                Object found = given[0] == null ? null : dict.get(given[0]);
                return found != null ? found : given[1] == null ? None.NONE : given[1];
              });
      case "copy" ->
          new Function(
              name,
              (rendering, arguments) -> {
                arguments.none("copy");
                return dict.copy();
              });
      case "fromkeys" -> new Function(name, Globals::fromKeys);
      default -> DICT_MUTATORS.contains(name) ? Undefined.unsafe(dict, name) : null;
    };
  }

  private static Function view(Dict dict, String name, Dict.Part part) {
    return new Function(
        name,
        (rendering, arguments) -> {
          arguments.none(name);
          return new Dict.View(dict, part);
        });
  }

  private static void positionalOnly(String function, Arguments arguments) {
    if (!arguments.named().isEmpty()) {
      throw JinjaException.type(function + "() takes no keyword arguments");
    }
  }

  private static @Nullable Object ofList(List<?> list, String name) {
    if (list instanceof Tuple tuple && tuple.isGroup()) {
      if (name.equals("grouper") || name.equals("list")) {
        return tuple.get(name.equals("grouper") ? 0 : 1);
      }
    }
    boolean mutable = !(list instanceof Tuple);
    return switch (name) {
      case "index" ->
          new Function(
              name,
              (rendering, arguments) -> {
                positionalOnly(name, arguments);
                @Nullable Object[] given = arguments.bind(name, 1, "value", "start", "stop");
                int[] bounds = bounds(given[1], given[2], list.size());
                for (int i = bounds[0]; i < bounds[1]; i++) {
                  if (given[0] != null && Values.equal(list.get(i), given[0])) {
                    return (long) i;
                  }
                }
                throw JinjaException.value("value is not in list");
              });
      case "count" ->
          new Function(
              name,
              (rendering, arguments) -> {
                Object wanted = arguments.only(name);
                return list.stream().filter(item -> Values.equal(item, wanted)).count();
              });
      case "copy" ->
          mutable
              ? new Function(
                  name,
                  (rendering, arguments) -> {
                    arguments.none(name);
                    return new ArrayList<Object>(list);
                  })
              : null;
      default -> mutable && LIST_MUTATORS.contains(name) ? Undefined.unsafe(list, name) : null;
    };
  }

  private static @Nullable Object ofNumber(Object value, String name) {
    boolean real = value instanceof Double;
    return switch (name) {
      case "real", "numerator" ->
          real && name.equals("numerator") ? null : Operators.negate(value, false);
      case "imag" -> real ? (Object) 0.0 : (Object) 0L;
      case "denominator" -> real ? null : 1L;
      case "is_integer" ->
          real
              ? new Function(name, (rendering, arguments) -> Values.isIntegral((Double) value))
              : null;
      case "bit_length" ->
          real
              ? null
              : new Function(
                  name, (rendering, arguments) -> (long) Values.big(value).abs().bitLength());
      case "conjugate",
          "as_integer_ratio",
          "bit_count",
          "to_bytes",
          "from_bytes",
          "hex",
          "fromhex" ->
          throw JinjaException.unsupported("the number method '" + name + "'");
      default -> null;
    };
  }

  // ---- str ----

  private static @Nullable Object ofString(Object value, String name) {
    StringMethod method = STRING.get(name);
    if (method == null) {
      return STRING_UNSUPPORTED.contains(name)
          ? new Function(
              name,
              (rendering, arguments) -> {
                throw JinjaException.unsupported("the string method '" + name + "'");
              })
          : null;
    }
    if (value instanceof Markup markup) {
      return new Function(name, (rendering, arguments) -> safe(rendering, markup, name, arguments));
    }
    String text = (String) value;
    return new Function(name, (rendering, arguments) -> method.call(rendering, text, arguments));
  }

  /** Methods of a safe string escape their arguments and give safe strings. */
  private static Object safe(Rendering rendering, Markup markup, String name, Arguments arguments) {
    StringMethod method = STRING.get(name);
    if (method == null) {
      throw new IllegalStateException(name);
    }
    Arguments given = arguments;
    if (name.equals("join")) {
      List<Object> items = Values.list(arguments.only(name));
      items.replaceAll(item -> Values.isString(item) ? Markup.escape(item) : item);
      given = Arguments.of(items);
    } else if (name.equals("replace") || name.startsWith("format")) {
      Object[] escaped = arguments.positional().clone();
      for (int i = 0; i < escaped.length; i++) {
        escaped[i] = Values.isString(escaped[i]) ? Markup.escape(escaped[i]) : escaped[i];
      }
      if (name.startsWith("format") && (!arguments.named().isEmpty() || name.length() > 6)) {
        throw JinjaException.unsupported("formatting a safe string by name");
      }
      given = new Arguments(escaped, arguments.named());
    }
    Object result = method.call(rendering, markup.text(), given);
    if (result instanceof String text) {
      return new Markup(text);
    } else if (result instanceof List<?> list) {
      List<Object> safe = new ArrayList<>();
      list.forEach(item -> safe.add(new Markup((String) item)));
      return result instanceof Tuple ? new Tuple(safe) : safe;
    }
    return result;
  }

  private static int[] bounds(@Nullable Object start, @Nullable Object stop, int length) {
    Slice slice =
        new Slice(start == null ? None.NONE : start, stop == null ? None.NONE : stop, None.NONE);
    return slice.bounds(length);
  }

  private static String string(String method, @Nullable Object value) {
    if (value == null || !Values.isString(value)) {
      throw JinjaException.type(
          method + ": str expected, not " + (value == null ? "nothing" : Values.typeName(value)));
    }
    return Values.text(value);
  }

  private static void simple(String name, UnaryOperator<String> method) {
    STRING.put(
        name,
        (rendering, self, arguments) -> {
          arguments.none(name);
          return method.apply(self);
        });
  }

  private static void test(String name, IntPredicate all) {
    STRING.put(
        name,
        (rendering, self, arguments) -> {
          arguments.none(name);
          return !self.isEmpty() && self.codePoints().allMatch(all);
        });
  }

  private static void strip(String name, boolean left, boolean right) {
    STRING.put(
        name,
        (rendering, self, arguments) -> {
          positionalOnly(name, arguments);
          Object set = arguments.bind(name, 0, "chars")[0];
          boolean spaces = set == null || set == None.NONE;
          return Strings.strip(self, spaces ? null : string(name, set), left, right);
        });
  }

  private static void split(String name, boolean fromRight) {
    STRING.put(
        name,
        (rendering, self, arguments) -> {
          @Nullable Object[] given = arguments.bind(name, 0, "sep", "maxsplit");
          boolean spaces = given[0] == null || given[0] == None.NONE;
          int limit = given[1] == null ? -1 : Values.index(given[1]);
          return Strings.split(self, spaces ? null : string(name, given[0]), limit, fromRight);
        });
  }

  private static void partition(String name, boolean last) {
    STRING.put(
        name,
        (rendering, self, arguments) -> {
          positionalOnly(name, arguments);
          String separator = string(name, arguments.bind(name, 1, "sep")[0]);
          if (separator.isEmpty()) {
            throw JinjaException.value("empty separator");
          }
          int at = last ? self.lastIndexOf(separator) : self.indexOf(separator);
          if (at < 0) {
            return last ? Tuple.of("", "", self) : Tuple.of(self, "", "");
          }
          return Tuple.of(
              self.substring(0, at), separator, self.substring(at + separator.length()));
        });
  }

  private static void affix(String name, boolean start) {
    STRING.put(
        name,
        (rendering, self, arguments) -> {
          positionalOnly(name, arguments);
          @Nullable Object[] given = arguments.bind(name, 1, "prefix", "start", "end");
          Object affix = given[0];
          String part = self;
          if (given[1] != null || given[2] != null) {
            int length = Strings.length(self);
            int[] bounds = bounds(given[1], given[2], length);
            if (bounds[0] > bounds[1]
                || given[1] != null && given[1] instanceof Long from && from > length) {
              return false;
            }
            part = substring(self, bounds[0], bounds[1]);
          }
          if (affix instanceof Tuple choices) {
            for (Object choice : choices) {
              String text = string(name, choice);
              if (start ? part.startsWith(text) : part.endsWith(text)) {
                return true;
              }
            }
            return false;
          }
          String text = string(name, affix);
          return start ? part.startsWith(text) : part.endsWith(text);
        });
  }

  private static String substring(String text, int start, int end) {
    int from = text.offsetByCodePoints(0, start);
    return text.substring(from, text.offsetByCodePoints(from, end - start));
  }

  private static void find(String name, boolean last, boolean mustExist) {
    STRING.put(
        name,
        (rendering, self, arguments) -> {
          positionalOnly(name, arguments);
          @Nullable Object[] given = arguments.bind(name, 1, "sub", "start", "end");
          String wanted = string(name, given[0]);
          int length = Strings.length(self);
          int[] bounds = bounds(given[1], given[2], length);
          boolean beyond = given[1] instanceof Long from && from > length;
          int at = -1;
          if (bounds[0] <= bounds[1] && !beyond) {
            String part = substring(self, bounds[0], bounds[1]);
            int unit = last ? part.lastIndexOf(wanted) : part.indexOf(wanted);
            at = unit < 0 ? -1 : bounds[0] + part.codePointCount(0, unit);
          }
          if (at < 0 && mustExist) {
            throw JinjaException.value("substring not found");
          }
          return (long) at;
        });
  }

  private static void pad(String name, char align) {
    STRING.put(
        name,
        (rendering, self, arguments) -> {
          positionalOnly(name, arguments);
          @Nullable Object[] given = arguments.bind(name, 1, "width", "fillchar");
          String fill = given[1] == null ? " " : string(name, given[1]);
          if (Strings.length(fill) != 1) {
            throw JinjaException.type("The fill character must be exactly one character long");
          }
          return Strings.pad(self, Values.index(required(given[0])), fill, align);
        });
  }

  private static Object required(@Nullable Object value) {
    if (value == null) {
      throw new IllegalStateException("a required argument is missing");
    }
    return value;
  }

  private static boolean isTitle(String text) {
    boolean any = false;
    boolean inWord = false;
    for (int c : text.codePoints().toArray()) {
      if (Character.isUpperCase(c) || Character.isTitleCase(c)) {
        if (inWord) {
          return false;
        }
        inWord = true;
        any = true;
      } else if (Character.isLowerCase(c)) {
        if (!inWord) {
          return false;
        }
        any = true;
      } else {
        inWord = false;
      }
    }
    return any;
  }

  static {
    simple("upper", Strings::upper);
    simple("lower", Strings::lower);
    simple("capitalize", Strings::capitalize);
    simple("title", Strings::title);
    simple("swapcase", Strings::swapCase);
    simple("casefold", text -> Strings.lower(text.replace("ß", "ss").replace("ς", "σ")));
    strip("strip", true, true);
    strip("lstrip", true, false);
    strip("rstrip", false, true);
    split("split", false);
    split("rsplit", true);
    partition("partition", false);
    partition("rpartition", true);
    affix("startswith", true);
    affix("endswith", false);
    find("find", false, false);
    find("rfind", true, false);
    find("index", false, true);
    find("rindex", true, true);
    pad("ljust", '<');
    pad("rjust", '>');
    pad("center", '^');
    test("isspace", Strings::isSpace);
    test("isalpha", Character::isLetter);
    test("isdecimal", c -> Character.getType(c) == Character.DECIMAL_DIGIT_NUMBER);
    test("isdigit", Methods::isDigit);
    test("isnumeric", Methods::isNumeric);
    test("isalnum", c -> Character.isLetter(c) || isNumeric(c));
    STRING.put(
        "isascii",
        (rendering, self, arguments) -> {
          arguments.none("isascii");
          return self.chars().allMatch(c -> c < 128);
        });
    STRING.put(
        "isprintable",
        (rendering, self, arguments) -> {
          arguments.none("isprintable");
          return self.codePoints().allMatch(Strings::isPrintable);
        });
    STRING.put(
        "isupper",
        (rendering, self, arguments) -> {
          arguments.none("isupper");
          return Strings.isCased(self, true);
        });
    STRING.put(
        "islower",
        (rendering, self, arguments) -> {
          arguments.none("islower");
          return Strings.isCased(self, false);
        });
    STRING.put(
        "istitle",
        (rendering, self, arguments) -> {
          arguments.none("istitle");
          return isTitle(self);
        });
    STRING.put(
        "replace",
        (rendering, self, arguments) -> {
          positionalOnly("replace", arguments);
          @Nullable Object[] given = arguments.bind("replace", 2, "old", "new", "count");
          int count = given[2] == null ? -1 : Values.index(given[2]);
          String old = string("replace", given[0]);
          return Strings.replace(self, old, string("replace", given[1]), count);
        });
    STRING.put(
        "count",
        (rendering, self, arguments) -> {
          positionalOnly("count", arguments);
          @Nullable Object[] given = arguments.bind("count", 1, "sub", "start", "end");
          String wanted = string("count", given[0]);
          int[] bounds = bounds(given[1], given[2], Strings.length(self));
          if (bounds[0] > bounds[1]) {
            return 0L;
          }
          String part = substring(self, bounds[0], bounds[1]);
          if (wanted.isEmpty()) {
            return Strings.length(part) + 1L;
          }
          long count = 0;
          for (int i = part.indexOf(wanted);
              i >= 0;
              i = part.indexOf(wanted, i + wanted.length())) {
            count++;
          }
          return count;
        });
    STRING.put(
        "join",
        (rendering, self, arguments) -> {
          positionalOnly("join", arguments);
          StringBuilder out = new StringBuilder();
          int index = 0;
          for (Object item : Values.list(arguments.only("join"))) {
            if (!Values.isString(item)) {
              throw JinjaException.type(
                  "sequence item "
                      + index
                      + ": expected str instance, "
                      + Values.typeName(item)
                      + " found");
            }
            out.append(index++ == 0 ? "" : self).append(Values.text(item));
            Rendering.checkLength(out.length());
          }
          return out.toString();
        });
    STRING.put(
        "splitlines",
        (rendering, self, arguments) -> {
          Object keep = arguments.bind("splitlines", 0, "keepends")[0];
          return Strings.splitLines(self, keep != null && Values.isTrue(keep));
        });
    STRING.put(
        "zfill",
        (rendering, self, arguments) -> {
          int width = Values.index(arguments.only("zfill"));
          boolean signed = self.startsWith("-") || self.startsWith("+");
          String digits = signed ? self.substring(1) : self;
          return (signed ? self.substring(0, 1) : "")
              + Strings.pad(digits, width - (signed ? 1 : 0), "0", '>');
        });
    STRING.put(
        "expandtabs",
        (rendering, self, arguments) -> {
          Object size = arguments.bind("expandtabs", 0, "tabsize")[0];
          return Strings.expandTabs(self, size == null ? 8 : Values.index(size));
        });
    STRING.put(
        "removeprefix",
        (rendering, self, arguments) -> {
          String prefix = string("removeprefix", arguments.only("removeprefix"));
          return self.startsWith(prefix) ? self.substring(prefix.length()) : self;
        });
    STRING.put(
        "removesuffix",
        (rendering, self, arguments) -> {
          String suffix = string("removesuffix", arguments.only("removesuffix"));
          return self.endsWith(suffix) ? self.substring(0, self.length() - suffix.length()) : self;
        });
    STRING.put("format", Formatting::format);
    STRING.put(
        "format_map",
        (rendering, self, arguments) -> {
          if (!(arguments.only("format_map") instanceof Dict dict)) {
            throw JinjaException.type("format_map() needs a mapping");
          }
          Map<String, Object> named = new HashMap<>();
          for (Dict.Entry entry : dict.entries()) {
            if (Values.isString(entry.key())) {
              named.put(Values.text(entry.key()), entry.value());
            }
          }
          return Formatting.format(rendering, self, new Arguments(new Object[0], named));
        });
  }

  private static boolean isDigit(int c) {
    return Character.getType(c) == Character.DECIMAL_DIGIT_NUMBER
        || "²³¹".indexOf(c) >= 0
        || c == 0x2070
        || c >= 0x2074 && c <= 0x2079
        || c >= 0x2080 && c <= 0x2089
        || c >= 0x2460 && c <= 0x2468;
  }

  private static boolean isNumeric(int c) {
    int type = Character.getType(c);
    return type == Character.DECIMAL_DIGIT_NUMBER
        || type == Character.LETTER_NUMBER
        || type == Character.OTHER_NUMBER
        || "〇一二三四五六七八九十百千万億兆零".indexOf(c) >= 0;
  }
}
