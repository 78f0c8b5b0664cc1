package org.alpaca4j.core.internal;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/**
 * A file that only stands for the one that was meant: git-LFS's pointer where its contents were
 * never fetched, or the page that a server sent instead. Stateless.
 */
public final class Placeholder {

  private static final int HEAD_BYTES = 512;
  private static final String LFS = "version https://git-lfs.github.com/spec/";

  private Placeholder() {}

  /** Returns what a file is instead of itself, and the way out; nothing where it is neither. */
  public static Optional<String> in(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return in(in.readNBytes(HEAD_BYTES));
    }
  }

  /** As {@link #in(Path)}, by the first bytes of a file. */
  public static Optional<String> in(byte[] head) {
    String text =
        new String(head, 0, Math.min(head.length, HEAD_BYTES), StandardCharsets.UTF_8)
            .stripLeading()
            .toLowerCase(Locale.ROOT);
    if (text.startsWith(LFS)) {
      return Optional.of(
          "is a git-LFS pointer, not the file itself; run \"git lfs pull\" in its folder, or"
              + " download the file");
    }
    if (text.startsWith("<!doctype html") || text.startsWith("<html")) {
      return Optional.of(
          "is an HTML page, such as a server sends in place of a file (an error or a login page);"
              + " download the file again");
    }
    if (text.startsWith("<?xml")) {
      return Optional.of(
          "is an XML text, such as a server sends in place of a file (an error); download the file"
              + " again");
    }
    return Optional.empty();
  }
}
