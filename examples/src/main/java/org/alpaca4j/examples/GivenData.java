package org.alpaca4j.examples;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.alpaca4j.data.DataException;
import org.alpaca4j.data.DataFile;
import org.alpaca4j.data.DataRecord;
import org.alpaca4j.data.RecordSource;

/** Data files as they are given on a command line. */
final class GivenData {
  private static final int BYTE_ORDER_MARK = 0xEF;

  private GivenData() {}

  /**
   * Returns the records of a file in any format that the library knows. Where the name says JSON,
   * the first character alone tells an array from lines: the library takes a name that does not fit
   * for a mistake, but published data are often named {@code .json} whatever they hold, and nobody
   * can call another method from a command line.
   *
   * @throws DataException if the file cannot be read, or its format not be told
   */
  static RecordSource<DataRecord> records(Path file) {
    String name = file.toString().toLowerCase(Locale.ROOT);
    if (name.endsWith(".json") || name.endsWith(".jsonl")) {
      return isArray(file) ? DataFile.json(file) : DataFile.jsonl(file);
    }
    return DataFile.detect(file);
  }

  private static boolean isArray(Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      int first = in.read();
      if (first == BYTE_ORDER_MARK) {
        in.skipNBytes(2);
        first = in.read();
      }
      while (first == ' ' || first == '\t' || first == '\r' || first == '\n') {
        first = in.read();
      }
      return first == '[';
    } catch (IOException e) {
      throw new DataException(file + ": cannot be read: " + e, e);
    }
  }
}
