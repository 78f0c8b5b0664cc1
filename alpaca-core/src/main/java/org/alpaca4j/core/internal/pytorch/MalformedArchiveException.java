package org.alpaca4j.core.internal.pytorch;

import java.io.IOException;

/** A file that is no sound PyTorch file, or one of a kind that is not read. */
public final class MalformedArchiveException extends IOException {
  private static final long serialVersionUID = 1L;

  /**
   * Makes an exception.
   *
   * @param message what is wrong; the caller adds the file
   */
  public MalformedArchiveException(String message) {
    super(message);
  }
}
