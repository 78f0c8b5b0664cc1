package org.alpaca4j.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.alpaca4j.core.internal.PythonFloat;
import org.jspecify.annotations.Nullable;

/**
 * A record of a file as it was read, and where it stood: its fields are plain Java values, not yet
 * understood as an instruction or a conversation. What reads them, such as {@link
 * InstructionReader}, is a function of it, and says by {@link #error} what it does not accept.
 *
 * <p>It remembers which of its fields were looked at, so that a dataset's report can name the
 * others. Values are strings, {@link Number}s, {@link Boolean}s, null, and {@link List}s and {@link
 * Map}s of them. Immutable as long as those are left unchanged.
 */
public final class DataRecord {

  /** A value, and the line it stands on, from 1; 0 where there are no lines. */
  static class Field {
    final @Nullable Object value;
    private final int line;
    private boolean read;

    Field(@Nullable Object value, int line) {
      this.value = value;
      this.line = line;
    }

    /** Returns the value; one that cannot be given is an error of that name in that record. */
    @Nullable Object value(DataRecord record, String name) {
      return value;
    }
  }

  private final Path file;
  private final int index;
  private final int line;
  private final Map<String, Field> fields;
  private final @Nullable List<String> columns;
  private @Nullable Set<String> ignoredParts;

  /**
   * Takes the fields as they are.
   *
   * @param line where the record begins, from 1; 0 where there are no lines
   * @param columns the file's columns if it has such: a field that is none of them is missing in
   *     the file, not in this record
   */
  DataRecord(
      Path file, int index, int line, Map<String, Field> fields, @Nullable List<String> columns) {
    this.file = file;
    this.index = index;
    this.line = line;
    this.fields = fields;
    this.columns = columns;
  }

  /** Returns the file that the record is from. */
  public Path file() {
    return file;
  }

  /** Returns the record's index in the file, from 0. */
  public int index() {
    return index;
  }

  /** Returns the line on which the record begins, from 1; 0 where there are no lines. */
  public int line() {
    return line;
  }

  /** Returns the names of the fields, in the order of the file. */
  public Set<String> names() {
    return fields.keySet();
  }

  /** Returns the value of a field; null if it is null or missing. */
  public @Nullable Object value(String field) {
    Objects.requireNonNull(field, "field is null");
    Field found = fields.get(field);
    if (found == null) {
      return null;
    }
    found.read = true;
    return found.value(this, field);
  }

  /** Returns the fields by name, in the order of the file. */
  public Map<String, @Nullable Object> toMap() {
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    fields.keySet().forEach(name -> map.put(name, value(name)));
    return map;
  }

  /** Says that a part of a field has no meaning, such as {@code conversations[].id}. */
  void ignore(String part) {
    if (ignoredParts == null) {
      ignoredParts = new LinkedHashSet<>();
    }
    ignoredParts.add(part);
  }

  /** Adds the names of the fields that nobody looked at. */
  void addUnusedFields(Set<String> names) {
    fields.forEach(
        (name, field) -> {
          if (!field.read) {
            names.add(name);
          }
        });
    if (ignoredParts != null) {
      names.addAll(ignoredParts);
    }
  }

  /**
   * Returns a field that must be a text.
   *
   * @throws DataException if it is missing, null or of another type
   */
  public String text(String field) {
    Objects.requireNonNull(field, "field is null");
    Object value = value(field);
    if (value instanceof String text) {
      return text;
    }
    throw expected("a string", field, value);
  }

  /**
   * Returns a field that must be a text, a number or a boolean, the latter two as Python prints
   * them: Stanford Alpaca's train.py puts any value into its prompts, 42 as {@code 42}, true as
   * {@code True}.
   *
   * @throws DataException if it is missing, null or of another type
   */
  String printed(String field) {
    Object value = value(field);
    if (value instanceof String text) {
      return text;
    }
    if (value instanceof Boolean truth) {
      return truth ? "True" : "False";
    }
    if (value instanceof Double || value instanceof Float) {
      return PythonFloat.repr(((Number) value).doubleValue());
    }
    if (value instanceof Number) {
      return value.toString();
    }
    throw expected("a string", field, value);
  }

