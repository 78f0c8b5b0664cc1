package org.alpaca4j.core.internal.family;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.UnsupportedModelException;
import org.jspecify.annotations.Nullable;

/**
 * The fields of a JSON object in a configuration file, under the names that most families give
 * them; the profile knows what the family at hand calls them, and what a missing one means. A field
 * that is null counts as missing, unless said otherwise.
 *
 * @param node the object
 * @param source what messages call the file
 * @param profile names and defaults
 */
public record ConfigFields(JsonNode node, String source, Profile profile) {

  /** Returns whether the field is there, be it null. */
  public boolean has(String field) {
    for (String name : profile.names(field)) {
      if (node.has(name)) {
        return true;
      }
    }
    return false;
  }

  /** Returns what the file has for a field, or null. */
  public @Nullable JsonNode get(String field) {
    for (String name : profile.names(field)) {
      JsonNode value = node.get(name);
      if (value != null && !value.isNull()) {
        return value;
      }
    }
    return null;
  }

  /** Returns a number that is at least 1. */
  int size(String field) {
    return atLeast(1, field, -1);
  }

  /** Returns a number that is at least 1. */
  int size(String field, int fallback) {
    return atLeast(1, field, fallback);
  }

  /** Returns a number that is at least 0. */
  int count(String field, int fallback) {
    return atLeast(0, field, fallback);
  }

  /**
   * Returns a number that is at least 1, or the fallback: also where the field is there as null.
   */
  int sizeUnlessNull(String field, int fallback) {
    boolean none = has(field) && get(field) == null;
    return none ? fallback : size(field, fallback);
  }

  private int atLeast(int least, String field, int fallback) {
    JsonNode value = get(field);
    Object standard = profile.defaultOf(field);
    int number =
        value != null ? integer(field, value) : standard != null ? (int) standard : fallback;
    if (value == null && number == -1) {
      throw missing(field);
    }
    if (number < least) {
      throw wrong(field, number, least + " or more");
    }
    return number;
  }

  /** Returns a value as an integer. */
  public int integer(String field, JsonNode value) {
    if (!value.isNumber()
        || value.doubleValue() != Math.rint(value.doubleValue())
        || Math.abs(value.doubleValue()) > Integer.MAX_VALUE) {
      throw wrong(field, value, "an integer");
    }
    return (int) value.doubleValue();
  }

  /** Returns true or false. */
  public boolean flag(String field, boolean fallback) {
    JsonNode value = get(field);
    if (value == null) {
      return profile.defaultOf(field) instanceof Boolean standard ? standard : fallback;
    }
    if (!value.isBoolean()) {
      throw wrong(field, value, "true or false");
    }
    return value.booleanValue();
  }

  /** Returns a number, that of the profile where there is none. */
  double number(String field) {
    Double value = optionalNumber(field);
    if (value == null) {
      throw missing(field);
    }
    return value;
  }

  /** Returns a number. */
  public double number(String field, double fallback) {
    Double value = optionalNumber(field);
    return value == null ? fallback : value;
  }

  /** Returns a number, or null; a field that is there as null has no default. */
  @Nullable Double optionalNumber(String field) {
    JsonNode value = get(field);
    if (value == null) {
      boolean absent = !has(field);
      return absent && profile.defaultOf(field) instanceof Number standard
          ? (Double) standard.doubleValue()
          : null;
    }
    if (!value.isNumber() || !Double.isFinite(value.doubleValue())) {
      throw wrong(field, value, "a number");
    }
    return value.doubleValue();
  }

  /** Returns a number above 0. */
  double positive(String field, double fallback) {
    double value = number(field, fallback);
    if (!(value > 0)) {
      throw wrong(field, value, "above 0");
    }
    return value;
  }

  /** Returns a soft cap; null, or no such field, is 0: none. */
  double cap(String field) {
    Double value = optionalNumber(field);
    if (value != null && !(value > 0)) {
      throw wrong(field, value, "above 0, or null for none");
    }
    return value == null ? 0 : value;
  }

  String text(String field, String fallback) {
    JsonNode value = get(field);
    if (value == null) {
      return profile.defaultOf(field) instanceof String standard ? standard : fallback;
    }
    if (!value.isTextual()) {
      throw wrong(field, value, "a string");
    }
    return value.textValue();
  }

  /** Returns a list with one entry for each layer, or null if there is none. */
  @Nullable List<JsonNode> perLayer(String field, int layers) {
    JsonNode value = get(field);
    if (value == null) {
      return null;
    }
    if (!value.isArray() || value.size() != layers) {
      throw wrong(field, value, "a list with one entry for each of " + layers + " layers");
    }
    List<JsonNode> entries = new ArrayList<>();
    value.forEach(entries::add);
    return entries;
  }

  /** Returns a list of integers, empty if there is none. */
  List<Integer> integers(String field) {
    List<Integer> integers = new ArrayList<>();
    JsonNode value = get(field);
    if (value != null && !value.isArray()) {
      throw wrong(field, value, "a list");
    }
    if (value != null) {
      value.forEach(entry -> integers.add(integer(field, entry)));
    }
    return integers;
  }

  /**
   * Returns the ids of tokens: one, a list, or none; negative ones, as old files have, are none.
   */
  public List<Integer> tokenIds(String field) {
    if (!has(field) || (get(field) == null && profile.nullMeansDefault(field))) {
      Object standard = profile.defaultOf(field);
      return standard instanceof Integer id
          ? List.of(id)
          : standard instanceof int[] ids ? Arrays.stream(ids).boxed().toList() : List.of();
    }
    JsonNode value = get(field);
    List<Integer> ids = new ArrayList<>();
    if (value != null && value.isArray()) {
      for (JsonNode id : value) {
        ids.add(integer(field, id));
      }
    } else if (value != null) {
      ids.add(integer(field, value));
    }
    List<Integer> known = new ArrayList<>();
    for (int id : ids) {
      if (id >= 0) {
        known.add(id);
      }
    }
    return List.copyOf(known);
  }

  /** Refuses a flag that asks for what is not supported. */
  void refuse(String field, boolean unsupported) {
    if (flag(field, !unsupported) == unsupported) {
      throw unsupported(field, unsupported, String.valueOf(!unsupported));
    }
  }

  /** Refuses a field that is there at all. */
  void refuse(String field) {
    if (get(field) != null) {
      throw unsupported(field, get(field), "none");
    }
  }

  /** Returns the name that the file has for a field, or that it would have. */
  String name(String field) {
    List<String> names = profile.names(field);
    for (String name : names) {
      if (node.hasNonNull(name)) {
        return name;
      }
    }
    return names.get(0);
  }

  /** Returns an error that a field is needed. */
  CheckpointException missing(String field) {
    return new CheckpointException(source + " needs the field " + name(field));
  }

  /** Returns an error about a value that cannot be. */
  public CheckpointException wrong(String field, Object value, String must) {
    return new CheckpointException(
        source + ": " + name(field) + " is " + value + ", but must be " + must);
  }

  /** Returns an error about a value that is not supported. */
  public UnsupportedModelException unsupported(
      String field, @Nullable Object value, String supported) {
    return new UnsupportedModelException(
        source + ": " + name(field) + " " + value + " is not supported; supported: " + supported);
  }
}
