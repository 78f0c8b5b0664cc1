package org.alpaca4j.data;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;

/**
 * The JSON objects of a file, one at a time: the elements of one JSON array, or one object per
 * line. Every error names file, line and record.
 */
final class JsonRecords implements Iterator<JsonRecords.Located>, Closeable {

  private static final ObjectMapper JSON = new ObjectMapper(new JsonFactory());

  /** For a text that must be one object and nothing more. */
  private static final ObjectMapper WHOLE_TEXT =
      new ObjectMapper(new JsonFactory()).enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  /** An object and where it stood. */
  record Located(Path file, int line, int index, JsonNode object) {

    DataException error(String field, String problem) {
      return new DataException(place(file, line, index) + ", field \"" + field + "\": " + problem);
    }

    /** Returns a text field; an absent or null optional one is the empty string. */
    String text(String field, boolean optional) {
      JsonNode value = object.get(field);
      if (value == null) {
        if (optional) {
          return "";
        }
        throw error(field, "is missing");
      }
      if (value.isNull() && optional) {
        return "";
      }
      if (!value.isTextual()) {
        throw error(field, "expected a string, found " + kind(value));
      }
      return value.textValue();
    }
  }

  private interface Source {
    @Nullable Located next() throws IOException;
  }

  private final Source source;
  private final Closeable resource;
  private final Path file;
  private @Nullable Located next;
  private boolean fetched;

  private JsonRecords(Path file, Source source, Closeable resource) {
    this.file = file;
    this.source = source;
    this.resource = resource;
  }

  /** Opens a file that holds one JSON array of objects; reads it as a stream. */
  static JsonRecords array(Path file) {
    try {
      InputStream in = withoutByteOrderMark(open(file));
      JsonParser parser = JSON.getFactory().createParser(in);
      return new JsonRecords(file, new ArraySource(file, parser), parser);
    } catch (IOException e) {
      throw new DataException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  /** Opens a file of JSON lines: LF ends a line, blank lines count for nothing. */
  static JsonRecords lines(Path file) {
    try {
      InputStream in = withoutByteOrderMark(open(file));
      return new JsonRecords(file, new LineSource(file, in), in);
    } catch (IOException e) {
      throw new DataException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  private static InputStream open(Path file) throws IOException {
    if (!Files.exists(file)) {
      throw new DataException(file + ": does not exist");
    }
    if (Files.isDirectory(file)) {
      throw new DataException(file + ": is a folder, expected a file");
    }
    return new BufferedInputStream(Files.newInputStream(file), 1 << 16);
  }

  private static InputStream withoutByteOrderMark(InputStream in) throws IOException {
    in.mark(3);
    if (in.read() != 0xEF || in.read() != 0xBB || in.read() != 0xBF) {
      in.reset();
    }
    return in;
  }

  @Override
  public boolean hasNext() {
    if (!fetched) {
      try {
        next = source.next();
      } catch (IOException e) {
        throw new DataException(file + ": cannot be read: " + e.getMessage(), e);
      }
      fetched = true;
    }
    return next != null;
  }

  @Override
  public Located next() {
    if (!hasNext() || next == null) {
      throw new NoSuchElementException();
    }
    fetched = false;
    return next;
  }

  @Override
  public void close() {
    try {
      resource.close();
    } catch (IOException e) {
      throw new DataException(file + ": cannot be closed: " + e.getMessage(), e);
    }
  }

  static String place(Path file, int line, int index) {
    return file + ", line " + line + ", record " + index;
  }

  static String kind(JsonNode value) {
    return switch (value.getNodeType()) {
      case ARRAY -> "an array";
      case OBJECT -> "an object";
      case BOOLEAN -> "the boolean " + value;
      case NUMBER -> "the number " + value;
      case NULL -> "null";
      case STRING -> "a string";
      default -> value.getNodeType().toString();
    };
  }

  private static Located located(Path file, int line, int index, JsonNode node) {
    if (!node.isObject()) {
      throw new DataException(
          place(file, line, index) + ": expected an object, found " + kind(node));
    }
    return new Located(file, line, index, node);
  }

  private static final class ArraySource implements Source {
    private final Path file;
    private final JsonParser parser;
    private int index = -1;
    private boolean ended;

    ArraySource(Path file, JsonParser parser) {
      this.file = file;
      this.parser = parser;
    }

    @Override
    public @Nullable Located next() throws IOException {
      if (ended) {
        return null;
      }
      try {
        if (index < 0) {
          JsonToken first = parser.nextToken();
          if (first == null) {
            throw new DataException(file + ": is empty; expected a JSON array of records");
          }
          if (first != JsonToken.START_ARRAY) {
            throw new DataException(
                file
                    + ": expected a JSON array of records, found "
                    + (first == JsonToken.START_OBJECT
                        ? "an object; a file with one object per line is read with jsonl(...)"
                        : first.asString() == null ? "a " + first : first.asString()));
          }
          index = 0;
        }
        JsonToken token = parser.nextToken();
        if (token == JsonToken.END_ARRAY) {
          ended = true;
          if (parser.nextToken() != null) {
            throw new DataException(
                file
                    + ", line "
                    + parser.currentTokenLocation().getLineNr()
                    + ": text after the end of the array");
          }
          return null;
        }
        int line = parser.currentTokenLocation().getLineNr();
        JsonNode node = JSON.readTree(parser);
        return located(file, line, index++, node);
      } catch (JsonProcessingException e) {
        int line = e.getLocation() == null ? -1 : e.getLocation().getLineNr();
        throw new DataException(
            place(file, line, Math.max(index, 0))
                + ": not readable as JSON: "
                + e.getOriginalMessage(),
            e);
      }
    }
  }

  private static final class LineSource implements Source {
    private final Path file;
    private final InputStream in;
    private final ByteArrayOutputStream buffer = new ByteArrayOutputStream(4096);
    private int line;
    private int index;

    LineSource(Path file, InputStream in) {
      this.file = file;
      this.in = in;
    }

    @Override
    public @Nullable Located next() throws IOException {
      while (true) {
        byte[] bytes = readLine();
        if (bytes == null) {
          return null;
        }
        line++;
        String text = decode(bytes);
        if (text.isBlank()) {
          continue;
        }
        JsonNode node;
        try {
          node = WHOLE_TEXT.readTree(text);
        } catch (JsonProcessingException e) {
          throw new DataException(
              place(file, line, index)
                  + ": not readable as JSON: "
                  + e.getOriginalMessage()
                  + (index == 0 && text.startsWith("[")
                      ? "; a file with one JSON array is read with json(...)"
                      : ""),
              e);
        }
        return located(file, line, index++, node);
      }
    }

    // LF alone ends a line: other line separators may stand raw inside a JSON string.
    private byte @Nullable [] readLine() throws IOException {
      buffer.reset();
      int b = in.read();
      if (b < 0) {
        return null;
      }
      while (b >= 0 && b != '\n') {
        buffer.write(b);
        b = in.read();
      }
      return buffer.toByteArray();
    }

    private String decode(byte[] bytes) {
      try {
        return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      } catch (CharacterCodingException e) {
        throw new DataException(place(file, line, index) + ": is not UTF-8", e);
      }
    }
  }
}
