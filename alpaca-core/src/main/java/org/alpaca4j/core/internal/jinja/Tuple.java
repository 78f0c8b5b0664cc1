package org.alpaca4j.core.internal.jinja;

import java.util.AbstractList;
import java.util.List;

/** A Python tuple. */
final class Tuple extends AbstractList<Object> {
  private final Object[] items;
  private final boolean group;

  private Tuple(Object[] items, boolean group) {
    this.items = items;
    this.group = group;
  }

  Tuple(List<?> items) {
    this(items.toArray(), false);
  }

  static Tuple of(Object... items) {
    return new Tuple(items, false);
  }

  /**
   * A result of {@code groupby}, which also has the attributes {@code grouper} and {@code list}.
   */
  static Tuple group(Object grouper, List<Object> list) {
    return new Tuple(new Object[] {grouper, list}, true);
  }

  boolean isGroup() {
    return group;
  }

  @Override
  public Object get(int index) {
    return items[index];
  }

  @Override
  public int size() {
    return items.length;
  }
}
