package org.alpaca4j.core.internal.hub;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.regex.Pattern;

/**
 * What an ETag of the hub says of a file's content: the SHA-256 of a large one, and of any other
 * what git knows it by, the SHA-1 of {@code blob SIZE\0} and the content.
 */
final class Checksum {
  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
  private static final Pattern GIT = Pattern.compile("[0-9a-f]{40}");
  private static final int BUFFER_BYTES = 1 << 18;

  private Checksum() {}

  static boolean isKnown(String etag) {
    return SHA256.matcher(etag).matches() || GIT.matcher(etag).matches();
  }

  /** Returns a file's checksum, of the same kind as a known ETag. */
  static String of(Path file, String etag) throws IOException {
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance(etag.length() == 64 ? "SHA-256" : "SHA-1");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java has SHA-1 and SHA-256", e);
    }
    if (etag.length() == 40) {
      digest.update(("blob " + Files.size(file) + "\0").getBytes(StandardCharsets.US_ASCII));
    }
    byte[] buffer = new byte[BUFFER_BYTES];
    try (InputStream in = Files.newInputStream(file)) {
      for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
        digest.update(buffer, 0, read);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }
}
