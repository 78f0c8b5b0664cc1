package org.alpaca4j.data;

import java.util.HashMap;
import java.util.Map;

/** Lets each property of a builder, or one of several that exclude each other, be set once. */
final class OneCall {

  private final Map<String, String> called = new HashMap<>();

  void first(String property) {
    firstOf(property, property);
  }

  void firstOf(String property, String group) {
    String earlier = called.putIfAbsent(group, property);
    if (earlier != null) {
      throw new IllegalStateException(
          earlier.equals(property)
              ? property + " is set already"
              : property + " cannot be set: " + earlier + " is set already; choose one");
    }
  }
}
