package org.alpaca4j.data;

import org.jspecify.annotations.Nullable;

/**
 * A record that cannot be used. The records after it can be read all the same, so whoever reads may
 * leave it out.
 */
final class RecordException extends DataException {

  private static final long serialVersionUID = 1L;

  private final transient BadRecord record;

  RecordException(BadRecord record, @Nullable Throwable cause) {
    super(record.toString());
    this.record = record;
    if (cause != null) {
      initCause(cause);
    }
  }

  BadRecord record() {
    return record;
  }
}
