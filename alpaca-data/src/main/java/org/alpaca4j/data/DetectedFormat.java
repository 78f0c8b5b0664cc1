package org.alpaca4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * What format a data file seems to have, and why. The contents decide; a name that says something
 * else is an error and no guess, since one of the two is a mistake. Only a {@code .json} file may
 * hold JSON lines as well as an array, as many do.
 *
 * @param format how the file holds its records
 * @param layout what the fields of its first record are
 * @param explanation what was seen, as one sentence for people
 */
public record DetectedFormat(DataFormat format, RecordLayout layout, String explanation) {

  /** How much of the beginning is looked at. */
  private static final int HEAD_BYTES = 1 << 16;

  private static final byte[] PARQUET_MAGIC = {'P', 'A', 'R', '1'};

  /**
   * Looks at the beginning of a file and at its first record that can be read.
   *
   * @throws DataException if format or layout cannot be told, saying what was seen and what to call
   *     instead; or if no record can be read
   */
  public static DetectedFormat of(Path file) {
    Objects.requireNonNull(file, "file is null");
    DataFormat format = formatOf(file);
    DataRecord first = firstRecord(file, format);
    RecordLayout layout = layoutOf(file, first);
    return new DetectedFormat(
        format,
        layout,
        file
            + " holds "
            + format.words()
            + " by its first characters, and its first record has the fields "
            + String.join(", ", first.names())
            + ", those of "
            + layout.words());
  }

  /** Returns the first record that can be read: what becomes of those before it is not ours. */
  private static DataRecord firstRecord(Path file, DataFormat format) {
    ReadingLog log = new ReadingLog(new OnBadRecord(1));
    try (Stream<DataRecord> records = ReportingSource.open(DataFile.of(file, format), log)) {
      Iterator<DataRecord> iterator = records.iterator();
      if (iterator.hasNext()) {
        return iterator.next();
      }
    }
    throw new DataException(
        file + ": no record can be read; the first: " + log.badRecords().get(0).reason());
  }

  /** Returns the format alone, without reading a record. */
  static DataFormat formatOf(Path file) {
    byte[] head;
    try {
      DataInput.requireFile(file);
      if (startsWithMagic(file)) {
        return DataFormat.PARQUET;
      }
      if (DataInput.unpackedName(file).endsWith(".parquet")) {
        throw new DataException(
            file + ": is named .parquet, but does not begin with PAR1 as Parquet files do");
      }
      try (InputStream in = DataInput.open(file)) {
        head = in.readNBytes(HEAD_BYTES);
      }
    } catch (IOException e) {
      throw new DataException(file + ": cannot be read: " + e.getMessage(), e);
    }
    return formatOf(file, head);
  }

  private static DataFormat formatOf(Path file, byte[] head) {
    String name = DataInput.unpackedName(file);
    int dot = name.lastIndexOf('.');
    String extension = dot < 0 ? "" : name.substring(dot + 1);
    int at = 0;
    int line = 1;
    while (at < head.length && isBlank(head[at])) {
      if (head[at++] == '\n') {
        line++;
      }
    }
    char first = at < head.length ? (char) head[at] : ' ';
    switch (extension) {
      case "csv":
        if (first == '[' || first == '{') {
          throw mismatch(file, line, "CSV", first == '[' ? DataFormat.JSON : DataFormat.JSONL);
        }
        return DataFormat.CSV;
      case "json":
        if (first == '{') {
          return linesInJson(file, head, at, line);
        }
        return DataFormat.JSON;
      case "jsonl", "ndjson":
        if (first == '[') {
          throw mismatch(file, line, "JSON lines", DataFormat.JSON);
        }
        return DataFormat.JSONL;
      default:
        if (first == '[') {
          return DataFormat.JSON;
        }
        if (first == '{') {
          return DataFormat.JSONL;
        }
        throw DataRecord.error(
            file,
            line,
            -1,
            null,
            "begins with \""
                + new String(head, at, Math.min(16, head.length - at), StandardCharsets.UTF_8)
                + "\", which is neither a JSON array ([), JSON lines ({) nor Parquet (PAR1), and"
                + " its name does not say CSV; say what it is by json(...), jsonl(...), csv(...)"
                + " or parquet(...)");
    }
  }

  private static DataException mismatch(Path file, int line, String named, DataFormat found) {
    return DataRecord.error(
        file,
        line,
        -1,
        null,
        "is named as "
            + named
            + ", but begins like "
            + found.words()
            + "; rename it, or say what it is by "
            + found.method());
  }

  /**
   * JSON lines are often in files called .json: then the first line is an object from its beginning
   * to its end, while one object over several lines is no data.
   */
  private static DataFormat linesInJson(Path file, byte[] head, int at, int line) {
    int end = at;
    while (end < head.length && head[end] != '\n') {
      end++;
    }
    boolean whole = end < head.length || head.length < HEAD_BYTES;
    while (isBlank(head[end - 1])) {
      end--;
    }
    if (!whole || head[end - 1] == '}') {
      return DataFormat.JSONL;
    }
    throw DataRecord.error(
        file,
        line,
        -1,
        null,
        "begins with an object that does not end on its line; expected a JSON array of records, or"
            + " one object per line");
  }

  private static boolean startsWithMagic(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return Arrays.equals(in.readNBytes(4), PARQUET_MAGIC);
    }
  }

  private static boolean isBlank(byte b) {
    return b == ' ' || b == '\t' || b == '\r' || b == '\n';
  }

  private static RecordLayout layoutOf(Path file, DataRecord first) {
    List<RecordLayout> fitting = new ArrayList<>();
    List<String> known = new ArrayList<>();
    for (RecordLayout layout : RecordLayout.values()) {
      known.add(layout.words() + " (" + String.join(", ", layout.fields()) + ")");
      if (first.names().containsAll(layout.fields())) {
        fitting.add(layout);
      }
    }
    if (fitting.size() == 1) {
      return fitting.get(0);
    }
    String fields = String.join(", ", first.names());
    throw new DataException(
        file
            + ": the first record has the fields "
            + fields
            + (fitting.isEmpty()
                ? ", which are those of none of " + String.join("; ", known)
                : ", which are those of "
                    + String.join(" and of ", fitting.stream().map(RecordLayout::words).toList()))
            + "; say what they mean: source(DataFile.detect(...).map(...)) with "
            + String.join(
                ", ",
                (fitting.isEmpty() ? List.of(RecordLayout.values()) : fitting)
                    .stream().map(RecordLayout::reader).distinct().toList()));
  }
}
