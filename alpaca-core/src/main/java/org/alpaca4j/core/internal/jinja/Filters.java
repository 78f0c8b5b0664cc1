package org.alpaca4j.core.internal.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Jinja's built-in filters, with transformers' own {@code tojson}. */
final class Filters {
  private interface Filter {
    Object apply(Rendering rendering, Object value, Arguments arguments);
  }

  private static final Map<String, Filter> ALL = new HashMap<>();
  private static final Pattern WORD_START =
      Pattern.compile("[-\\s({\\[<]+", Pattern.UNICODE_CHARACTER_CLASS);
  private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{N}_]+");
  private static final Pattern REAL =
      Pattern.compile(
          "[+-]?(\\d+(_\\d+)*\\.?(\\d+(_\\d+)*)?|\\.\\d+(_\\d+)*)([eE][+-]?\\d+(_\\d+)*)?");

  private Filters() {}

  static boolean exists(String name) {
    return ALL.containsKey(name);
  }

  static Object apply(Rendering rendering, String name, Object value, Arguments arguments) {
    Filter filter = ALL.get(name);
    if (filter == null) {
      throw JinjaException.runtime("No filter named '" + name + "'.");
    }
    return filter.apply(rendering, value, arguments);
  }

  // ---- shared ----

  /** Python's str(), which leaves a safe string safe. */
  private static Object soft(Object value) {
    return value instanceof Markup ? value : Values.str(value);
  }

  private static Object onText(Object value, UnaryOperator<String> change) {
    return value instanceof Markup markup
        ? new Markup(change.apply(markup.text()))
        : change.apply(Values.str(value));
  }

  private static boolean flag(@Nullable Object value) {
    return value != null && Values.isTrue(value);
  }

  private static Object or(@Nullable Object value, Object fallback) {
    return value == null ? fallback : value;
  }

  private static Object ignoreCase(Object value) {
    return Values.isString(value) ? Strings.lower(Values.text(value)) : value;
  }

  /** Looks up "a.b.0" step by step; {@code fallback} replaces what is undefined. */
  private static Object lookup(
      Rendering rendering, Object item, Object attribute, @Nullable Object fallback) {
    List<Object> path = new ArrayList<>();
    if (Values.isString(attribute)) {
      for (Object part : Strings.split(Values.text(attribute), ".", -1, false)) {
        String name = (String) part;
        boolean digits = !name.isEmpty() && name.chars().allMatch(c -> c >= '0' && c <= '9');
        path.add(digits ? Values.normalize(new BigInteger(name)) : name);
      }
    } else if (attribute != None.NONE) {
      path.add(attribute);
    }
    Object value = item;
    for (Object part : path) {
      value = rendering.item(value, part);
      if (fallback != null && fallback != None.NONE && value instanceof Undefined) {
        value = fallback;
      }
    }
    return value;
  }

  private static int order(Object a, Object b) {
    return Values.ordered("<", a, b) ? -1 : Values.ordered("<", b, a) ? 1 : 0;
  }

  private record Keyed(Object key, Object item) {}

  private static List<Object> sorted(List<Keyed> keyed, boolean reverse) {
    Comparator<Keyed> comparator = (a, b) -> order(a.key(), b.key());
    try {
      keyed.sort(reverse ? comparator.reversed() : comparator);
    } catch (IllegalArgumentException e) {
      throw JinjaException.unsupported("sorting values without a total order");
    }
    List<Object> items = new ArrayList<>();
    keyed.forEach(entry -> items.add(entry.item()));
    return items;
  }

  private static Iterator<Object> mapping(Iterator<Object> items, UnaryOperator<Object> function) {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return items.hasNext();
      }

      @Override
      public Object next() {
        return function.apply(items.next());
      }
    };
  }

  private static Iterator<Object> selecting(Iterator<Object> items, Predicate<Object> test) {
    return new Iterator<>() {
      private @Nullable Object found;

      @Override
      public boolean hasNext() {
        while (found == null && items.hasNext()) {
          Object item = items.next();
          found = test.test(item) ? item : null;
        }
        return found != null;
      }

      @Override
      public Object next() {
        if (!hasNext() || found == null) {
          throw new NoSuchElementException();
        }
        Object item = found;
        found = null;
        return item;
      }
    };
  }

  private static void text(String name, UnaryOperator<String> change) {
    ALL.put(
        name,
        (rendering, value, arguments) -> {
          arguments.none(name);
          return onText(value, change);
        });
  }

  private static void unsupported(String name) {
    ALL.put(
        name,
        (rendering, value, arguments) -> {
          throw JinjaException.unsupported("the filter '" + name + "'");
        });
  }

  static {
    text("upper", Strings::upper);
    text("lower", Strings::lower);
    text("capitalize", Strings::capitalize);
    text("title", Filters::title);
    for (String name : List.of("pprint", "random", "urlize", "wordwrap")) {
      unsupported(name);
    }
    addSequences();
    addSelections();
    addNumbers();
    addTexts();
    addHtml();
  }

  // ---- sequences ----

  private static void addSequences() {
    Filter length =
        (rendering, value, arguments) -> {
          arguments.none("length");
          return (long) Values.length(value);
        };
    ALL.put("length", length);
    ALL.put("count", length);
    ALL.put(
        "list",
        (rendering, value, arguments) -> {
          arguments.none("list");
          return Values.list(value);
        });
    ALL.put(
        "items",
        (rendering, value, arguments) -> {
          arguments.none("items");
          return LazyIterator.generator(
              () -> {
                if (value instanceof Undefined) {
                  return List.of().iterator();
                } else if (value instanceof Dict dict) {
                  return new Dict.View(dict, Dict.Part.ITEMS).list().iterator();
                }
                throw JinjaException.type("Can only get item pairs from a mapping.");
              });
        });
    ALL.put(
        "first",
        (rendering, value, arguments) -> {
          arguments.none("first");
          Iterator<Object> items = Values.iterate(value);
          return items.hasNext()
              ? items.next()
              : Undefined.hint("No first item, sequence was empty.");
        });
    ALL.put(
        "last",
        (rendering, value, arguments) -> {
          arguments.none("last");
          if (value instanceof LazyIterator) {
            throw JinjaException.type("'" + Values.typeName(value) + "' object is not reversible");
          }
          List<Object> items = Values.list(value);
          return items.isEmpty()
              ? Undefined.hint("No last item, sequence was empty.")
              : items.get(items.size() - 1);
        });
    ALL.put(
        "reverse",
        (rendering, value, arguments) -> {
          arguments.none("reverse");
          if (Values.isString(value)) {
            return onText(value, text -> new StringBuilder(text).reverse().toString());
          }
          List<Object> items = Values.list(value);
          Collections.reverse(items);
          return value instanceof LazyIterator
              ? items
              : new LazyIterator("list_reverseiterator", items::iterator);
        });
    ALL.put(
        "join",
        (rendering, value, arguments) -> {
          @Nullable Object[] given = arguments.bind("join", 0, "d", "attribute");
          Object attribute = given[1];
          String separator = Values.str(or(given[0], ""));
          StringBuilder out = new StringBuilder();
          boolean first = true;
          for (Iterator<Object> items = Values.iterate(value); items.hasNext(); ) {
            Object item = items.next();
            if (attribute != null && attribute != None.NONE) {
              item = lookup(rendering, item, attribute, null);
            }
            out.append(first ? "" : separator).append(Values.str(item));
            Rendering.checkLength(out.length());
            first = false;
          }
          return out.toString();
        });
    ALL.put(
        "sort",
        (rendering, value, arguments) -> {
          @Nullable Object[] given =
              arguments.bind("sort", 0, "reverse", "case_sensitive", "attribute");
          List<Keyed> keyed = new ArrayList<>();
          for (Object item : Values.list(value)) {
            List<Object> key = new ArrayList<>();
            Object attributes = or(given[2], None.NONE);
            List<Object> names =
                Values.isString(attributes)
                    ? Strings.split(Values.text(attributes), ",", -1, false)
                    : List.of(attributes);
            for (Object name : names) {
              Object part = lookup(rendering, item, name, null);
              key.add(flag(given[1]) ? part : ignoreCase(part));
            }
            keyed.add(new Keyed(key, item));
          }
          return sorted(keyed, flag(given[0]));
        });
    ALL.put(
        "dictsort",
        (rendering, value, arguments) -> {
          @Nullable Object[] given =
              arguments.bind("dictsort", 0, "case_sensitive", "by", "reverse");
          Object by = or(given[1], "key");
          boolean byKey = Values.equal(by, "key");
          if (!byKey && !Values.equal(by, "value")) {
            throw JinjaException.runtime("You can only sort by either \"key\" or \"value\"");
          }
          if (value instanceof Undefined undefined) {
            throw undefined.failure();
          }
          if (!(value instanceof Dict dict)) {
            throw JinjaException.runtime(
                "AttributeError: '" + Values.typeName(value) + "' object has no attribute 'items'");
          }
          List<Keyed> keyed = new ArrayList<>();
          for (Dict.Entry entry : dict.entries()) {
            Object key = byKey ? entry.key() : entry.value();
            keyed.add(
                new Keyed(
                    flag(given[0]) ? key : ignoreCase(key), Tuple.of(entry.key(), entry.value())));
          }
          return sorted(keyed, flag(given[2]));
        });
    ALL.put(
        "unique",
        (rendering, value, arguments) -> {
          @Nullable Object[] given = arguments.bind("unique", 0, "case_sensitive", "attribute");
          Set<Object> seen = new HashSet<>();
          return LazyIterator.generator(
              () ->
                  selecting(
                      Values.iterate(value),
                      item -> {
                        Object key = lookup(rendering, item, or(given[1], None.NONE), null);
                        return seen.add(Dict.hashKey(flag(given[0]) ? key : ignoreCase(key)));
                      }));
        });
    ALL.put("min", (rendering, value, arguments) -> extreme(rendering, "min", value, arguments));
    ALL.put("max", (rendering, value, arguments) -> extreme(rendering, "max", value, arguments));
    ALL.put("groupby", Filters::groupBy);
    ALL.put(
        "sum",
        (rendering, value, arguments) -> {
          @Nullable Object[] given = arguments.bind("sum", 0, "attribute", "start");
          Object total = or(given[1], 0L);
          if (Values.isString(total)) {
            throw JinjaException.type("sum() can't sum strings [use ''.join(seq) instead]");
          }
          for (Iterator<Object> items = Values.iterate(value); items.hasNext(); ) {
            Object item = items.next();
            if (given[0] != null && given[0] != None.NONE) {
              item = lookup(rendering, item, given[0], null);
            }
            total = Operators.apply("+", total, item);
          }
          return total;
        });
    ALL.put("slice", Filters::slices);
    ALL.put("batch", Filters::batches);
  }

  private static Object extreme(
      Rendering rendering, String name, Object value, Arguments arguments) {
    @Nullable Object[] given = arguments.bind(name, 0, "case_sensitive", "attribute");
    Object best = null;
    Object bestKey = null;
    for (Iterator<Object> items = Values.iterate(value); items.hasNext(); ) {
      Object item = items.next();
      Object key = lookup(rendering, item, or(given[1], None.NONE), null);
      key = flag(given[0]) ? key : ignoreCase(key);
      if (bestKey == null || Values.ordered(name.equals("min") ? "<" : ">", key, bestKey)) {
        best = item;
        bestKey = key;
      }
    }
    return best == null ? Undefined.hint("No aggregated item, sequence was empty.") : best;
  }

  private static Object groupBy(Rendering rendering, Object value, Arguments arguments) {
    @Nullable Object[] given =
        arguments.bind("groupby", 1, "attribute", "default", "case_sensitive");
    Object attribute = or(given[0], None.NONE);
    boolean exact = flag(given[2]);
    List<Keyed> keyed = new ArrayList<>();
    for (Object item : Values.list(value)) {
      Object key = lookup(rendering, item, attribute, given[1]);
      keyed.add(new Keyed(exact ? key : ignoreCase(key), item));
    }
    List<Object> groups = new ArrayList<>();
    List<Object> members = new ArrayList<>();
    Object current = null;
    for (Object item : sorted(keyed, false)) {
      Object key = lookup(rendering, item, attribute, given[1]);
      Object compared = exact ? key : ignoreCase(key);
      if (current == null || !Values.equal(current, compared)) {
        members = new ArrayList<>();
        groups.add(Tuple.group(key, members));
        current = compared;
      }
      members.add(item);
    }
    return groups;
  }

  private static Object slices(Rendering rendering, Object value, Arguments arguments) {
    @Nullable Object[] given = arguments.bind("slice", 1, "slices", "fill_with");
    int slices = Values.index(or(given[0], 1L));
    Rendering.checkLength(slices);
    return LazyIterator.generator(
        () -> {
          List<Object> items = Values.list(value);
          if (slices == 0) {
            throw JinjaException.runtime("ZeroDivisionError: integer division or modulo by zero");
          }
          List<Object> result = new ArrayList<>();
          int each = items.size() / Math.max(1, slices);
          int longer = items.size() % Math.max(1, slices);
          int start = 0;
          for (int i = 0; i < slices; i++) {
            int end = start + each + (i < longer ? 1 : 0);
            List<Object> slice = new ArrayList<>(items.subList(start, end));
            if (given[1] != null && given[1] != None.NONE && i >= longer) {
              slice.add(given[1]);
            }
            result.add(slice);
            start = end;
          }
          return result.iterator();
        });
  }

  private static Object batches(Rendering rendering, Object value, Arguments arguments) {
    @Nullable Object[] given = arguments.bind("batch", 1, "linecount", "fill_with");
    int count = Values.index(or(given[0], 1L));
    Rendering.checkLength(count);
    return LazyIterator.generator(
        () -> {
          List<Object> result = new ArrayList<>();
          List<Object> line = new ArrayList<>();
          for (Iterator<Object> items = Values.iterate(value); items.hasNext(); ) {
            if (line.size() == count) {
              result.add(line);
              line = new ArrayList<>();
            }
            line.add(items.next());
          }
          if (!line.isEmpty()) {
            while (given[1] != null && given[1] != None.NONE && line.size() < count) {
              line.add(given[1]);
            }
            result.add(line);
          }
          return result.iterator();
        });
  }

  // ---- map, select, reject ----

  private static void addSelections() {
    ALL.put(
        "map",
        (rendering, value, arguments) ->
            LazyIterator.generator(
                () ->
                    Values.isTrue(value)
                        ? mapping(Values.iterate(value), mapper(rendering, arguments))
                        : List.of().iterator()));
    selection("select", true, false);
    selection("reject", false, false);
    selection("selectattr", true, true);
    selection("rejectattr", false, true);
    ALL.put("default", Filters::defaulting);
    ALL.put("d", Filters::defaulting);
    ALL.put(
        "attr",
        (rendering, value, arguments) -> {
          Object name = arguments.only("attr");
          if (!Values.isString(name)) {
            throw JinjaException.type("attribute name must be string");
          }
          Object found = Methods.attribute(value, Values.text(name).intern());
          return found == null ? Undefined.member(value, name) : found;
        });
  }

  private static Object defaulting(Rendering rendering, Object value, Arguments arguments) {
    @Nullable Object[] given = arguments.bind("default", 0, "default_value", "boolean");
    boolean replace = value instanceof Undefined || flag(given[1]) && !Values.isTrue(value);
    return replace ? or(given[0], "") : value;
  }

  private static UnaryOperator<Object> mapper(Rendering rendering, Arguments arguments) {
    if (arguments.positional().length == 0 && arguments.named().containsKey("attribute")) {
      Map<String, Object> rest = new LinkedHashMap<>(arguments.named());
      Object attribute = or(rest.remove("attribute"), None.NONE);
      Object fallback = rest.remove("default");
      if (!rest.isEmpty()) {
        throw JinjaException.runtime(
            "Unexpected keyword argument '" + rest.keySet().iterator().next() + "'");
      }
      return item -> lookup(rendering, item, attribute, fallback);
    }
    if (arguments.positional().length == 0) {
      throw JinjaException.runtime("map requires a filter argument");
    }
    String name = Values.str(arguments.positional()[0]);
    if (!exists(name)) {
      throw JinjaException.runtime("No filter named '" + name + "'.");
    }
    Arguments rest = arguments.skip(1);
    return item -> apply(rendering, name, item, rest);
  }

  private static void selection(String filter, boolean keep, boolean byAttribute) {
    ALL.put(
        filter,
        (rendering, value, arguments) ->
            LazyIterator.generator(
                () -> {
                  if (!Values.isTrue(value)) {
                    return List.of().iterator();
                  }
                  Predicate<Object> test = predicate(rendering, arguments, byAttribute);
                  return selecting(Values.iterate(value), item -> test.test(item) == keep);
                }));
  }

  private static Predicate<Object> predicate(
      Rendering rendering, Arguments arguments, boolean byAttribute) {
    int offset = byAttribute ? 1 : 0;
    Object[] positional = arguments.positional();
    if (positional.length < offset) {
      throw JinjaException.runtime("Missing parameter for attribute name");
    }
    UnaryOperator<Object> subject =
        byAttribute ? item -> lookup(rendering, item, positional[0], null) : item -> item;
    if (positional.length == offset) {
      return item -> Values.isTrue(subject.apply(item));
    }
    String name = Values.str(positional[offset]);
    Arguments rest = arguments.skip(offset + 1);
    return item -> {
      Object tested = subject.apply(item);
      if (!Tests.exists(name)) {
        throw JinjaException.runtime("No test named '" + name + "'.");
      }
      return Tests.apply(name, tested, rest);
    };
  }

  // ---- numbers ----

  private static void addNumbers() {
    ALL.put(
        "abs",
        (rendering, value, arguments) -> {
          arguments.none("abs");
          if (!Values.isNumber(value)) {
            throw JinjaException.type(
                "bad operand type for abs(): '" + Values.typeName(value) + "'");
          }
          return value instanceof Double number
              ? (Object) Math.abs(number)
              : Values.normalize(Values.big(value).abs());
        });
    ALL.put(
        "int",
        (rendering, value, arguments) -> {
          @Nullable Object[] given = arguments.bind("int", 0, "default", "base");
          return toInt(value, or(given[0], 0L), given[1] == null ? 10 : Values.index(given[1]));
        });
    ALL.put(
        "float",
        (rendering, value, arguments) -> {
          Object fallback = or(arguments.bind("float", 0, "default")[0], 0.0);
          if (value instanceof Undefined undefined) {
            throw undefined.failure();
          }
          if (Values.isString(value)) {
            Double parsed = parseReal(Values.text(value));
            return parsed == null ? fallback : parsed;
          }
          return Values.isNumber(value) ? (Object) Values.real(value) : fallback;
        });
    ALL.put("round", Filters::round);
    ALL.put("filesizeformat", Filters::fileSize);
  }

  private static Object toInt(Object value, Object fallback, int base) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    } else if (Values.isInt(value) || value instanceof Boolean) {
      return Values.normalize(Values.big(value));
    } else if (value instanceof Double number) {
      if (Double.isNaN(number) || Double.isInfinite(number)) {
        if (Double.isNaN(number)) {
          return fallback;
        }
        throw JinjaException.runtime("OverflowError: cannot convert float infinity to integer");
      }
      return Values.truncate(number);
    } else if (!Values.isString(value)) {
      return fallback;
    }
    String text = Strings.strip(Values.text(value), null, true, true);
    Object parsed = parseInt(text, base);
    if (parsed != null) {
      return parsed;
    }
    Double real = parseReal(text);
    return real == null || real.isNaN() || real.isInfinite() ? fallback : Values.truncate(real);
  }

  private static @Nullable Object parseInt(String text, int base) {
    if (base != 0 && (base < 2 || base > 36)) {
      return null;
    }
    boolean signed = text.startsWith("-") || text.startsWith("+");
    String digits = (signed ? text.substring(1) : text).toLowerCase(Locale.ROOT);
    int radix = base;
    Map<String, Integer> prefixes = Map.of("0b", 2, "0o", 8, "0x", 16);
    Integer prefixed = digits.length() > 2 ? prefixes.get(digits.substring(0, 2)) : null;
    if (prefixed != null && (base == prefixed || base == 0)) {
      radix = prefixed;
      digits = digits.substring(digits.charAt(2) == '_' ? 3 : 2);
    } else if (base == 0) {
      radix = 10;
      if (digits.length() > 1 && digits.startsWith("0") && !digits.matches("[0_]+")) {
        return null;
      }
    }
    if (digits.startsWith("_") || digits.endsWith("_") || digits.contains("__")) {
      return null;
    }
    digits = digits.replace("_", "");
    if (digits.isEmpty() || digits.length() > Values.MAX_INT_DIGITS) {
      return null;
    }
    for (int i = 0; i < digits.length(); i++) {
      if (Character.digit(digits.charAt(i), radix) < 0) {
        return null;
      }
    }
    BigInteger number = new BigInteger(digits, radix);
    return Values.normalize(text.startsWith("-") ? number.negate() : number);
  }

  private static @Nullable Double parseReal(String text) {
    String trimmed = Strings.strip(text, null, true, true);
    String lower = trimmed.toLowerCase(Locale.ROOT);
    String unsigned = lower.startsWith("-") || lower.startsWith("+") ? lower.substring(1) : lower;
    if (unsigned.equals("nan")) {
      return Double.NaN;
    } else if (unsigned.equals("inf") || unsigned.equals("infinity")) {
      return lower.startsWith("-") ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY;
    }
    return REAL.matcher(trimmed).matches()
        ? (Double) Double.parseDouble(trimmed.replace("_", ""))
        : null;
  }

  private static Object round(Rendering rendering, Object value, Arguments arguments) {
    @Nullable Object[] given = arguments.bind("round", 0, "precision", "method");
    Object method = or(given[1], "common");
    if (!Values.isString(method)
        || !Set.of("common", "ceil", "floor").contains(Values.text(method))) {
      throw JinjaException.runtime("method must be common, ceil or floor");
    }
    int precision = given[0] == null ? 0 : Values.index(given[0]);
    if (!Values.isNumber(value)) {
      throw JinjaException.type(
          "type " + Values.typeName(value) + " doesn't define __round__ method");
    }
    if (Math.abs(precision) > 400) {
      throw JinjaException.limit("rounding to more than 400 digits");
    }
    if (Values.text(method).equals("common")) {
      if (!(value instanceof Double number)) {
        BigDecimal exact = new BigDecimal(Values.big(value));
        return precision >= 0
            ? Values.normalize(Values.big(value))
            : Values.normalize(exact.setScale(precision, RoundingMode.HALF_EVEN).toBigInteger());
      }
      if (Double.isNaN(number) || Double.isInfinite(number)) {
        return number;
      }
      double rounded =
          new BigDecimal(number).setScale(precision, RoundingMode.HALF_EVEN).doubleValue();
      return Math.copySign(rounded, number);
    }
    Object scale = Operators.apply("**", 10L, (long) precision);
    Object scaled = Operators.apply("*", value, scale);
    Object whole = scaled;
    if (scaled instanceof Double number) {
      boolean up = Values.text(method).equals("ceil");
      whole = Values.truncate(up ? Math.ceil(number) : Math.floor(number));
    }
    return Operators.apply("/", whole, scale);
  }

  private static Object fileSize(Rendering rendering, Object value, Arguments arguments) {
    boolean binary = flag(arguments.bind("filesizeformat", 0, "binary")[0]);
    Double parsed = Values.isString(value) ? parseReal(Values.text(value)) : null;
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (parsed == null && !Values.isNumber(value)) {
      throw JinjaException.value("could not convert to a file size: " + Values.repr(value));
    }
    double bytes = parsed != null ? parsed : Values.real(value);
    int base = binary ? 1024 : 1000;
    if (bytes == 1) {
      return "1 Byte";
    } else if (bytes < base) {
      return Values.str(Values.truncate(bytes)) + " Bytes";
    }
    String[] prefixes = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
    double unit = base;
    String prefix = "";
    for (String candidate : prefixes) {
      unit *= base;
      prefix = candidate;
      if (bytes < unit) {
        break;
      }
    }
    String suffix = binary ? prefix.toUpperCase(Locale.ROOT) + "iB" : prefix + "B";
    return Formatting.percent("%.1f", base * bytes / unit) + " " + suffix;
  }

  // ---- text ----

  private static String title(String text) {
    StringBuilder out = new StringBuilder();
    Matcher starts = WORD_START.matcher(text);
    int from = 0;
    while (true) {
      boolean found = starts.find(from);
      int end = found ? starts.start() : text.length();
      if (end > from) {
        int first = Character.charCount(text.codePointAt(from));
        out.append(Strings.upper(text.substring(from, from + first)));
        out.append(Strings.lower(text.substring(from + first, end)));
      }
      if (!found) {
        return out.toString();
      }
      out.append(starts.group());
      from = starts.end();
    }
  }

  private static void addTexts() {
    ALL.put(
        "string",
        (rendering, value, arguments) -> {
          arguments.none("string");
          return soft(value);
        });
    ALL.put(
        "trim",
        (rendering, value, arguments) -> {
          Object set = arguments.bind("trim", 0, "chars")[0];
          boolean spaces = set == null || set == None.NONE;
          if (!spaces && !Values.isString(set)) {
            throw JinjaException.type("strip arg must be None or str");
          }
          return onText(
              value, text -> Strings.strip(text, spaces ? null : Values.text(set), true, true));
        });
    ALL.put(
        "replace",
        (rendering, value, arguments) -> {
          @Nullable Object[] given = arguments.bind("replace", 2, "old", "new", "count");
          int count = given[2] == null || given[2] == None.NONE ? -1 : Values.index(given[2]);
          String old = Values.str(or(given[0], ""));
          return Strings.replace(Values.str(value), old, Values.str(or(given[1], "")), count);
        });
    ALL.put(
        "center",
        (rendering, value, arguments) -> {
          Object width = or(arguments.bind("center", 0, "width")[0], 80L);
          return onText(value, text -> Strings.pad(text, Values.index(width), " ", '^'));
        });
    ALL.put("indent", Filters::indent);
    ALL.put("truncate", Filters::truncate);
    ALL.put(
        "wordcount",
        (rendering, value, arguments) -> {
          arguments.none("wordcount");
          return WORD.matcher(Values.str(value)).results().count();
        });
    ALL.put(
        "format",
        (rendering, value, arguments) -> {
          if (arguments.positional().length > 0 && !arguments.named().isEmpty()) {
            throw JinjaException.runtime(
                "can't handle positional and keyword arguments at the same time");
          }
          Object values = Tuple.of(arguments.positional());
          if (!arguments.named().isEmpty()) {
            Dict named = new Dict();
            arguments.named().forEach(named::put);
            values = named;
          }
          return Operators.apply("%", soft(value), values);
        });
    ALL.put(
        "tojson",
        (rendering, value, arguments) -> {
          String json = Json.dumps(value, arguments);
          rendering.work(json.length());
          return json;
        });
  }

  private static Object indent(Rendering rendering, Object value, Arguments arguments) {
    @Nullable Object[] given = arguments.bind("indent", 0, "width", "first", "blank");
    Object width = or(given[0], 4L);
    String indention =
        Values.isString(width) ? Values.text(width) : Strings.repeat(" ", Values.index(width));
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (!Values.isString(value)) {
      throw JinjaException.type(
          "unsupported operand type(s) for +=: '" + Values.typeName(value) + "' and 'str'");
    }
    StringBuilder out = new StringBuilder(flag(given[1]) ? indention : "");
    List<Object> lines = Strings.splitLines(Values.text(value) + "\n", false);
    for (int i = 0; i < lines.size(); i++) {
      String line = (String) lines.get(i);
      if (i > 0) {
        out.append('\n').append(line.isEmpty() && !flag(given[2]) ? "" : indention);
      }
      out.append(line);
      Rendering.checkLength(out.length());
    }
    return value instanceof Markup ? new Markup(out.toString()) : out.toString();
  }

  private static Object truncate(Rendering rendering, Object value, Arguments arguments) {
    @Nullable Object[] given =
        arguments.bind("truncate", 0, "length", "killwords", "end", "leeway");
    int length = Values.index(or(given[0], 255L));
    String end = Values.text(or(given[2], "..."));
    int leeway = given[3] == null || given[3] == None.NONE ? 5 : Values.index(given[3]);
    if (length < Strings.length(end) || leeway < 0) {
      throw JinjaException.runtime(
          "AssertionError: truncate needs length >= len(end), leeway >= 0");
    }
    if (Values.length(value) <= length + leeway) {
      return value;
    }
    if (!Values.isString(value)) {
      throw JinjaException.unsupported("truncating a " + Values.typeName(value));
    }
    String text = Values.text(value);
    String kept = text.substring(0, text.offsetByCodePoints(0, length - Strings.length(end)));
    if (!flag(given[1])) {
      kept = (String) Strings.split(kept, " ", 1, true).get(0);
    }
    return kept + end;
  }

  // ---- HTML and URLs ----

  private static void addHtml() {
    Filter escape =
        (rendering, value, arguments) -> {
          arguments.none("escape");
          return new Markup(Markup.escape(value));
        };
    ALL.put("e", escape);
    ALL.put("escape", escape);
    ALL.put(
        "forceescape",
        (rendering, value, arguments) -> {
          arguments.none("forceescape");
          return new Markup(Markup.escape(Values.str(value)));
        });
    ALL.put(
        "safe",
        (rendering, value, arguments) -> {
          arguments.none("safe");
          return new Markup(Values.str(value));
        });
    ALL.put(
        "urlencode",
        (rendering, value, arguments) -> {
          arguments.none("urlencode");
          return urlEncode(value);
        });
    ALL.put(
        "xmlattr",
        (rendering, value, arguments) -> {
          Object space = arguments.bind("xmlattr", 0, "autospace")[0];
          if (value instanceof Undefined undefined) {
            throw undefined.failure();
          }
          if (!(value instanceof Dict dict)) {
            throw JinjaException.type("xmlattr needs a mapping");
          }
          List<String> parts = new ArrayList<>();
          for (Dict.Entry entry : dict.entries()) {
            if (entry.value() == None.NONE || entry.value() instanceof Undefined) {
              continue;
            }
            String key = Values.text(entry.key());
            if (key.chars().anyMatch(c -> " \t\n\r\f\u000b/>=".indexOf(c) >= 0)) {
              throw JinjaException.value(
                  "Invalid character in attribute name: " + Values.repr(key));
            }
            parts.add(Markup.escape(key) + "=\"" + Markup.escape(entry.value()) + "\"");
          }
          String text = String.join(" ", parts);
          return !text.isEmpty() && (space == null || Values.isTrue(space)) ? " " + text : text;
        });
    unsupported("striptags");
  }

  private static String urlEncode(Object value) {
    if (Values.isString(value) || !Values.isIterable(value)) {
      return quote(Values.str(value)).replace("%2F", "/");
    }
    List<Object> pairs =
        value instanceof Dict dict
            ? new Dict.View(dict, Dict.Part.ITEMS).list()
            : Values.list(value);
    List<String> parts = new ArrayList<>();
    for (Object pair : pairs) {
      List<Object> two = Values.list(pair);
      if (two.size() != 2) {
        throw JinjaException.value("urlencode needs pairs");
      }
      parts.add(
          (quote(Values.str(two.get(0))) + "=" + quote(Values.str(two.get(1))))
              .replace("%20", "+"));
    }
    return String.join("&", parts);
  }

  private static String quote(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8)
        .replace("+", "%20")
        .replace("*", "%2A")
        .replace("%7E", "~");
  }
}
