package org.alpaca4j.examples;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Collectors;
import org.alpaca4j.data.DataException;

/** Writes a file of numbers, one JSON object a line; a line is on disk once it is written. */
final class JsonLines implements AutoCloseable {
  private final Path file;
  private final BufferedWriter writer;

  private JsonLines(Path file, BufferedWriter writer) {
    this.file = file;
    this.writer = writer;
  }

  /**
   * Opens a file, emptying it if it exists; missing folders are made.
   *
   * @throws DataException if it cannot be written
   */
  static JsonLines create(Path file) {
    try {
      Path folder = file.toAbsolutePath().getParent();
      if (folder != null) {
        Files.createDirectories(folder);
      }
      return new JsonLines(file, Files.newBufferedWriter(file));
    } catch (IOException e) {
      throw new DataException(file + ": cannot be written: " + e, e);
    }
  }

  /** Writes a line with these fields, in the map's order. */
  void write(Map<String, ? extends Number> fields) {
    try {
      writer.write(toJson(fields));
      writer.write('\n');
      writer.flush();
    } catch (IOException e) {
      throw new DataException(file + ": cannot be written: " + e, e);
    }
  }

  /** Returns one JSON object; what JSON has no number for (NaN, infinity) is null. */
  static String toJson(Map<String, ? extends Number> fields) {
    return fields.entrySet().stream()
        .map(field -> "\"" + field.getKey() + "\": " + number(field.getValue()))
        .collect(Collectors.joining(", ", "{", "}"));
  }

  private static String number(Number value) {
    return Double.isFinite(value.doubleValue()) ? value.toString() : "null";
  }

  @Override
  public void close() {
    try {
      writer.close();
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be closed", e);
    }
  }
}
