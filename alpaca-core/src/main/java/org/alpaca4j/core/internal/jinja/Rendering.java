package org.alpaca4j.core.internal.jinja;

import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** One rendering: the caller's variables, the text so far, the spans, and the limits. */
final class Rendering {
  /** Longest text or list that a template may build. */
  static final int MAX_TEXT = 16 * 1024 * 1024;

  /** Deepest nesting of macro calls and recursive loops; Python gives up near 200. */
  static final int MAX_CALLS = 200;

  /** Steps (statements, iterations, calls; a built text counts its length) per rendering. */
  static final long MAX_WORK = 50_000_000;

  private final Map<String, Object> variables;
  private final Clock clock;
  private final StringBuilder text = new StringBuilder();
  private final List<int[]> spans = new ArrayList<>();
  private long work;
  private int calls;

  Rendering(Map<String, Object> variables, Clock clock) {
    this.variables = variables;
    this.clock = clock;
  }

  Clock clock() {
    return clock;
  }

  StringBuilder text() {
    return text;
  }

  List<int[]> spans() {
    return spans;
  }

  /** Records a generation block; its start is the text written so far outside of any macro. */
  void addSpan(String generated) {
    int start = text.codePointCount(0, text.length());
    spans.add(new int[] {start, start + Strings.length(generated)});
  }

  @Nullable Object variable(String name) {
    Object value = variables.get(name);
    return value != null ? value : Globals.get(name);
  }

  void work(long steps) {
    work += steps;
    if (work > MAX_WORK) {
      throw JinjaException.limit("the template does too much work (" + MAX_WORK + " steps)");
    }
  }

  static void checkLength(long length) {
    if (length > MAX_TEXT) {
      throw tooLong();
    }
  }

  static JinjaException tooLong() {
    return JinjaException.limit("a text or list of more than " + MAX_TEXT + " characters or items");
  }

  Object call(Object callee, Arguments arguments) {
    if (callee instanceof Callable callable) {
      return nested(() -> callable.call(this, arguments));
    } else if (callee instanceof Undefined undefined) {
      throw undefined.failure();
    }
    throw JinjaException.type("'" + Values.typeName(callee) + "' object is not callable");
  }

  /** Runs a body one level deeper. */
  Object nested(Supplier<Object> body) {
    work(1);
    if (++calls > MAX_CALLS) {
      throw JinjaException.limit("calls nested deeper than " + MAX_CALLS);
    }
    try {
      Object result = body.get();
      work(result instanceof String built ? built.length() : 0);
      return result;
    } finally {
      calls--;
    }
  }

  /** Evaluates {@code value.name}: attributes and methods first, items second. */
  Object attribute(Object value, String name) {
    Object found = Methods.attribute(value, name);
    if (found == null && value instanceof Dict dict) {
      found = dict.get(name);
    }
    return found == null ? Undefined.member(value, name) : found;
  }

  /** Evaluates {@code value[key]}: items first, attributes and methods second. */
  Object item(Object value, Object key) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    Object found = null;
    if (value instanceof Dict dict) {
      boolean hashable =
          !(key instanceof List && !(key instanceof Tuple)) && !(key instanceof Dict);
      found = hashable ? dict.get(key) : null;
    } else if (Values.isInt(key) || key instanceof Boolean) {
      found = element(value, Values.index(key));
    }
    if (found == null && Values.isString(key)) {
      found = Methods.attribute(value, Values.text(key).intern());
    }
    return found == null ? Undefined.member(value, key) : found;
  }

  private static @Nullable Object element(Object value, int index) {
    if (value instanceof List<?> list) {
      int at = index < 0 ? index + list.size() : index;
      return at >= 0 && at < list.size() ? list.get(at) : null;
    } else if (value instanceof Range range) {
      int at = index < 0 ? index + range.length : index;
      return at >= 0 && at < range.length ? range.asList().get(at) : null;
    } else if (Values.isString(value)) {
      String text = Values.text(value);
      int length = Strings.length(text);
      int at = index < 0 ? index + length : index;
      if (at < 0 || at >= length) {
        return null;
      }
      String character = Character.toString(text.codePointAt(text.offsetByCodePoints(0, at)));
      return value instanceof Markup ? new Markup(character) : character;
    }
    return null;
  }
}
