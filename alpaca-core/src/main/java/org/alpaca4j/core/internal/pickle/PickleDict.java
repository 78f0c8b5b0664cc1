package org.alpaca4j.core.internal.pickle;

import java.util.ArrayList;
import java.util.List;

/**
 * A Python dict: keys and values in the order in which they were set. Keys are of any kind and are
 * neither hashed nor compared here, so that no hostile key can make that dear; a key that was set
 * twice is there twice. It may contain itself: do not compare, hash or print it.
 */
public final class PickleDict {
  private List<Object> entries = List.of(); // key, value, key, value

  /** Returns the number of entries. */
  public int size() {
    return entries.size() / 2;
  }

  /** Returns the key that was set as the {@code index}th. */
  public Object key(int index) {
    return entries.get(2 * index);
  }

  /** Returns the value that was set as the {@code index}th. */
  public Object value(int index) {
    return entries.get(2 * index + 1);
  }

  /** Sets a key. */
  public void put(Object key, Object value) {
    if (entries.isEmpty()) {
      entries = new ArrayList<>(2);
    }
    entries.add(key);
    entries.add(value);
  }
}
