package org.alpaca4j.data.gorilla;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Stream;
import org.alpaca4j.data.DataException;
import org.alpaca4j.data.DataFile;
import org.alpaca4j.data.DataRecord;
import org.jspecify.annotations.Nullable;

/**
 * Reads APIBench: records with the strings {@code code}, {@code api_call} and, optionally, {@code
 * provider}, and the object {@code api_data}. Where {@code api_call} is missing, the one in {@code
 * api_data} stands for it. Immutable and thread-safe.
 *
 * <pre>{@code
 * RecordSource<ApiBenchRecord> records = DataFile.detect(file).map(ApiBenchReader.apiBench());
 * }</pre>
 */
public final class ApiBenchReader implements Function<DataRecord, ApiBenchRecord> {
  private static final ApiBenchReader API_BENCH = new ApiBenchReader();

  private ApiBenchReader() {}

  /** Returns the reader. */
  public static ApiBenchReader apiBench() {
    return API_BENCH;
  }

  /**
   * Reads all records of a file with one per line.
   *
   * @throws DataException if the file is not of that form, naming line, record and field
   */
  public static List<ApiBenchRecord> readJsonl(Path file) {
    Objects.requireNonNull(file, "file is null");
    try (Stream<ApiBenchRecord> records = DataFile.jsonl(file).map(API_BENCH).stream()) {
      return records.toList();
    }
  }

  /**
   * Returns what a record holds.
   *
   * @throws DataException if a field is missing or of another type, naming file, line, record and
   *     field
   */
  @Override
  public ApiBenchRecord apply(DataRecord from) {
    Objects.requireNonNull(from, "from is null");
    Map<String, @Nullable Object> data = from.object("api_data");
    boolean inData = !from.names().contains("api_call");
    return new ApiBenchRecord(
        from.line(),
        ApiBenchCode.parse(from.text("code")),
        inData && data.get("api_call") instanceof String call ? call : from.text("api_call"),
        from.textOrEmpty("provider"),
        data);
  }
}
