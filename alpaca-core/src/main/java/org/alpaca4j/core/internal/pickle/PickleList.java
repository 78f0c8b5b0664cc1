package org.alpaca4j.core.internal.pickle;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** A Python list or set. It may contain itself: do not compare, hash or print it. */
public final class PickleList {
  private List<Object> items = List.of(); // an opcode of one byte makes a list: keep it small

  /** Returns the values, unmodifiable. */
  public List<Object> items() {
    return Collections.unmodifiableList(items);
  }

  void addAll(List<Object> values) {
    if (items.isEmpty()) {
      items = new ArrayList<>(values);
    } else {
      items.addAll(values);
    }
  }
}
