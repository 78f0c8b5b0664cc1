package org.alpaca4j.core;

import com.fasterxml.jackson.databind.JsonNode;
import org.jspecify.annotations.Nullable;

/**
 * The fields of a JSON object in a configuration file. A field that is null counts as missing,
 * unless said otherwise.
 *
 * @param node the object
 * @param source what messages call the file
 */
record ConfigFields(JsonNode node, String source) {

  /** Returns whether the field is there, be it null. */
  boolean has(String field) {
    return node.has(field);
  }

  @Nullable JsonNode get(String field) {
    JsonNode value = node.get(field);
    return value == null || value.isNull() ? null : value;
  }

  /** Returns a number that is at least 1. */
  int size(String field, int fallback) {
    return atLeast(1, field, fallback);
  }

  /** Returns a number that is at least 0. */
  int count(String field, int fallback) {
    return atLeast(0, field, fallback);
  }

  private int atLeast(int least, String field, int fallback) {
    JsonNode value = get(field);
    int number = value == null ? fallback : integer(field, value);
    if (number < least) {
      throw wrong(field, number, least + " or more");
    }
    return number;
  }

  int integer(String field, JsonNode value) {
    if (!value.isNumber()
        || value.doubleValue() != Math.rint(value.doubleValue())
        || Math.abs(value.doubleValue()) > Integer.MAX_VALUE) {
      throw wrong(field, value, "an integer");
    }
    return (int) value.doubleValue();
  }

  boolean flag(String field, boolean fallback) {
    JsonNode value = get(field);
    if (value == null) {
      return fallback;
    }
    if (!value.isBoolean()) {
      throw wrong(field, value, "true or false");
    }
    return value.booleanValue();
  }

  double number(String field, double fallback) {
    Double value = optionalNumber(field);
    return value == null ? fallback : value;
  }

  @Nullable Double optionalNumber(String field) {
    JsonNode value = get(field);
    if (value == null) {
      return null;
    }
    if (!value.isNumber() || !Double.isFinite(value.doubleValue())) {
      throw wrong(field, value, "a number");
    }
    return value.doubleValue();
  }

  CheckpointException wrong(String field, Object value, String must) {
    return new CheckpointException(
        source + ": " + field + " is " + value + ", but must be " + must);
  }

  UnsupportedModelException unsupported(String field, @Nullable Object value, String supported) {
    return new UnsupportedModelException(
        source + ": " + field + " " + value + " is not supported; supported: " + supported);
  }
}
