package org.alpaca4j.core.internal.generation;

import java.util.List;
import java.util.OptionalInt;

/**
 * Watches the text of one sequence for stop strings, and gives out what has become certain.
 *
 * <p>A stop string may begin in one token and end in another: as long as the end of the text could
 * be the beginning of one, it is held back. Not thread-safe.
 */
public final class TextStream {
  private final List<String> stopStrings;
  private final StringBuilder text = new StringBuilder();
  private int given;
  private OptionalInt stop = OptionalInt.empty();

  /** Starts an empty text. */
  public TextStream(List<String> stopStrings) {
    this.stopStrings = stopStrings;
  }

  /** Adds a piece of text; returns whether a stop string is in the text now. */
  public boolean append(String piece) {
    if (stop.isPresent()) {
      return true;
    }
    int before = text.length();
    text.append(piece);
    for (String string : stopStrings) {
      int at = text.indexOf(string, Math.max(0, before - string.length() + 1));
      if (at >= 0 && (stop.isEmpty() || at < stop.getAsInt())) {
        stop = OptionalInt.of(at);
      }
    }
    stop.ifPresent(text::setLength);
    return stop.isPresent();
  }

  /** Returns whether a stop string ended the text. */
  public boolean stopped() {
    return stop.isPresent();
  }

  /** Returns the text that is certain and was not given yet. */
  public String take() {
    int end = text.length();
    if (stop.isEmpty()) {
      for (String string : stopStrings) {
        for (int n = Math.min(string.length() - 1, text.length() - given); n > 0; n--) {
          if (string.startsWith(text.substring(text.length() - n))) {
            end = Math.min(end, text.length() - n);
            break;
          }
        }
      }
    }
    return give(end);
  }

  /** Returns all text that was not given yet: no more will come. */
  public String takeRest() {
    return give(text.length());
  }

  private String give(int end) {
    String piece = text.substring(given, end);
    given = end;
    return piece;
  }

  /** Returns the whole text, up to the stop string if there was one. */
  public String text() {
    return text.toString();
  }
}
