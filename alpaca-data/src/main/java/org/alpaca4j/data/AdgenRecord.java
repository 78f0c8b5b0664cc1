package org.alpaca4j.data;

import java.util.List;
import java.util.Objects;

/**
 * One record in the form of ADGEN, the data that ChatGLM-6B's P-Tuning was shown on.
 *
 * @param content what is asked
 * @param summary the answer to learn
 * @param history earlier rounds, oldest first; mostly none
 */
public record AdgenRecord(String content, String summary, List<Round> history) {

  /** Checks that no field is null, and copies the history. */
  public AdgenRecord {
    Objects.requireNonNull(history, "history is null");
    Objects.requireNonNull(content, "content is null");
    Objects.requireNonNull(summary, "summary is null");
    history = List.copyOf(history);
  }

  /** Returns a record without history. */
  public static AdgenRecord of(String content, String summary) {
    return new AdgenRecord(content, summary, List.of());
  }

  /**
   * An earlier round.
   *
   * @param question what was asked
   * @param answer what was answered
   */
  public record Round(String question, String answer) {

    /** Checks that no field is null. */
    public Round {
      Objects.requireNonNull(question, "question is null");
      Objects.requireNonNull(answer, "answer is null");
    }
  }
}
