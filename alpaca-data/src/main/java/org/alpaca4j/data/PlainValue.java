package org.alpaca4j.data;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Texts, numbers, booleans, null, and lists and maps of them: their size and their hash. */
final class PlainValue {

  private PlainValue() {}

  /** Returns about how many characters a value has. */
  static long characters(@Nullable Object value) {
    long sum = 8;
    if (value instanceof String text) {
      sum += text.length();
    } else if (value instanceof List<?> list) {
      for (Object part : list) {
        sum += characters(part);
      }
    } else if (value instanceof Map<?, ?> map) {
      for (Map.Entry<?, ?> entry : map.entrySet()) {
        sum += characters(entry.getKey()) + characters(entry.getValue());
      }
    }
    return sum;
  }

  /** SHA-256 of a sequence of values; different sequences are different bytes. */
  static final class Hash {
    private final MessageDigest sha256;
    private final byte[] head = new byte[5];

    Hash() {
      try {
        sha256 = MessageDigest.getInstance("SHA-256");
      } catch (NoSuchAlgorithmException e) {
        throw new AssertionError("every JVM has SHA-256", e);
      }
    }

    Hash add(@Nullable Object value) {
      if (value == null) {
        head('0', 0);
      } else if (value instanceof List<?> list) {
        head('[', list.size());
        list.forEach(this::add);
      } else if (value instanceof Map<?, ?> map) {
        head('{', map.size());
        map.forEach((key, part) -> add(key).add(part));
      } else {
        byte[] text = value.toString().getBytes(StandardCharsets.UTF_8);
        head(value instanceof String ? 's' : value instanceof Number ? 'n' : 'b', text.length);
        sha256.update(text);
      }
      return this;
    }

    private void head(char type, int length) {
      head[0] = (byte) type;
      for (int i = 0; i < 4; i++) {
        head[1 + i] = (byte) (length >>> 8 * i);
      }
      sha256.update(head);
    }

    byte[] digest() {
      return sha256.digest();
    }
  }
}
