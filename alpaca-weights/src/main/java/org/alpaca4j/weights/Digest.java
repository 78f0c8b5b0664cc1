package org.alpaca4j.weights;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/** A SHA-256 in the making, or none: {@link #NONE} ignores what it is given. */
final class Digest {
  static final Digest NONE = new Digest(null);

  private final @Nullable MessageDigest digest;

  private Digest(@Nullable MessageDigest digest) {
    this.digest = digest;
  }

  static Digest sha256() {
    try {
      return new Digest(MessageDigest.getInstance("SHA-256"));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java platform has SHA-256", e);
    }
  }

  static String sha256(byte[] bytes) {
    Digest digest = sha256();
    digest.update(ByteBuffer.wrap(bytes));
    return digest.hex();
  }

  /** Takes what is left in a buffer of the heap; its position stays. */
  void update(ByteBuffer bytes) {
    if (digest != null) {
      digest.update(bytes.array(), bytes.arrayOffset() + bytes.position(), bytes.remaining());
    }
  }

  /** Returns the hash in lower-case hexadecimal digits; empty for {@link #NONE}. */
  String hex() {
    return digest == null ? "" : HexFormat.of().formatHex(digest.digest());
  }
}
