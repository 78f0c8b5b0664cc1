package org.alpaca4j.core;

/** Hears of generated tokens as they come. Called on the thread that generates. */
@FunctionalInterface
public interface TokenListener {
  /**
   * Called for each new token of each sequence, and once more where text was left over at the end
   * (with id −1).
   *
   * @param sequence index of the prompt
   * @param id the new token, or −1
   * @param text the text that has become certain: possibly empty, while a character is incomplete
   *     or a stop string may have begun; all pieces of a sequence together are its text. Always
   *     empty for a model without tokenizer
   * @return whether to go on with this sequence
   */
  boolean token(int sequence, int id, String text);
}
