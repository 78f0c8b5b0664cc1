package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;

/**
 * Reads data in the form of ADGEN: records with the strings {@code content} and {@code summary}
 * and, optionally, {@code history}, a list of pairs of question and answer; or other names for
 * them. Other fields are ignored. Immutable and thread-safe.
 */
public final class AdgenReader implements Function<DataRecord, AdgenRecord> {

  private static final AdgenReader ADGEN = new AdgenReader("content", "summary", "history");

  private final String content;
  private final String summary;
  private final String history;

  private AdgenReader(String content, String summary, String history) {
    this.content = Objects.requireNonNull(content, "content");
    this.summary = Objects.requireNonNull(summary, "summary");
    this.history = Objects.requireNonNull(history, "history");
  }

  /** Returns the reader of ADGEN's field names. */
  public static AdgenReader adgen() {
    return ADGEN;
  }

  /**
   * Returns a reader of other field names (the original's prompt, response and history column).
   *
   * @param content the field of what is asked
   * @param summary the field of the answer
   * @param history the field of the earlier rounds; the empty string if the data have none
   */
  public static AdgenReader fields(String content, String summary, String history) {
    return new AdgenReader(content, summary, history);
  }

  /**
   * Returns what a record holds.
   *
   * @throws DataException if a field is missing or of another type, naming file, line, record and
   *     field
   */
  @Override
  public AdgenRecord apply(DataRecord from) {
    List<AdgenRecord.Round> rounds = new ArrayList<>();
    if (!history.isEmpty() && from.value(history) != null) {
      for (Object round : from.list(history)) {
        if (!(round instanceof List<?> pair
            && pair.size() == 2
            && pair.get(0) instanceof String question
            && pair.get(1) instanceof String answer)) {
          throw from.error(
              history + "[" + rounds.size() + "]",
              "expected a question and its answer, a list of two strings");
        }
        rounds.add(new AdgenRecord.Round(question, answer));
      }
    }
    return new AdgenRecord(from.text(content), from.text(summary), rounds);
  }
}
