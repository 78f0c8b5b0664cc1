package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A record that was left out because it cannot be used.
 *
 * @param source the file, or what messages call the source
 * @param line the line that is at fault, from 1; 0 where there are no lines
 * @param record the record's index in the source, from 0; −1 where it is not known
 * @param reason the field and what is wrong with it
 */
public record BadRecord(String source, int line, int record, String reason) {

  /** Checks that source and reason are there. */
  public BadRecord {
    Objects.requireNonNull(source, "source is null");
    Objects.requireNonNull(reason, "reason is null");
  }

  /** Returns place and reason as one sentence. */
  @Override
  public String toString() {
    List<String> place = new ArrayList<>();
    place.add(source);
    if (line > 0) {
      place.add("line " + line);
    }
    if (record >= 0) {
      place.add("record " + record);
    }
    return String.join(", ", place) + (reason.startsWith("field \"") ? ", " : ": ") + reason;
  }
}
