package org.alpaca4j.data;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Reads instruction data: records with the string fields {@code instruction}, {@code output} and,
 * optionally, {@code input} (absent, null and empty are the same), or other names for them. Other
 * fields are ignored. Immutable and thread-safe.
 *
 * <pre>{@code
 * RecordSource<InstructionRecord> data =
 *     DataFile.parquet(file).map(InstructionReader.fields("question", "", "answer"));
 * }</pre>
 */
public final class InstructionReader implements Function<DataRecord, InstructionRecord> {

  private static final InstructionReader ALPACA =
      new InstructionReader("instruction", "input", "output");

  private final String instruction;
  private final String input;
  private final String output;

  private InstructionReader(String instruction, String input, String output) {
    this.instruction = Objects.requireNonNull(instruction, "instruction");
    this.input = Objects.requireNonNull(input, "input");
    this.output = Objects.requireNonNull(output, "output");
  }

  /** Returns the reader of Stanford Alpaca's field names. */
  public static InstructionReader alpaca() {
    return ALPACA;
  }

  /**
   * Returns a reader of other field names.
   *
   * @param instruction the field of what is asked for
   * @param input the field of what it is asked about; the empty string if the data have none
   * @param output the field of the answer
   */
  public static InstructionReader fields(String instruction, String input, String output) {
    return new InstructionReader(instruction, input, output);
  }

  /**
   * Reads a file that holds one JSON array of records, as {@code alpaca_data.json} does.
   *
   * @throws DataException if the file is not such an array, naming line, record and field
   */
  public static List<InstructionRecord> readJson(Path file) {
    return readAll(DataFile.json(file));
  }

  /**
   * Reads a file with one record per line. Lines end at LF (a CR before it is allowed); blank lines
   * and a byte order mark are skipped.
   *
   * @throws DataException if a line is not such a record, naming line, record and field
   */
  public static List<InstructionRecord> readJsonl(Path file) {
    return readAll(DataFile.jsonl(file));
  }

  private static List<InstructionRecord> readAll(RecordSource<DataRecord> file) {
    try (Stream<InstructionRecord> records = file.map(ALPACA).stream()) {
      return records.toList();
    }
  }

  /**
   * Returns the instruction that a record holds.
   *
   * @throws DataException if a field is missing or no string, naming file, line, record and field
   */
  @Override
  public InstructionRecord apply(DataRecord from) {
    return new InstructionRecord(
        from.text(instruction), input.isEmpty() ? "" : from.textOrEmpty(input), from.text(output));
  }
}
