package org.alpaca4j.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * The records of a file, read one by one: memory does not grow with the file. Text files are UTF-8,
 * with or without a byte order mark, and may be packed with gzip ({@code .gz}) or zstd ({@code
 * .zst}). What a record means, {@link InstructionReader}, {@link ConversationReader} and {@link
 * AdgenReader} say:
 *
 * <pre>{@code
 * RecordSource<Conversation> data =
 *     DataFile.detect(Path.of("sharegpt.json.gz")).map(ConversationReader.shareGpt());
 * }</pre>
 *
 * <p>An error names the file, the line (from 1), the record (from 0) and the field. A file without
 * a record is an error.
 */
public final class DataFile {

  private interface Opener {
    RecordCursor open() throws IOException;
  }

  private DataFile() {}

  /**
   * Reads a file of the format that its first characters and its name agree on, JSON lines in a
   * {@code .json} file among them, whatever its fields are; {@link DetectedFormat#of} looks at
   * these, too.
   *
   * @throws DataException if the format cannot be told, saying what was seen and what to call
   *     instead
   */
  public static RecordSource<DataRecord> detect(Path file) {
    Objects.requireNonNull(file, "file is null");
    return of(file, DetectedFormat.formatOf(file));
  }

  /** Reads a file of a format. */
  public static RecordSource<DataRecord> of(Path file, DataFormat format) {
    Objects.requireNonNull(file, "file is null");
    Objects.requireNonNull(format, "format is null");
    return switch (format) {
      case JSON -> json(file);
      case JSONL -> jsonl(file);
      case CSV -> csv(file);
      case PARQUET -> parquet(file);
    };
  }

  /** Reads a file that is one JSON array of objects. */
  public static RecordSource<DataRecord> json(Path file) {
    Objects.requireNonNull(file, "file is null");
    return source(file, () -> new JsonArrayCursor(file, DataInput.open(file)));
  }

  /**
   * Reads a file with one JSON object per line. Lines end at LF (a CR before it is allowed); blank
   * lines are skipped.
   */
  public static RecordSource<DataRecord> jsonl(Path file) {
    Objects.requireNonNull(file, "file is null");
    return source(file, () -> new JsonLinesCursor(file, DataInput.open(file)));
  }

  /** Reads a CSV file (RFC 4180) with commas; see {@link #csv(Path, char)}. */
  public static RecordSource<DataRecord> csv(Path file) {
    Objects.requireNonNull(file, "file is null");
    return csv(file, ',');
  }

  /**
   * Reads a CSV file (RFC 4180). The first row names the columns, a nameless one is called {@code
   * column N}; every field is a string. Lines end at LF, CR LF or CR; blank ones are skipped.
   *
   * @param separator what stands between two fields
   */
  public static RecordSource<DataRecord> csv(Path file, char separator) {
    Objects.requireNonNull(file, "file is null");
    return source(file, () -> new CsvCursor(file, DataInput.open(file), separator));
  }

  /**
   * Reads a Parquet file: texts, numbers, booleans and lists, maps and structures of them; not
   * packed, or with snappy, gzip or zstd. A column of another type (bytes, times, decimals) is an
   * error that names it if its value is asked for, and does no harm otherwise. Needs {@code
   * org.apache.parquet:parquet-column} and {@code parquet-format-structures} on the class path,
   * which are optional dependencies; Hadoop is not needed.
   */
  public static RecordSource<DataRecord> parquet(Path file) {
    Objects.requireNonNull(file, "file is null");
    return source(
        file,
        () -> {
          try {
            return new ParquetCursor(file);
          } catch (NoClassDefFoundError e) {
            throw new DataException(
                file
                    + ": reading Parquet needs org.apache.parquet:parquet-column and"
                    + " org.apache.parquet:parquet-format-structures on the class path; add them",
                e);
          }
        });
  }

  private static RecordSource<DataRecord> source(Path file, Opener opener) {
    return new DerivedSource<>(
        file.toString(),
        log -> {
          Records records = new Records(file, opener, log);
          return StreamSupport.stream(
                  Spliterators.spliteratorUnknownSize(
                      records, Spliterator.ORDERED | Spliterator.NONNULL),
                  false)
              .onClose(records::close);
        });
  }

  /** An open file as an iterator; it is closed after its last record, too. */
  private static final class Records implements Iterator<DataRecord> {
    private final Path file;
    private final RecordCursor cursor;
    private final ReadingLog log;
    private @Nullable DataRecord next;
    private boolean any;
    private boolean ended;

    Records(Path file, Opener opener, ReadingLog log) {
      this.file = file;
      this.log = log;
      try {
        this.cursor = opener.open();
      } catch (IOException e) {
        throw unreadable(e);
      }
    }

    @Override
    public boolean hasNext() {
      while (next == null && !ended) {
        try {
          next = cursor.next();
        } catch (RecordException e) {
          log.bad(e);
          any = true;
          continue;
        } catch (IOException e) {
          throw unreadable(e);
        } catch (UncheckedIOException e) {
          throw unreadable(new IOException(e.getMessage(), e));
        }
        if (next == null) {
          if (!any) {
            throw new DataException(file + ": holds no record");
          }
          ended = true;
          close();
        }
        any = true;
      }
      return next != null;
    }

    @Override
    public DataRecord next() {
      if (!hasNext() || next == null) {
        throw new NoSuchElementException();
      }
      DataRecord record = next;
      next = null;
      return record;
    }

    void close() {
      try {
        cursor.close();
      } catch (IOException e) {
        throw new DataException(file + ": cannot be closed: " + e.getMessage(), e);
      }
    }

    private DataException unreadable(IOException e) {
      return new DataException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }
}
