package org.alpaca4j.core.internal.jinja;

import java.util.AbstractList;

/** A Python range; at most {@value #MAX_LENGTH} items, as in Jinja's sandbox. */
final class Range {
  static final int MAX_LENGTH = 100_000;

  final long start;
  final long stop;
  final long step;
  final int length;

  Range(long start, long stop, long step) {
    if (step == 0) {
      throw JinjaException.value("range() arg 3 must not be zero");
    }
    long size = 0;
    if (step > 0 ? start < stop : start > stop) {
      long span = Math.abs(Math.subtractExact(stop, start));
      size = (span - 1) / Math.abs(step) + 1;
    }
    if (size > MAX_LENGTH) {
      throw JinjaException.runtime(
          "OverflowError: Range too big. The sandbox blocks ranges larger than MAX_RANGE ("
              + MAX_LENGTH
              + ").");
    }
    this.start = start;
    this.stop = stop;
    this.step = step;
    this.length = (int) size;
  }

  AbstractList<Object> asList() {
    return new AbstractList<>() {
      @Override
      public Object get(int index) {
        return start + index * step;
      }

      @Override
      public int size() {
        return length;
      }
    };
  }

  Range slice(Slice slice) {
    int[] bounds = slice.bounds(length);
    return new Range(start + bounds[0] * step, start + bounds[1] * step, step * bounds[2]);
  }
}
