package org.alpaca4j.data;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.internal.JsonProblem;
import org.jspecify.annotations.Nullable;

/**
 * Reads one JSON object of a file into a {@link DataRecord}, token by token: strict JSON, no field
 * twice, no lone surrogates; every error names line, record and field.
 */
final class JsonObjectParser {

  /** Deeper than any record; recursion stays within the stack. */
  private static final int MAX_DEPTH = 200;

  static final JsonFactory JSON =
      new JsonFactoryBuilder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(MAX_DEPTH)
                  .maxStringLength(Integer.MAX_VALUE)
                  .build())
          .build();

  private final Path file;
  private final JsonParser parser;
  private final int fixedLine;

  /** The current record's fields whose values were read. */
  private Map<String, DataRecord.Field> fields = Map.of();

  /**
   * Reads from a parser.
   *
   * @param fixedLine the line that all is on, or 0: the parser counts them
   */
  JsonObjectParser(Path file, JsonParser parser, int fixedLine) {
    this.file = file;
    this.parser = parser;
    this.fixedLine = fixedLine;
  }

  /** Moves on to the next token, a value or an end. */
  @Nullable JsonToken next(int index) throws IOException {
    fields = Map.of();
    try {
      return parser.nextToken();
    } catch (JsonProcessingException e) {
      throw unreadable(e, index);
    }
  }

  /** Returns the object that the current token begins; the parser is then at its end. */
  DataRecord object(int index) throws IOException {
    int start = line();
    fields = Map.of();
    try {
      if (parser.currentToken() != JsonToken.START_OBJECT) {
        Object other = value(index);
        throw DataRecord.error(
            file, start, index, null, "expected an object, found " + DataRecord.kind(other));
      }
      fields = new LinkedHashMap<>();
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String name = parser.currentName();
        if (fields.containsKey(name)) {
          throw twice(index);
        }
        parser.nextToken();
        int line = line();
        fields.put(name, new DataRecord.Field(value(index), line));
      }
      return new DataRecord(file, index, start, fields, null);
    } catch (JsonProcessingException e) {
      throw unreadable(e, index);
    }
  }

  private @Nullable Object value(int index) throws IOException {
    JsonToken token = parser.currentToken();
    return switch (token) {
      case START_OBJECT -> {
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String name = parser.currentName();
          if (map.containsKey(name)) {
            throw twice(index);
          }
          parser.nextToken();
          map.put(name, value(index));
        }
        yield map;
      }
      case START_ARRAY -> {
        List<@Nullable Object> list = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          list.add(value(index));
        }
        yield list;
      }
      case VALUE_STRING -> {
        String text = parser.getText();
        if (hasLoneSurrogate(text)) {
          throw DataRecord.error(
              file,
              line(),
              index,
              path(),
              "holds half of a surrogate pair (a \\uD8.. or \\uDC.. alone), which is no character");
        }
        yield text;
      }
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> parser.getNumberValue();
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      default -> null;
    };
  }

  private DataException twice(int index) {
    return DataRecord.error(file, line(), index, path(), "stands twice in one object");
  }

  private int line() {
    return fixedLine > 0 ? fixedLine : parser.currentTokenLocation().getLineNr();
  }

  DataException unreadable(JsonProcessingException e, int index) {
    JsonLocation location = e.getLocation() != null ? e.getLocation() : parser.currentLocation();
    int line = fixedLine > 0 ? fixedLine : location.getLineNr();
    boolean encoding = String.valueOf(e.getOriginalMessage()).startsWith("Invalid UTF-8");
    return DataRecord.error(
        file,
        line,
        index,
        unfinishedField(),
        encoding
            ? "is not UTF-8; convert it to UTF-8"
            : "not readable as JSON: " + JsonProblem.describe(e),
        e);
  }

  /**
   * Returns the value of a JSON text inside a record.
   *
   * @param place where the text stands, such as {@code tools}
   * @throws DataException if it is no JSON
   */
  static @Nullable Object valueOf(DataRecord from, String place, String text) {
    try (JsonParser parser = JSON.createParser(text)) {
      if (parser.nextToken() == null) {
        throw from.error(place, "is empty, expected a JSON text");
      }
      Object value = new JsonObjectParser(from.file(), parser, from.line()).value(from.index());
      if (parser.nextToken() != null) {
        throw from.error(place, "is a JSON text with more text after its value");
      }
      return value;
    } catch (JsonProcessingException e) {
      throw from.error(place, "is not readable as JSON text: " + JsonProblem.describe(e));
    } catch (IOException e) {
      throw new UncheckedIOException(e); // in memory: cannot happen
    }
  }

  /** The field whose name was read, but not its value; null between fields. */
  private @Nullable String unfinishedField() {
    String path = path();
    return path == null || fields.containsKey(path) ? null : path;
  }

  /** Where the parser is within the record, such as {@code messages[1].content}. */
  private @Nullable String path() {
    return JsonProblem.path(parser.getParsingContext());
  }

  private static boolean hasLoneSurrogate(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isSurrogate(c)) {
        if (Character.isLowSurrogate(c)
            || i + 1 == text.length()
            || !Character.isLowSurrogate(text.charAt(i + 1))) {
          return true;
        }
        i++;
      }
    }
    return false;
  }
}
