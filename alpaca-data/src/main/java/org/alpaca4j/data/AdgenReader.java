package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;

/**
 * Reads data in the form of ADGEN: records with the strings {@code content} and {@code summary}
 * and, optionally, {@code history}, a list of pairs of question and answer; or other names for
 * them. Other fields are ignored, and named by {@link DataReport#unusedFields}. Content or summary
 * that is null is the empty text, which makes no example: {@link DataReport#fullyMasked} lists it.
 * Immutable and thread-safe.
 */
public final class AdgenReader implements Function<DataRecord, AdgenRecord> {

  private static final AdgenReader ADGEN = new AdgenReader("content", "summary", "history");

  private final String content;
  private final String summary;
  private final String history;

  private AdgenReader(String content, String summary, String history) {
    this.content = Objects.requireNonNull(content, "content is null");
    this.summary = Objects.requireNonNull(summary, "summary is null");
    this.history = Objects.requireNonNull(history, "history is null");
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
    Objects.requireNonNull(from, "from is null");
    return new AdgenRecord(
        text(from, content),
        text(from, summary),
        history.isEmpty() ? List.of() : rounds(from, history));
  }

  /** The original leaves out records whose content or summary is null, as it does empty ones. */
  private static String text(DataRecord from, String field) {
    return from.names().contains(field) ? from.textOrEmpty(field) : from.text(field);
  }

  /** Returns the earlier rounds that a field holds: a list of pairs of question and answer. */
  static List<AdgenRecord.Round> rounds(DataRecord from, String field) {
    List<AdgenRecord.Round> rounds = new ArrayList<>();
    if (from.value(field) == null) {
      return rounds;
    }
    for (Object round : from.list(field)) {
      if (!(round instanceof List<?> pair
          && pair.size() == 2
          && pair.get(0) instanceof String question
          && pair.get(1) instanceof String answer)) {
        throw from.error(
            field + "[" + rounds.size() + "]",
            "expected a question and its answer, a list of two strings");
      }
      rounds.add(new AdgenRecord.Round(question, answer));
    }
    return rounds;
  }
}
