package org.alpaca4j.core.internal.tokenizer;

/**
 * The characters that byte-level tokenizers write bytes as: the printable ones of Latin-1 stand for
 * themselves, all others for the characters from U+0100 on.
 */
final class ByteAlphabet {
  private static final char[] CHARACTERS = new char[256];

  static {
    char next = 256;
    for (int value = 0; value < CHARACTERS.length; value++) {
      boolean printable =
          (value >= '!' && value <= '~')
              || (value >= 0xA1 && value <= 0xAC)
              || (value >= 0xAE && value <= 0xFF);
      CHARACTERS[value] = printable ? (char) value : next++;
    }
  }

  private ByteAlphabet() {}

  static String write(byte[] bytes) {
    char[] text = new char[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      text[i] = CHARACTERS[bytes[i] & 0xFF];
    }
    return new String(text);
  }
}
