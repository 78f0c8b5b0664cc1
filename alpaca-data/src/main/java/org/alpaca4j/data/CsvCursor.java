package org.alpaca4j.data;

import de.siegmar.fastcsv.reader.AbstractBaseCsvCallbackHandler;
import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.FieldMismatchStrategy;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a CSV file as RFC 4180 has it, read by FastCSV: the first row names the columns, a
 * field in quotes may hold separators, line ends and doubled quotes. Lines end at LF, CR LF or CR;
 * blank lines are skipped.
 */
final class CsvCursor implements RecordCursor {

  /** No row is that long: a quote that is never closed, most likely. */
  private static final int MAX_ROW_CHARACTERS = 1 << 28;

  private final Path file;
  private final Row row = new Row();
  private final CsvReader<List<DataRecord.Field>> reader;
  private final Iterator<List<DataRecord.Field>> rows;
  private List<String> columns = List.of();
  private int index = -1;

  CsvCursor(Path file, InputStream in, char separator) throws IOException {
    this.file = file;
    this.reader =
        CsvReader.builder()
            .fieldSeparator(separator)
            .maxBufferSize(MAX_ROW_CHARACTERS)
            .allowUnclosedQuote(false)
            .extraFieldStrategy(FieldMismatchStrategy.IGNORE) // next() has the better words
            .missingFieldStrategy(FieldMismatchStrategy.IGNORE)
            .build(
                row,
                new InputStreamReader(
                    in,
                    StandardCharsets.UTF_8
                        .newDecoder()
                        .onMalformedInput(CodingErrorAction.REPORT)
                        .onUnmappableCharacter(CodingErrorAction.REPORT)));
    this.rows = reader.iterator();
    this.columns = columns();
    this.index = 0;
  }

  private List<String> columns() throws IOException {
    List<DataRecord.Field> header = row();
    if (header == null) {
      throw new DataException(file + ": is empty; expected a row that names the columns");
    }
    List<String> names = new ArrayList<>();
    for (int i = 0; i < header.size(); i++) {
      String name = String.valueOf(header.get(i).value);
      names.add(name.isEmpty() ? "column " + (i + 1) : name);
    }
    if (new HashSet<>(names).size() < names.size()) {
      throw DataRecord.error(file, 1, -1, null, "names a column twice: " + names);
    }
    return names;
  }

  @Override
  public @Nullable DataRecord next() throws IOException {
    List<DataRecord.Field> values = row();
    if (values == null) {
      return null;
    }
    int record = index++;
    int start = row.start;
    if (values.size() < columns.size()) {
      throw DataRecord.error(
          file,
          start,
          record,
          columns.get(values.size()),
          "is missing: the row has " + values.size() + " fields, the header " + columns.size());
    }
    if (values.size() > columns.size()) {
      throw DataRecord.error(
          file,
          start,
          record,
          null,
          "has " + values.size() + " fields, the header " + columns.size() + "; quote separators");
    }
    Map<String, DataRecord.Field> fields = new LinkedHashMap<>();
    for (int i = 0; i < columns.size(); i++) {
      fields.put(columns.get(i), values.get(i));
    }
    return new DataRecord(file, record, start, fields, columns);
  }

  private @Nullable List<DataRecord.Field> row() throws IOException {
    try {
      return rows.hasNext() ? rows.next() : null;
    } catch (UncheckedIOException e) {
      if (e.getCause() instanceof CharacterCodingException coding) {
        throw notUtf8(coding);
      }
      throw e.getCause();
    } catch (CsvParseException e) {
      for (Throwable cause = e; cause != null; cause = cause.getCause()) {
        if (cause instanceof CharacterCodingException coding) {
          throw notUtf8(coding);
        }
      }
      throw malformed(e);
    }
  }

  private DataException notUtf8(CharacterCodingException e) {
    return new DataException(
        DataRecord.place(file, row.line, index, null) + ", or soon after: is not UTF-8", e);
  }

  /** What the library says of it, without its words; rows after it cannot be told apart. */
  private DataException malformed(CsvParseException e) {
    String message = String.valueOf(e.getMessage()) + e.getCause();
    int column = row.fields.size();
    return new DataException(
        DataRecord.place(
                file, row.line, index, column < columns.size() ? columns.get(column) : null)
            + (message.contains("closing quote")
                ? ": has text after its closing quote; a quote within a field is written twice"
                : message.contains("EOF") || message.contains("end of file")
                    ? ": begins with a quote that is never closed"
                    : ": begins with a quote that is never closed, or is longer than "
                        + MAX_ROW_CHARACTERS
                        + " characters"),
        e);
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }

  /** Collects the fields of a row and counts the lines that they begin on. */
  private static final class Row extends AbstractBaseCsvCallbackHandler<List<DataRecord.Field>> {
    private List<DataRecord.Field> fields = new ArrayList<>();
    private int start = 1;
    private int line = 1;

    @Override
    protected void handleBegin(long startingLineNumber) {
      start = (int) startingLineNumber;
      line = start;
      fields = new ArrayList<>();
    }

    @Override
    protected void handleField(int field, char[] buffer, int offset, int length, boolean quoted) {
      fields.add(new DataRecord.Field(new String(buffer, offset, length), line));
      for (int i = offset; quoted && i < offset + length; i++) {
        if (buffer[i] == '\n'
            || buffer[i] == '\r' && (i + 1 == offset + length || buffer[i + 1] != '\n')) {
          line++;
        }
      }
    }

    @Override
    protected List<DataRecord.Field> buildRecord() {
      return fields;
    }
  }
}
