package org.alpaca4j.data;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Reads instruction data: records with the fields {@code instruction}, {@code output} and,
 * optionally, {@code input} (absent, null and empty are the same), or other names for them. They
 * are texts; a number or a boolean is taken as Python prints it, as Stanford Alpaca's train.py
 * does. Other fields are ignored, and named by {@link DataReport#unusedFields}. Immutable and
 * thread-safe.
 *
 * <pre>{@code
 * RecordSource<InstructionRecord> data =
 *     DataFile.parquet(file).map(InstructionReader.fields("question", "", "answer"));
 * }</pre>
 */
public final class InstructionReader implements Function<DataRecord, InstructionRecord> {

  private static final InstructionReader ALPACA =
      new InstructionReader("instruction", "input", "output");

  private static final List<String> CONVERSATION_FIELDS = List.of("system", "history", "tools");

  private final String instruction;
  private final String input;
  private final String output;

  private InstructionReader(String instruction, String input, String output) {
    this.instruction = Objects.requireNonNull(instruction, "instruction is null");
    this.input = Objects.requireNonNull(input, "input is null");
    this.output = Objects.requireNonNull(output, "output is null");
  }

  /**
   * Returns the reader of Stanford Alpaca's field names. A record with a {@code system} message, a
   * {@code history} of earlier rounds or {@code tools} is refused, since a prompt of one
   * instruction has no place for them: {@link ConversationReader#alpaca()} reads it.
   */
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
    Objects.requireNonNull(file, "file is null");
    return readAll(DataFile.json(file));
  }

  /**
   * Reads a file with one record per line. Lines end at LF (a CR before it is allowed); blank lines
   * and a byte order mark are skipped.
   *
   * @throws DataException if a line is not such a record, naming line, record and field
   */
  public static List<InstructionRecord> readJsonl(Path file) {
    Objects.requireNonNull(file, "file is null");
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
    Objects.requireNonNull(from, "from is null");
    if (this == ALPACA) {
      refuseWhatHasNoPlace(from);
    }
    return record(from);
  }

  /** Returns what a record asks for last, whatever stands before it. */
  static InstructionRecord lastRound(DataRecord from) {
    return ALPACA.record(from);
  }

  private InstructionRecord record(DataRecord from) {
    return new InstructionRecord(
        from.printed(instruction),
        input.isEmpty() || from.value(input) == null ? "" : from.printed(input),
        from.printed(output));
  }

  private static void refuseWhatHasNoPlace(DataRecord from) {
    for (String field : CONVERSATION_FIELDS) {
      Object value = from.value(field);
      if (value != null && !value.equals("") && !value.equals(List.of())) {
        throw from.error(
            field,
            "has no place in a prompt of one instruction; read the records as conversations with"
                + " ConversationReader.alpaca(), or without it with"
                + " InstructionReader.fields(\"instruction\", \"input\", \"output\")");
      }
    }
  }
}
