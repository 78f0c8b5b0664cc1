package org.alpaca4j.core.internal.jinja;

import java.util.ArrayList;
import java.util.List;

/** A Python slice; each bound is None or an integer. */
record Slice(Object start, Object stop, Object step) {

  /** Returns the slice of a string, list, tuple or range. */
  Object of(Object value) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (value instanceof String text) {
      return text(text);
    }
    if (value instanceof Markup markup) {
      return new Markup(text(markup.text()));
    }
    if (value instanceof List<?> list) {
      int[] indices = indices(list.size());
      List<Object> picked = new ArrayList<>(indices.length);
      for (int index : indices) {
        picked.add(list.get(index));
      }
      return value instanceof Tuple ? new Tuple(picked) : picked;
    }
    if (value instanceof Range range) {
      return range.slice(this);
    }
    if (value instanceof Dict) {
      throw JinjaException.type("unhashable type: 'slice'");
    }
    throw JinjaException.type("'" + Values.typeName(value) + "' object is not subscriptable");
  }

  private String text(String text) {
    if (step == None.NONE && Strings.isPlain(text)) {
      int[] bounds = bounds(text.length());
      return bounds[0] >= bounds[1] ? "" : text.substring(bounds[0], bounds[1]);
    }
    int[] points = text.codePoints().toArray();
    StringBuilder picked = new StringBuilder();
    for (int index : indices(points.length)) {
      picked.appendCodePoint(points[index]);
    }
    return picked.toString();
  }

  /** Returns start, stop and step for a sequence of {@code length}, as Python's slice.indices. */
  int[] bounds(int length) {
    int by = step == None.NONE ? 1 : bound(step);
    if (by == 0) {
      throw JinjaException.value("slice step cannot be zero");
    }
    int lowest = by < 0 ? -1 : 0;
    int highest = by < 0 ? length - 1 : length;
    int from =
        start == None.NONE ? (by < 0 ? highest : lowest) : clip(start, length, lowest, highest);
    int to = stop == None.NONE ? (by < 0 ? lowest : highest) : clip(stop, length, lowest, highest);
    return new int[] {from, to, by};
  }

  private static int clip(Object value, int length, int lowest, int highest) {
    long index = bound(value);
    index = index < 0 ? index + length : index;
    return (int) Math.max(lowest, Math.min(highest, index));
  }

  private static int bound(Object value) {
    Object index = value instanceof Boolean flag ? (flag ? 1L : 0L) : value;
    if (index instanceof Undefined || !Values.isInt(index)) {
      throw JinjaException.type(
          "slice indices must be integers or None or have an __index__ method");
    }
    return Values.clampToInt(index);
  }

  private int[] indices(int length) {
    int[] bounds = bounds(length);
    long span = (long) bounds[1] - bounds[0];
    long by = bounds[2];
    int count = (int) Math.max(0, by > 0 ? (span + by - 1) / by : (-span - by - 1) / -by);
    int[] indices = new int[count];
    for (int i = 0; i < count; i++) {
      indices[i] = (int) (bounds[0] + i * by);
    }
    return indices;
  }
}
