package org.alpaca4j.data;

import java.util.List;

/**
 * What became of the records when a dataset was built. Indexes are those of the records in their
 * source, from 0.
 *
 * @param records records read
 * @param examples examples kept
 * @param tokens tokens of the examples kept
 * @param supervisedTokens tokens that the loss is computed on
 * @param longest tokens of the longest example kept
 * @param truncated examples kept that were cut at the maximal length; each lost the end of its
 *     answer and its closing EOS
 * @param shortened examples kept that lost the beginning of their prompt, or early turns, to fit;
 *     all that is supervised in them is there
 * @param fullyMasked records without a supervised token, or with nothing to make an example of;
 *     left out, unless they were to be kept
 * @param tooLong records left out because they were longer than the maximal length
 * @param specialTokensAsText records with the text of a special token in their own texts, where it
 *     was taken for text: {@link SupervisedDataset.Builder#splitSpecialTokens}
 */
public record DataReport(
    int records,
    int examples,
    long tokens,
    long supervisedTokens,
    int longest,
    int truncated,
    int shortened,
    List<Integer> fullyMasked,
    List<Integer> tooLong,
    int specialTokensAsText) {

  /** Copies the lists. */
  public DataReport {
    fullyMasked = List.copyOf(fullyMasked);
    tooLong = List.copyOf(tooLong);
  }

  /** Returns the share of supervised tokens, 0 to 1. */
  public double supervisedShare() {
    return tokens == 0 ? 0 : (double) supervisedTokens / tokens;
  }

  /** Returns the number of records left out. */
  public int dropped() {
    return records - examples;
  }
}
