package org.alpaca4j.core.internal.jinja;

import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.internal.jinja.Callable.Function;
import org.alpaca4j.core.internal.jinja.JinjaException.Kind;
import org.jspecify.annotations.Nullable;

/** The functions every template can call. */
final class Globals {
  private static final Map<String, Object> ALL = new HashMap<>();

  private Globals() {}

  /** A small object with attributes: {@code cycler}, {@code joiner}, the {@code dict} function. */
  interface Instance {
    @Nullable Object attribute(String name);
  }

  static @Nullable Object get(String name) {
    return ALL.get(name);
  }

  static {
    add("range", Globals::range);
    add("namespace", (rendering, arguments) -> new Namespace(dict(rendering, arguments)));
    add("raise_exception", Globals::raise);
    add("strftime_now", Globals::strftimeNow);
    add("cycler", (rendering, arguments) -> new Cycler(arguments.positional()));
    add("joiner", Globals::joiner);
    add(
        "lipsum",
        (rendering, arguments) -> {
          throw JinjaException.unsupported("the random function 'lipsum'");
        });
    ALL.put("dict", new DictFunction());
  }

  private static void add(String name, Callable function) {
    ALL.put(name, new Function(name, function));
  }

  private static Object range(Rendering rendering, Arguments arguments) {
    if (!arguments.named().isEmpty()) {
      throw JinjaException.type("range() takes no keyword arguments");
    }
    long[] given = new long[arguments.positional().length];
    for (int i = 0; i < given.length; i++) {
      given[i] = Values.index(arguments.positional()[i]);
    }
    return switch (given.length) {
      case 1 -> new Range(0, given[0], 1);
      case 2 -> new Range(given[0], given[1], 1);
      case 3 -> new Range(given[0], given[1], given[2]);
      default -> throw JinjaException.type("range expected 1 to 3 arguments, got " + given.length);
    };
  }

  private static Object raise(Rendering rendering, Arguments arguments) {
    Object message = arguments.bind("raise_exception", 1, "message")[0];
    throw new JinjaException(Kind.RAISED, message == null ? "" : Values.str(message));
  }

  private static Object strftimeNow(Rendering rendering, Arguments arguments) {
    Object format = arguments.bind("strftime_now", 1, "format")[0];
    if (format == null || !Values.isString(format)) {
      throw JinjaException.type("strftime() argument 1 must be str");
    }
    return Strftime.format(Values.text(format), rendering.clock());
  }

  private static Object joiner(Rendering rendering, Arguments arguments) {
    Object separator = arguments.bind("joiner", 0, "sep")[0];
    boolean[] used = new boolean[1];
    return new Function(
        "joiner",
        (inner, none) -> {
          none.none("joiner");
          if (!used[0]) {
            used[0] = true;
            return "";
          }
          return separator == null ? ", " : separator;
        });
  }

  /** Python's {@code dict(mapping or pairs, **named)}. */
  static Dict dict(Rendering rendering, Arguments arguments) {
    if (arguments.positional().length > 1) {
      throw JinjaException.type("dict expected at most 1 argument");
    }
    Dict dict = new Dict();
    for (Object source : arguments.positional()) {
      if (source instanceof Dict other) {
        other.entries().forEach(entry -> dict.put(entry.key(), entry.value()));
      } else if (source instanceof Undefined undefined) {
        throw undefined.failure();
      } else {
        for (Iterator<Object> pairs = Values.iterate(source); pairs.hasNext(); ) {
          List<Object> pair = Values.list(pairs.next());
          if (pair.size() != 2) {
            throw JinjaException.value(
                "dictionary update sequence element has length " + pair.size() + "; 2 is required");
          }
          dict.put(pair.get(0), pair.get(1));
        }
      }
    }
    arguments.named().forEach(dict::put);
    return dict;
  }

  static Object fromKeys(Rendering rendering, Arguments arguments) {
    @Nullable Object[] given = arguments.bind("fromkeys", 1, "iterable", "value");
    Dict dict = new Dict();
    if (given[0] != null) {
      Object value = given[1] == null ? None.NONE : given[1];
      Values.iterate(given[0]).forEachRemaining(key -> dict.put(key, value));
    }
    return dict;
  }

  private static final class DictFunction implements Callable, Instance {
    @Override
    public Object call(Rendering rendering, Arguments arguments) {
      return dict(rendering, arguments);
    }

    @Override
    public @Nullable Object attribute(String name) {
      return name.equals("fromkeys") ? new Function(name, Globals::fromKeys) : null;
    }
  }

  private static final class Cycler implements Instance {
    private final Object[] items;
    private int position;

    Cycler(Object[] items) {
      if (items.length == 0) {
        throw JinjaException.runtime("RuntimeError: at least one item has to be provided");
      }
      this.items = items;
    }

    @Override
    public @Nullable Object attribute(String name) {
      return switch (name) {
        case "current" -> items[position];
        case "pos" -> (long) position;
        case "items" -> new Tuple(List.of(items));
        case "next" ->
            new Function(
                name,
                (rendering, arguments) -> {
                  Object item = items[position];
                  position = (position + 1) % items.length;
                  return item;
                });
        case "reset" ->
            new Function(
                name,
                (rendering, arguments) -> {
                  position = 0;
                  return None.NONE;
                });
        default -> null;
      };
    }
  }
}
