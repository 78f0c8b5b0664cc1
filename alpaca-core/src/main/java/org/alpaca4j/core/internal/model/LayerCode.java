package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Lines of a straight torch program that compute in a slab of scratch memory. A buffer is free
 * again behind the last line that names it, or one of its other names; then others may lie there.
 *
 * <p>Offsets and sizes count in tokens' widths: a buffer [rows, width] at offset o begins at
 * element {@code o * tokens}, so that a plan holds for any number of tokens.
 */
final class LayerCode {
  private final List<String> lines = new ArrayList<>();
  private final List<Set<String>> named = new ArrayList<>();
  private final Map<String, Buffer> buffers = new LinkedHashMap<>();
  private long size;

  private static final class Buffer {
    private final String rows;
    private final long columns;
    private final long width;
    private final int first;
    private final List<String> names = new ArrayList<>();
    private int last;
    private long offset;

    Buffer(String name, String rows, long columns, long width, int first) {
      this.rows = rows;
      this.columns = columns;
      this.width = width;
      this.first = first;
      last = first;
      names.add(name);
    }
  }

  /** Adds a line of the method's body. */
  void line(String text) {
    lines.add(text);
    named.add(words(text));
  }

  /**
   * Reserves scratch memory from the next line on; returns what stands for it in that line.
   *
   * @param name the variable that the line assigns it to
   * @param rows the program's expression for the number of rows
   * @param columns of each row
   * @param perToken elements for each token, of which all rows are made
   */
  String scratch(String name, String rows, long columns, long perToken) {
    Buffer before = buffers.put(name, new Buffer(name, rows, columns, perToken, lines.size()));
    if (before != null) {
      throw new IllegalStateException("two buffers are called " + name);
    }
    return "@" + name + "@";
  }

  /** Says that a variable is, or may be, the memory of one that an expression names. */
  void alias(String variable, String expression) {
    Set<String> words = words(expression);
    for (Buffer buffer : buffers.values()) {
      if (!Collections.disjoint(words, buffer.names)) {
        buffer.names.add(variable);
      }
    }
  }

  /** Returns whether any line names a variable. */
  boolean names(String variable) {
    return named.stream().anyMatch(names -> names.contains(variable));
  }

  /** Returns the words of a line. */
  private static Set<String> words(String line) {
    Set<String> words = new HashSet<>();
    int start = -1;
    for (int i = 0; i <= line.length(); i++) {
      boolean inWord = i < line.length() && Character.isJavaIdentifierPart(line.charAt(i));
      if (inWord && start < 0) {
        start = i;
      } else if (!inWord && start >= 0) {
        words.add(line.substring(start, i));
        start = -1;
      }
    }
    return words;
  }

  /** Returns the lines, with places for all scratch buffers. */
  List<String> planned() {
    for (Buffer buffer : buffers.values()) {
      for (int i = buffer.first; i < lines.size(); i++) {
        if (!Collections.disjoint(named.get(i), buffer.names)) {
          buffer.last = i;
        }
      }
    }
    List<Buffer> placed = new ArrayList<>();
    for (Buffer buffer : buffers.values()) {
      place(buffer, placed);
      placed.add(buffer);
      size = Math.max(size, buffer.offset + buffer.width);
    }
    Map<String, String> buffersOf = new HashMap<>();
    buffers.forEach(
        (name, buffer) ->
            buffersOf.put(name, buffer("scratch", buffer.offset, buffer.rows, buffer.columns)));
    return lines.stream().map(line -> filled(line, buffersOf)).toList();
  }

  /** The lowest place that no buffer has which is in use at the same time. */
  private static void place(Buffer buffer, List<Buffer> placed) {
    List<Buffer> others =
        placed.stream()
            .filter(other -> other.last >= buffer.first && buffer.last >= other.first)
            .sorted((a, b) -> Long.compare(a.offset, b.offset))
            .toList();
    long offset = 0;
    for (Buffer other : others) {
      if (offset + buffer.width <= other.offset) {
        break;
      }
      offset = Math.max(offset, other.offset + other.width);
    }
    buffer.offset = offset;
  }

  /** Puts buffers in the place of {@code @name@}. */
  private static String filled(String line, Map<String, String> buffers) {
    String[] parts = line.split("@", -1);
    for (int i = 1; i < parts.length; i += 2) {
      parts[i] = buffers.get(parts[i]);
    }
    return String.join("", parts);
  }

  /** Returns the program's expression for a part of a slab. */
  static String buffer(String slab, long offset, String rows, long columns) {
    return "__torch__.buffer(%s, %d, %s, %d, tokens)".formatted(slab, offset, rows, columns);
  }

  /** Returns the width of all scratch memory, once it is planned. */
  long size() {
    return size;
  }
}
