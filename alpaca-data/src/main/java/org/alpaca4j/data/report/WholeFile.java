package org.alpaca4j.data.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.alpaca4j.data.DataException;

/** Writes a text file whole or not at all. */
final class WholeFile {
  private WholeFile() {}

  static void write(Path file, String text) {
    Path target = file.toAbsolutePath();
    Path folder = target.getParent();
    try {
      if (folder == null) {
        throw new IOException("is a folder");
      }
      Files.createDirectories(folder);
      Path temporary = Files.createTempFile(folder, "." + target.getFileName(), ".tmp");
      try {
        Files.writeString(temporary, text);
        Files.move(
            temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } finally {
        Files.deleteIfExists(temporary);
      }
    } catch (IOException e) {
      throw new DataException(file + ": cannot be written: " + e, e);
    }
  }
}
