package org.alpaca4j.data;

import java.util.List;

/**
 * What became of the records when a dataset was built. Indexes are those of the records in their
 * source, from 0; what is left out while it is read counts for none there.
 *
 * @param records records read, those left out among them
 * @param examples examples kept
 * @param tokens tokens of the examples kept, counted as {@link SupervisedDataset#length}
 * @param supervisedTokens tokens that the loss is computed on, whatever they weigh
 * @param longest tokens of the longest sequence kept
 * @param truncated examples kept that were cut at the maximal length; each lost the end of its
 *     answer and its closing EOS
 * @param shortened examples kept that lost the beginning of their prompt, or early turns, to fit;
 *     all that is supervised in them is there
 * @param fullyMasked records without a supervised token, or with nothing to make an example of;
 *     left out, unless they were to be kept
 * @param tooLong records left out because they were longer than the maximal length
 * @param badRecords records left out because they cannot be used, as {@link OnBadRecord} permits,
 *     with file, line and reason
 * @param unusedFields names of fields that have no meaning here and were ignored, each once; a part
 *     of a field is named like {@code conversations[].id}
 * @param specialTokensAsText records with the text of a special token in their own texts, where it
 *     was taken for text: {@link SupervisedDataset.Builder#splitSpecialTokens}
 * @param withoutThinking whether the chat template was asked with its thinking switched off ({@code
 *     enable_thinking}), since no answer has thoughts; a model trained so is asked so
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
    List<BadRecord> badRecords,
    List<String> unusedFields,
    int specialTokensAsText,
    boolean withoutThinking) {

  /** Copies the lists. */
  public DataReport {
    fullyMasked = List.copyOf(fullyMasked);
    tooLong = List.copyOf(tooLong);
    badRecords = List.copyOf(badRecords);
    unusedFields = List.copyOf(unusedFields);
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
