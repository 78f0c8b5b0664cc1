package org.alpaca4j.data.similarity;

import java.util.Arrays;

/**
 * Length of the longest common subsequence of one text, the query, with many others, bit-parallel
 * (M. Crochemore et al., 2001; H. Hyyrö, 2004): a row of the usual table is a word with one bit for
 * each token of the query, and a token of the other text takes one addition, whatever the query's
 * length up to 64. A zero bit says that the table's value goes up by one there.
 *
 * <p>Tokens are numbers. One object serves one thread, query after query.
 */
final class LcsMasks {
  /** For up to 128 tokens: by token, the places in the query where it stands, a word or two. */
  private long[] masks = new long[0];

  /** For more: by token, its row in {@link #rowMasks}, or 0 where it is not in the query. */
  private int[] rows = new int[0];

  private long[] rowMasks = new long[0];
  private long[] zeros = new long[0];
  private int words;
  private int[] query = new int[0];

  /**
   * Sets the query.
   *
   * @param tokens the query's tokens
   * @param vocabulary the other texts' tokens are below this number and not negative; what else the
   *     query has is in none of them
   */
  void set(int[] tokens, int vocabulary) {
    clear();
    query = Arrays.stream(tokens).filter(token -> token >= 0 && token < vocabulary).toArray();
    words = (query.length + 63) / 64;
    if (words > 2) {
      setRows(vocabulary);
      return;
    }
    if (masks.length < words * vocabulary) {
      masks = new long[words * (vocabulary + vocabulary / 2)];
    }
    for (int i = 0; i < query.length; i++) {
      masks[words * query[i] + i / 64] |= 1L << i;
    }
  }

  private void clear() {
    for (int token : query) {
      if (words > 2) {
        rows[token] = 0;
      } else {
        Arrays.fill(masks, words * token, words * (token + 1), 0);
      }
    }
  }

  private void setRows(int vocabulary) {
    if (rows.length < vocabulary) {
      rows = new int[vocabulary + vocabulary / 2];
    }
    zeros = new long[words];
    int used = 0;
    for (int token : query) {
      if (rows[token] == 0) {
        rows[token] = ++used;
      }
    }
    rowMasks = new long[Math.multiplyExact(used + 1, words)];
    for (int i = 0; i < query.length; i++) {
      rowMasks[rows[query[i]] * words + i / 64] |= 1L << i;
    }
  }

  /** The LCS length with one text, which lies in an array. */
  int common(int[] tokens, int from, int length) {
    return switch (words) {
      case 0 -> 0;
      case 1 -> oneWord(tokens, from, length);
      case 2 -> twoWords(tokens, from, length);
      default -> manyWords(tokens, from, length);
    };
  }

  /**
   * The LCS lengths with several texts of one length, which lie one after the other.
   *
   * @param tokens holds the texts
   * @param length tokens of each text
   * @param first the first text: it begins at {@code first * length}
   * @param end the text after the last
   * @param common receives the result for text i at i
   */
  void common(int[] tokens, int length, int first, int end, int[] common) {
    int i = first;
    if (words == 1) {
      for (; i + 4 <= end; i += 4) {
        fourAtOnce(tokens, length, i, common);
      }
    }
    for (; i < end; i++) {
      common[i] = common(tokens, i * length, length);
    }
  }

  private int oneWord(int[] tokens, int from, int length) {
    long[] masks = this.masks;
    long row = -1;
    for (int i = from; i < from + length; i++) {
      long both = row & masks[tokens[i]];
      row = row + both | row - both;
    }
    return Long.bitCount(~row);
  }

  /** Each text's additions wait for one another; four texts fill the processor's units. */
  private void fourAtOnce(int[] tokens, int length, int text, int[] common) {
    long[] masks = this.masks;
    int from = text * length;
    long row0 = -1;
    long row1 = -1;
    long row2 = -1;
    long row3 = -1;
    for (int i = from; i < from + length; i++) {
      long both0 = row0 & masks[tokens[i]];
      long both1 = row1 & masks[tokens[i + length]];
      long both2 = row2 & masks[tokens[i + 2 * length]];
      long both3 = row3 & masks[tokens[i + 3 * length]];
      row0 = row0 + both0 | row0 - both0;
      row1 = row1 + both1 | row1 - both1;
      row2 = row2 + both2 | row2 - both2;
      row3 = row3 + both3 | row3 - both3;
    }
    common[text] = Long.bitCount(~row0);
    common[text + 1] = Long.bitCount(~row1);
    common[text + 2] = Long.bitCount(~row2);
    common[text + 3] = Long.bitCount(~row3);
  }

  private int twoWords(int[] tokens, int from, int length) {
    long[] masks = this.masks;
    long low = -1;
    long high = -1;
    for (int i = from; i < from + length; i++) {
      int mask = 2 * tokens[i];
      long both = low & masks[mask];
      long sum = low + both;
      long carry = (both | low & ~sum) >>> 63;
      low = sum | low - both;
      long bothHigh = high & masks[mask + 1];
      high = high + bothHigh + carry | high - bothHigh;
    }
    return Long.bitCount(~low) + Long.bitCount(~high);
  }

  private int manyWords(int[] tokens, int from, int length) {
    Arrays.fill(zeros, 0); // the rows' complement
    for (int i = from; i < from + length; i++) {
      int mask = rows[tokens[i]] * words;
      if (mask == 0) {
        continue;
      }
      long carry = 0;
      for (int word = 0; word < words; word++) {
        long row = ~zeros[word];
        long both = row & rowMasks[mask + word];
        long sum = row + both + carry;
        carry = (both | row & ~sum) >>> 63;
        zeros[word] = ~(sum | row - both);
      }
    }
    int common = 0;
    for (long word : zeros) {
      common += Long.bitCount(word);
    }
    return common;
  }
}