  /**
   * Returns a field that may be a text; the empty string if it is missing or null.
   *
   * @throws DataException if it is of another type
   */
  public String textOrEmpty(String field) {
    Objects.requireNonNull(field, "field is null");
    return value(field) == null ? "" : text(field);
  }

  /**
   * Returns a field that must be a list.
   *
   * @throws DataException if it is missing, null or of another type
   */
  public List<?> list(String field) {
    Objects.requireNonNull(field, "field is null");
    Object value = value(field);
    if (value instanceof List<?> list) {
      return list;
    }
    throw expected("an array", field, value);
  }

  /**
   * Returns a field that must be an object, by the names of its own fields.
   *
   * @throws DataException if it is missing, null or of another type
   */
  public Map<String, @Nullable Object> object(String field) {
    Objects.requireNonNull(field, "field is null");
    Object value = value(field);
    if (value instanceof Map<?, ?> map) {
      Map<String, @Nullable Object> parts = new LinkedHashMap<>();
      map.forEach((name, part) -> parts.put((String) name, part));
      return parts;
    }
    throw expected("an object", field, value);
  }

  /**
   * Returns the error that a field of this record cannot be used.
   *
   * @param field its name, or the path of a part of it such as {@code messages[1].content}
   * @param problem what was found, and the way out
   */
  public DataException error(String field, String problem) {
    Objects.requireNonNull(field, "field is null");
    Objects.requireNonNull(problem, "problem is null");
    Field found = fields.get(field);
    for (int end = field.length() - 1; found == null && end > 0; end--) {
      if (field.charAt(end) == '.' || field.charAt(end) == '[') {
        found = fields.get(field.substring(0, end));
      }
    }
    return error(file, found == null ? line : found.line, index, field, problem);
  }

  private DataException expected(String type, String field, @Nullable Object found) {
    if (fields.containsKey(field)) {
      return error(field, "expected " + type + ", found " + kind(found));
    }
    if (columns != null) {
      return error(
          file,
          line == 0 ? 0 : 1,
          -1,
          field,
          "there is no such column; the columns are " + String.join(", ", columns));
    }
    return error(field, "is missing");
  }

  static DataException error(
      Path file, int line, int index, @Nullable String field, String problem) {
    return error(file, line, index, field, problem, null);
  }

  /**
   * Returns an error: of a record that could be left out, where the record is known.
   *
   * @param line 0 if it is not known
   * @param index −1 if the file is at fault, not one of its records
   */
  static DataException error(
      Path file,
      int line,
      int index,
      @Nullable String field,
      String problem,
      @Nullable Throwable cause) {
    String reason = field == null ? problem : "field \"" + field + "\": " + problem;
    if (index >= 0) {
      return new RecordException(new BadRecord(file.toString(), line, index, reason), cause);
    }
    String message = place(file, line, index, field) + ": " + problem;
    return cause == null ? new DataException(message) : new DataException(message, cause);
  }

  /** What a message calls a place; a line of 0, an index of −1 and no field are not known. */
  static String place(Path file, int line, int index, @Nullable String field) {
    List<String> parts = new ArrayList<>();
    parts.add(file.toString());
    if (line > 0) {
      parts.add("line " + line);
    }
    if (index >= 0) {
      parts.add("record " + index);
    }
    if (field != null) {
      parts.add("field \"" + field + "\"");
    }
    return String.join(", ", parts);
  }

  /** What a message calls a value. */
  static String kind(@Nullable Object value) {
    if (value == null) {
      return "null";
    }
    if (value instanceof String) {
      return "a string";
    }
    if (value instanceof Number) {
      return "the number " + value;
    }
    if (value instanceof Boolean) {
      return "the boolean " + value;
    }
    return value instanceof List ? "an array" : "an object";
  }

  @Override
  public String toString() {
    return "DataRecord[" + place(file, line, index, null) + ": " + names() + "]";
  }
}
