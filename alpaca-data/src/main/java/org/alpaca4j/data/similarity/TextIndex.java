package org.alpaca4j.data.similarity;

/**
 * Texts, as numbers of tokens, that others are compared with. Several threads may compare at once;
 * adding must not happen at the same time as anything else.
 */
interface TextIndex {

  /** Adds a text; its index is the number of texts before. */
  void add(int[] tokens);

  /** The number of texts. */
  int size();

  /**
   * Compares a text with those of this index.
   *
   * @param tokens the text; {@link Vocabulary#UNKNOWN} is like no other token
   * @param from the first index to compare with
   * @param tally receives the scores
   */
  void compare(int[] tokens, int from, Tally tally);
}
