package org.alpaca4j.core.internal.jinja;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The {@code loop} variable. */
final class LoopContext implements Callable {
  /** Renders a recursive loop over further items. */
  interface Recursion {
    String render(Object items, int depth);
  }

  private Iterator<Object> items;
  private int length;
  private final int depth;
  private final @Nullable Recursion recursion;
  private int index0 = -1;
  private @Nullable Object before;
  private @Nullable Object current;
  private @Nullable Object after;
  private @Nullable List<Object> lastChanged;

  /** {@code length} is -1 when it is not known before the items were all read. */
  LoopContext(Iterator<Object> items, int length, int depth, @Nullable Recursion recursion) {
    this.items = items;
    this.length = length;
    this.depth = depth;
    this.recursion = recursion;
  }

  boolean hasNext() {
    return after != null || items.hasNext();
  }

  Object next() {
    Object item = after != null ? after : items.next();
    after = null;
    index0++;
    before = current;
    current = item;
    return item;
  }

  int index0() {
    return index0;
  }

  int length() {
    if (length < 0) {
      List<Object> rest = new ArrayList<>();
      items.forEachRemaining(rest::add);
      items = rest.iterator();
      length = rest.size() + index0 + 1 + (after == null ? 0 : 1);
    }
    return length;
  }

  private @Nullable Object peek() {
    if (after == null && items.hasNext()) {
      after = items.next();
    }
    return after;
  }

  @Nullable Object attribute(String name) {
    return switch (name) {
      case "index" -> index0 + 1L;
      case "index0" -> (long) index0;
      case "first" -> index0 == 0;
      case "last" -> peek() == null;
      case "length" -> (long) length();
      case "revindex" -> (long) length() - index0;
      case "revindex0" -> (long) length() - index0 - 1;
      case "depth" -> depth + 1L;
      case "depth0" -> (long) depth;
      case "previtem" ->
          index0 == 0 || before == null ? Undefined.hint("there is no previous item") : before;
      case "nextitem" -> {
        Object next = peek();
        yield next == null ? Undefined.hint("there is no next item") : next;
      }
      case "cycle" -> new Function(name, this::cycle);
      case "changed" -> new Function(name, this::changed);
      default -> null;
    };
  }

  private Object cycle(Rendering rendering, Arguments arguments) {
    Object[] choices = arguments.positional();
    if (choices.length == 0) {
      throw JinjaException.type("no items for cycling given");
    }
    return choices[index0 % choices.length];
  }

  private Object changed(Rendering rendering, Arguments arguments) {
    List<Object> value = List.of(arguments.positional());
    if (lastChanged != null && Values.equal(lastChanged, value)) {
      return false;
    }
    lastChanged = value;
    return true;
  }

  @Override
  public Object call(Rendering rendering, Arguments arguments) {
    Object inner = arguments.only("loop");
    if (recursion == null) {
      throw JinjaException.type(
          "The loop must have the 'recursive' marker to be called recursively.");
    }
    return recursion.render(inner, depth + 1);
  }
}
