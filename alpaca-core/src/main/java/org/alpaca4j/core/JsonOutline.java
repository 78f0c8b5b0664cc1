package org.alpaca4j.core;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Finds where the fields of a JSON document's object stand, passing over what is in them: one loop
 * over megabytes of which a few are needed. What is passed over can be anything.
 */
final class JsonOutline {
  /** Where a value stands in the bytes. */
  record Place(int begin, int end) {
    int length() {
      return end - begin;
    }
  }

  private final byte[] bytes;
  private int at;

  private JsonOutline(byte[] bytes) {
    this.bytes = bytes;
  }

  /**
   * Returns the places of the values of an object's fields.
   *
   * @param bytes UTF-8
   * @throws IOException if it is not an object, or does not end
   */
  static Map<String, Place> of(byte[] bytes) throws IOException {
    return new JsonOutline(bytes).fields();
  }

  private Map<String, Place> fields() throws IOException {
    Map<String, Place> fields = new LinkedHashMap<>();
    skip('{');
    while (peek() != '}') {
      if (!fields.isEmpty()) {
        skip(',');
      }
      peek();
      int begin = at;
      skipString();
      String name = new String(bytes, begin + 1, at - begin - 2, StandardCharsets.UTF_8);
      skip(':');
      peek();
      begin = at;
      skipValue();
      fields.put(name, new Place(begin, at));
    }
    return fields;
  }

  /** Returns the next byte that is not white space, which is the current one then. */
  private byte peek() throws IOException {
    while (current() == ' ' || current() == '\n' || current() == '\r' || current() == '\t') {
      at++;
    }
    return current();
  }

  private byte current() throws IOException {
    if (at >= bytes.length) {
      throw new IOException("it ends within a value");
    }
    return bytes[at];
  }

  private void skip(char expected) throws IOException {
    if (peek() != expected) {
      throw new IOException("expected '" + expected + "' at byte " + at);
    }
    at++;
  }

  private void skipString() throws IOException {
    skip('"');
    while (current() != '"') {
      at += current() == '\\' ? 2 : 1;
    }
    at++;
  }

  private void skipValue() throws IOException {
    int depth = 0;
    do {
      switch (current()) {
        case '"' -> skipString();
        case '{', '[' -> {
          depth++;
          at++;
        }
        case '}', ']' -> {
          depth--;
          at++;
        }
        default -> at++;
      }
    } while (depth > 0 || !endsValue(current()));
  }

  /** Of numbers and words, which nothing else ends. */
  private static boolean endsValue(byte next) {
    return next == ','
        || next == '}'
        || next == ']'
        || next == ' '
        || next == '\n'
        || next == '\r'
        || next == '\t';
  }
}
