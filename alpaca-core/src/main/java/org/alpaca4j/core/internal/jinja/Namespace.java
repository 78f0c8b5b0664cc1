package org.alpaca4j.core.internal.jinja;

import org.alpaca4j.core.internal.jinja.JinjaException.Kind;

/** What {@code namespace()} returns: the one value whose attributes a template may set. */
final class Namespace {
  private final Dict attributes;

  Namespace(Dict attributes) {
    for (Object name : attributes.keys()) {
      check(name);
    }
    this.attributes = attributes;
  }

  Dict attributes() {
    return attributes;
  }

  void set(String name, Object value) {
    check(name);
    attributes.put(name, value);
  }

  private static void check(Object name) {
    if (Values.isString(name) && Values.text(name).startsWith("_")) {
      throw new JinjaException(
          Kind.SECURITY,
          "Chat templates cannot store underscore-prefixed attributes on a namespace, but got "
              + Values.repr(name)
              + ". Please rename the attribute.");
    }
  }
}
