package org.alpaca4j.core.internal.jinja;

/** Python's {@code None}; Java's null never appears among template values. */
enum None {
  NONE
}
