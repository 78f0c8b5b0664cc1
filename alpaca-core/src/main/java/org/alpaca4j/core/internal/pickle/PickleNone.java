package org.alpaca4j.core.internal.pickle;

/** Python's {@code None}. */
public enum PickleNone {
  /** The only value. */
  NONE
}
