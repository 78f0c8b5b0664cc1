package org.alpaca4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a CSV file as RFC 4180 has it: the first row names the columns, a field in quotes may
 * hold separators, line ends and doubled quotes. Lines may end in LF or CR LF; blank lines are
 * skipped.
 */
final class CsvCursor implements RecordCursor {

  private static final int END = -1;

  private final Path file;
  private final Reader in;
  private final char separator;
  private final List<String> columns = new ArrayList<>();

  private final char[] buffer = new char[1 << 14];
  private int position;
  private int filled;
  private int line = 1;
  private int index = -1;

  CsvCursor(Path file, InputStream in, char separator) throws IOException {
    this.file = file;
    this.separator = separator;
    this.in =
        new InputStreamReader(
            in,
            StandardCharsets.UTF_8
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT));
    List<DataRecord.Field> header = row();
    if (header == null) {
      throw new DataException(file + ": is empty; expected a row that names the columns");
    }
    for (DataRecord.Field name : header) {
      columns.add(String.valueOf(name.value()));
    }
    if (new HashSet<>(columns).size() < columns.size()) {
      throw DataRecord.error(file, 1, -1, null, "names a column twice: " + columns);
    }
    index = 0;
  }

  @Override
  public @Nullable DataRecord next() throws IOException {
    List<DataRecord.Field> row = row();
    if (row == null) {
      return null;
    }
    int start = row.get(0).line();
    if (row.size() < columns.size()) {
      throw DataRecord.error(
          file,
          start,
          index,
          columns.get(row.size()),
          "is missing: the row has " + row.size() + " fields, the header " + columns.size());
    }
    if (row.size() > columns.size()) {
      throw DataRecord.error(
          file,
          start,
          index,
          null,
          "has " + row.size() + " fields, the header " + columns.size() + "; quote separators");
    }
    Map<String, DataRecord.Field> fields = new LinkedHashMap<>();
    for (int i = 0; i < columns.size(); i++) {
      fields.put(columns.get(i), row.get(i));
    }
    return new DataRecord(file, index++, start, fields, columns);
  }

  private @Nullable List<DataRecord.Field> row() throws IOException {
    int first = read();
    while (first == '\n' || first == '\r') {
      first = read();
    }
    if (first == END) {
      return null;
    }
    List<DataRecord.Field> row = new ArrayList<>();
    StringBuilder text = new StringBuilder();
    int c = first;
    while (true) {
      int start = c == '\n' ? line - 1 : line;
      text.setLength(0);
      if (c == '"') {
        c = quoted(text, start, row.size());
      } else {
        while (c != separator && c != '\n' && c != END) {
          text.append((char) c);
          c = read();
        }
        if (c != separator && text.length() > 0 && text.charAt(text.length() - 1) == '\r') {
          text.setLength(text.length() - 1);
        }
      }
      row.add(new DataRecord.Field(text.toString(), start));
      if (c != separator) {
        return row;
      }
      c = read();
    }
  }

  /** Reads on after an opening quote; returns the separator, line feed or end after the field. */
  private int quoted(StringBuilder text, int start, int column) throws IOException {
    while (true) {
      int c = read();
      if (c == END) {
        throw DataRecord.error(
            file, start, index, name(column), "begins with a quote that is never closed");
      }
      if (c != '"') {
        text.append((char) c);
        continue;
      }
      int after = read();
      if (after == '"') {
        text.append('"');
        continue;
      }
      if (after == '\r') {
        after = read();
      }
      if (after != separator && after != '\n' && after != END) {
        throw DataRecord.error(
            file,
            line,
            index,
            name(column),
            "has text after its closing quote; a quote within a field is written twice");
      }
      return after;
    }
  }

  private @Nullable String name(int column) {
    return column < columns.size() ? columns.get(column) : null;
  }

  private int read() throws IOException {
    if (position == filled) {
      try {
        filled = in.read(buffer);
      } catch (CharacterCodingException e) {
        throw new DataException(
            DataRecord.place(file, line, index, null) + ", or soon after: is not UTF-8", e);
      }
      position = 0;
      if (filled < 0) {
        filled = 0;
        return END;
      }
    }
    char c = buffer[position++];
    if (c == '\n') {
      line++;
    }
    return c;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
