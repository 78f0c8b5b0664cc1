package org.alpaca4j.core.internal.jinja;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A Python generator or iterator: runs on demand, once, and is always true. */
final class LazyIterator implements Iterator<Object> {
  private final String typeName;
  private final Supplier<Iterator<Object>> body;
  private @Nullable Iterator<Object> started;

  /** {@code body} is not run before the first item is asked for. */
  LazyIterator(String typeName, Supplier<Iterator<Object>> body) {
    this.typeName = typeName;
    this.body = body;
  }

  static LazyIterator generator(Supplier<Iterator<Object>> body) {
    return new LazyIterator("generator", body);
  }

  String typeName() {
    return typeName;
  }

  @Override
  public boolean hasNext() {
    Iterator<Object> items = started;
    if (items == null) {
      items = body.get();
      started = items;
    }
    return items.hasNext();
  }

  @Override
  public Object next() {
    if (!hasNext() || started == null) {
      throw new NoSuchElementException();
    }
    return started.next();
  }
}
