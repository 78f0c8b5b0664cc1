package org.alpaca4j.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * Reads instruction data: objects with the string fields {@code instruction}, {@code output} and,
 * optionally, {@code input} (absent, null and empty are the same). Other fields are ignored.
 */
public final class InstructionReader {

  private InstructionReader() {}

  /**
   * Reads a file that holds one JSON array of records, as {@code alpaca_data.json} does.
   *
   * @throws DataException if the file is not such an array, naming line, record and field
   */
  public static List<InstructionRecord> readJson(Path file) {
    try (JsonRecords records = JsonRecords.array(file)) {
      return readAll(records);
    }
  }

  /**
   * Reads a file with one record per line. Lines end at LF (a CR before it is allowed); blank lines
   * and a byte order mark are skipped.
   *
   * @throws DataException if a line is not such a record, naming line, record and field
   */
  public static List<InstructionRecord> readJsonl(Path file) {
    try (JsonRecords records = JsonRecords.lines(file)) {
      return readAll(records);
    }
  }

  private static List<InstructionRecord> readAll(JsonRecords records) {
    List<InstructionRecord> all = new ArrayList<>();
    toRecords(records).forEachRemaining(all::add);
    return all;
  }

  static Iterator<InstructionRecord> toRecords(JsonRecords records) {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return records.hasNext();
      }

      @Override
      public InstructionRecord next() {
        JsonRecords.Located located = records.next();
        return new InstructionRecord(
            located.text("instruction", false),
            located.text("input", true),
            located.text("output", false));
      }
    };
  }
}
