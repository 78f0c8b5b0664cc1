package org.alpaca4j.data;

import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.alpaca4j.core.Tokenizer;

/** The hand-written byte-level tokenizer in the test resources. */
final class TestTokenizer {

  static final int BOS = 1;
  static final int EOS = 2;
  static final int MERGED_COLON_T = 261;
  static final int IM_START = 263;
  static final int IM_END = 264;

  private TestTokenizer() {}

  static Tokenizer load() {
    return Tokenizer.load(folder());
  }

  static Path folder() {
    try {
      return Path.of(TestTokenizer.class.getResource("/byte-level-tokenizer").toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }

  /** The id of a byte. */
  static int id(char ascii) {
    return 3 + ascii;
  }

  /** The ids of a text without merges. */
  static int[] bytes(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int[] ids = new int[bytes.length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = 3 + (bytes[i] & 0xFF);
    }
    return ids;
  }
}
