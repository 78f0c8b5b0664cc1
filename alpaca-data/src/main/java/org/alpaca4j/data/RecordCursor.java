package org.alpaca4j.data;

import java.io.Closeable;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** An open file that gives its records one by one. */
interface RecordCursor extends Closeable {

  /**
   * Returns the next record, or null after the last.
   *
   * @throws RecordException if it cannot be used; the next call gives the one after it
   */
  @Nullable DataRecord next() throws IOException;
}
