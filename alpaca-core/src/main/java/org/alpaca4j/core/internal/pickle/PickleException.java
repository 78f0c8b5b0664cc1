package org.alpaca4j.core.internal.pickle;

import java.io.IOException;

/** A pickle that is malformed, or holds or claims something that is not permitted. */
public final class PickleException extends IOException {
  private static final long serialVersionUID = 1L;

  /**
   * Makes an exception.
   *
   * @param message what is wrong; the unpickler adds the offset
   */
  public PickleException(String message) {
    super(message);
  }

  /** Returns the same complaint with the place of the operation that led to it. */
  PickleException at(long offset) {
    PickleException placed =
        new PickleException(getMessage() + " (at offset " + offset + " of the pickle)");
    placed.setStackTrace(getStackTrace());
    return placed;
  }
}
