package org.alpaca4j.data;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The objects of a file with one per line. LF alone ends a line: other line separators may stand
 * raw inside a JSON string. Blank lines count for nothing.
 */
final class JsonLinesCursor implements RecordCursor {

  /** No record is that long: a file of another format, most likely. */
  private static final int MAX_LINE_BYTES = 1 << 28;

  private final Path file;
  private final InputStream in;
  private byte[] buffer = new byte[1 << 16];
  private int start;
  private int end;
  private int line;
  private int index;

  JsonLinesCursor(Path file, InputStream in) {
    this.file = file;
    this.in = in;
  }

  @Override
  public @Nullable DataRecord next() throws IOException {
    while (true) {
      int lineEnd = lineEnd();
      if (lineEnd < 0) {
        return null;
      }
      int from = start;
      start = Math.min(lineEnd + 1, end);
      line++;
      while (from < lineEnd && isBlank(buffer[from])) {
        from++;
      }
      if (from < lineEnd) {
        return object(from, lineEnd - from);
      }
    }
  }

  private DataRecord object(int offset, int length) throws IOException {
    int record = index++;
    if (record == 0 && buffer[offset] == '[') {
      throw DataRecord.error(
          file,
          line,
          -1,
          null,
          "expected an object, found an array; a file with one JSON array is read with json(...)");
    }
    // Jackson would take this for UTF-16.
    for (int i = 0; i < Math.min(length, 4); i++) {
      if (buffer[offset + i] == 0) {
        throw DataRecord.error(file, line, record, null, "is not UTF-8: holds a zero byte");
      }
    }
    try (JsonParser parser = JsonObjectParser.JSON.createParser(buffer, offset, length)) {
      JsonObjectParser objects = new JsonObjectParser(file, parser, line);
      objects.next(record);
      DataRecord read = objects.object(record);
      JsonToken after = objects.next(record);
      if (after != null) {
        throw DataRecord.error(
            file, line, record, null, "not readable as JSON: more text after the object");
      }
      return read;
    }
  }

  /** Returns where the line at start ends, after reading as much as that needs; −1 at the end. */
  private int lineEnd() throws IOException {
    int searched = start;
    while (true) {
      for (int i = searched; i < end; i++) {
        if (buffer[i] == '\n') {
          return i;
        }
      }
      searched = end - start;
      if (start > 0) {
        System.arraycopy(buffer, start, buffer, 0, searched);
        end = searched;
        start = 0;
      } else if (end == buffer.length) {
        if (end >= MAX_LINE_BYTES) {
          throw DataRecord.error(
              file, line + 1, -1, null, "is longer than " + MAX_LINE_BYTES + " bytes");
        }
        buffer = Arrays.copyOf(buffer, 2 * end);
      }
      int read = in.read(buffer, end, buffer.length - end);
      if (read < 0) {
        return end > 0 ? end : -1;
      }
      end += read;
    }
  }

  private static boolean isBlank(byte b) {
    return b == ' ' || b == '\t' || b == '\r';
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
