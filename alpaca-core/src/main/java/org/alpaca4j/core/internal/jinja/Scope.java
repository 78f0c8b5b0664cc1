package org.alpaca4j.core.internal.jinja;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Variables set by the template, innermost scope first. Loops, macros, call and set blocks open a
 * scope, if does not; an assignment never reaches an outer scope. Names are interned Strings.
 */
final class Scope {
  private final @Nullable Scope parent;
  private String[] names = new String[4];
  private Object[] values = new Object[4];
  private int size;

  Scope(@Nullable Scope parent) {
    this.parent = parent;
  }

  @SuppressWarnings({"ReferenceEquality", "StringEquality"})
  @Nullable Object find(String name) {
    for (Scope scope = this; scope != null; scope = scope.parent) {
      for (int i = 0; i < scope.size; i++) {
        if (scope.names[i] == name) {
          return scope.values[i];
        }
      }
    }
    return null;
  }

  @SuppressWarnings({"ReferenceEquality", "StringEquality"})
  void set(String name, Object value) {
    for (int i = 0; i < size; i++) {
      if (names[i] == name) {
        values[i] = value;
        return;
      }
    }
    if (size == names.length) {
      names = Arrays.copyOf(names, 2 * size);
      values = Arrays.copyOf(values, 2 * size);
    }
    names[size] = name;
    values[size++] = value;
  }

  /** Returns the outermost scope, which holds what the template set at its top level. */
  Scope root() {
    Scope scope = this;
    while (scope.parent != null) {
      scope = scope.parent;
    }
    return scope;
  }
}
