package org.alpaca4j.core.internal.sentencepiece;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.Deque;
import org.alpaca4j.core.TokenizerException;

/**
 * Checks SentencePiece's table of what characters become ({@code precompiled_charsmap}): a double
 * array trie (of the Darts library) from UTF-8 to places in a list of texts that end in a null. The
 * tokenizers library follows it without looking where it leads, and a panic there ends the process.
 */
final class CharacterMap {
  private static final int BYTES = 256;

  private CharacterMap() {}

  /**
   * Checks that no text leads out of the table.
   *
   * @throws TokenizerException if one does; {@code origin} names the file
   */
  static void check(byte[] table, String origin) {
    ByteBuffer buffer = ByteBuffer.wrap(table).order(ByteOrder.LITTLE_ENDIAN);
    if (table.length < Integer.BYTES) {
      throw damaged(origin, "it has " + table.length + " bytes");
    }
    int trieBytes = buffer.getInt();
    if (trieBytes < BYTES * Integer.BYTES
        || trieBytes % Integer.BYTES != 0
        || trieBytes > buffer.remaining()) {
      throw damaged(
          origin,
          "its trie has " + trieBytes + " bytes of " + buffer.remaining() + " that are left");
    }
    int[] units = new int[trieBytes / Integer.BYTES];
    buffer.asIntBuffer().get(units);
    int texts = Integer.BYTES + trieBytes;
    requireTexts(table, texts, origin);
    BitSet seen = new BitSet(units.length);
    Deque<Integer> open = new ArrayDeque<>();
    open.push(offset(units[0]));
    while (!open.isEmpty()) {
      int base = open.pop();
      // A node's children differ from it in one byte.
      if ((base | (BYTES - 1)) >= units.length) {
        throw damaged(origin, "its trie leads to the place " + base + " of " + units.length);
      }
      for (int label = 1; label < BYTES; label++) {
        int at = base ^ label;
        int unit = units[at];
        if ((unit & 0x8000_00FF) == label && !seen.get(at)) {
          seen.set(at);
          int next = at ^ offset(unit);
          if ((unit >>> 8 & 1) == 1) {
            requireText(table, texts, next < units.length ? units[next] : -1, origin);
          }
          open.push(next);
        }
      }
    }
  }

  private static int offset(int unit) {
    return unit >>> 10 << ((unit & 1 << 9) >>> 6);
  }

  private static void requireTexts(byte[] table, int from, String origin) {
    for (int at = from; at < table.length; ) {
      int length = length(table[at]);
      if (length == 0 || at + length > table.length) {
        throw damaged(origin, "its texts are no UTF-8 at byte " + at);
      }
      for (int i = 1; i < length; i++) {
        if ((table[at + i] & 0xC0) != 0x80) {
          throw damaged(origin, "its texts are no UTF-8 at byte " + at);
        }
      }
      at += length;
    }
  }

  private static int length(byte first) {
    int value = first & 0xFF;
    if (value < 0x80) {
      return 1;
    }
    return value < 0xC2 ? 0 : value < 0xE0 ? 2 : value < 0xF0 ? 3 : value < 0xF5 ? 4 : 0;
  }

  /** A value is 31 bits: the place of a text. */
  private static void requireText(byte[] table, int texts, int unit, String origin) {
    int at = unit & Integer.MAX_VALUE;
    if (unit == -1 || at >= table.length - texts || (table[texts + at] & 0xC0) == 0x80) {
      throw damaged(origin, "it names the text at " + at + " of " + (table.length - texts));
    }
  }

  private static TokenizerException damaged(String origin, String why) {
    return new TokenizerException(
        origin
            + ": normalizer_spec.precompiled_charsmap is damaged: "
            + why
            + "; fetch the file again");
  }
}
