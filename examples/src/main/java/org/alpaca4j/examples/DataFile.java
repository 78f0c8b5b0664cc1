package org.alpaca4j.examples;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.alpaca4j.data.DataException;

/** What a data file holds: its name does not always say. */
final class DataFile {
  private static final int BYTE_ORDER_MARK = 0xEF;

  private DataFile() {}

  /**
   * Returns whether a file is one JSON array, and not JSON lines: by its first character.
   *
   * @throws DataException if the file cannot be read
   */
  static boolean isArray(Path file) {
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
