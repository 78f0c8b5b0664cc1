package org.alpaca4j.core.internal.jinja;

import org.alpaca4j.core.internal.jinja.JinjaException.Kind;

/** Jinja's default undefined: prints as nothing, is empty and false, and fails on anything else. */
final class Undefined {
  private final Kind kind;
  private final String message;

  private Undefined(Kind kind, String message) {
    this.kind = kind;
    this.message = message;
  }

  static Undefined variable(String name) {
    return new Undefined(Kind.UNDEFINED, "'" + name + "' is undefined");
  }

  static Undefined hint(String message) {
    return new Undefined(Kind.UNDEFINED, message);
  }

  static Undefined member(Object owner, Object name) {
    String type = owner == None.NONE ? "None" : Values.typeName(owner) + " object";
    if (name instanceof String || name instanceof Markup) {
      return hint("'" + type + "' has no attribute " + Values.repr(name));
    }
    String element = name instanceof Slice ? "slice" : Values.repr(name);
    return hint(type + " has no element " + element);
  }

  static Undefined unsafe(Object owner, String name) {
    return new Undefined(
        Kind.SECURITY,
        "access to attribute '" + name + "' of '" + Values.typeName(owner) + "' object is unsafe.");
  }

  JinjaException failure() {
    return new JinjaException(kind, message);
  }
}
