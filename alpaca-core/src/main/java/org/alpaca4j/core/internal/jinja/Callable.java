package org.alpaca4j.core.internal.jinja;

/** Anything a template can call. */
interface Callable {
  Object call(Rendering rendering, Arguments arguments);

  /** A global function or a method bound to its value. */
  record Function(String name, Callable body) implements Callable {
    @Override
    public Object call(Rendering rendering, Arguments arguments) {
      return body.call(rendering, arguments);
    }
  }
}
