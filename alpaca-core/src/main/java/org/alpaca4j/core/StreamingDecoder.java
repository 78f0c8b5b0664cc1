package org.alpaca4j.core;

import java.util.Arrays;

/**
 * Turns ids that arrive one by one into pieces of text, never handing out half a character. The
 * pieces and {@link #finish} together are the text that {@link Tokenizer#decode} gives for all ids.
 *
 * <p>Not thread-safe; one decoder per generated sequence.
 */
public final class StreamingDecoder {

  private static final char REPLACEMENT = '\uFFFD';

  private final Tokenizer tokenizer;
  private final boolean skipSpecialTokens;

  // ids[0, emitted) are already handed out and kept as context, since decoders treat the first
  // token of a sequence differently (leading spaces); ids[emitted, count) are waiting.
  private int[] ids = new int[16];
  private int emitted;
  private int count;
  private String context = "";

  StreamingDecoder(Tokenizer tokenizer, boolean skipSpecialTokens) {
    this.tokenizer = tokenizer;
    this.skipSpecialTokens = skipSpecialTokens;
  }

  /**
   * Takes the next id and returns the text that is certain now; empty while a character is
   * incomplete, and for a skipped special token.
   */
  public String append(int id) {
    if (count == ids.length) {
      ids = Arrays.copyOf(ids, count * 2);
    }
    ids[count++] = id;
    String text = decode(0, count);
    // An incomplete character decodes to U+FFFD at the end: wait for its other bytes.
    if (text.length() <= context.length() || text.charAt(text.length() - 1) == REPLACEMENT) {
      return "";
    }
    String piece = text.substring(context.length());
    System.arraycopy(ids, emitted, ids, 0, count - emitted);
    count -= emitted;
    emitted = count;
    context = decode(0, count);
    return piece;
  }

  /**
   * Returns what is left: bytes that never became a character are U+FFFD, as in {@link
   * Tokenizer#decode}. The decoder is empty afterwards and can take another sequence.
   */
  public String finish() {
    String text = decode(0, count);
    String rest = text.length() > context.length() ? text.substring(context.length()) : "";
    emitted = 0;
    count = 0;
    context = "";
    return rest;
  }

  private String decode(int from, int to) {
    return tokenizer.decode(Arrays.copyOfRange(ids, from, to), skipSpecialTokens);
  }
}
