package org.alpaca4j.data;

import java.util.Arrays;
import org.alpaca4j.core.Tokenizer;

/** Where the label mask of an instruction record is decided: pure functions from texts to ids. */
final class SegmentTokenizer {

  private static final int IGNORE = SupervisedExample.IGNORE_INDEX;

  private final Tokenizer tokenizer;
  private final int[] prefix;
  private final int[] suffix;
  private final int bos;
  private final int eos;

  SegmentTokenizer(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    this.prefix = tokenizer.prefixIds();
    this.suffix = tokenizer.suffixIds();
    this.bos = tokenizer.bosId().orElse(-1);
    this.eos = requiredEos(tokenizer);
  }

  static int requiredEos(Tokenizer tokenizer) {
    return tokenizer
        .eosId()
        .orElseThrow(
            () ->
                new DataException(
                    "the tokenizer names no end-of-sequence token, so a model could not learn to"
                        + " stop; use tokenizer.withMissingSpecialTokens() or"
                        + " withSpecialTokens(...)"));
  }

  /** As {@link #segments}; where that is too long, the prompt is cut from the left. */
  ExampleMaker.Made promptFromLeft(String source, String target, int maxLength) {
    return Truncation.promptFromLeft(segments(source, target), prefix.length, maxLength);
  }

  /**
   * Source and target apart: the template's prefix (BOS), the source's ids, the target's ids, EOS.
   * The mask is the border between the two, so no merge can shift it.
   */
  SupervisedExample segments(String source, String target) {
    int[] sourceIds = tokenizer.encodePromptIds(source);
    int[] targetIds = tokenizer.encodePromptIds(target);
    int skip = startsWithBosTwice(sourceIds) ? 1 : 0;
    int sourceLength = prefix.length + sourceIds.length - skip;
    int[] ids = new int[sourceLength + targetIds.length + 1];
    System.arraycopy(prefix, 0, ids, 0, prefix.length);
    System.arraycopy(sourceIds, skip, ids, prefix.length, sourceIds.length - skip);
    System.arraycopy(targetIds, 0, ids, sourceLength, targetIds.length);
    ids[ids.length - 1] = eos;
    if (prefix.length > 0 && bos >= 0 && ids.length > 1 && ids[0] == bos && ids[1] == bos) {
      throw new DataException("the prompt begins with more than one begin-of-sequence token");
    }
    int[] labels = ids.clone();
    Arrays.fill(labels, 0, sourceLength, IGNORE);
    return new SupervisedExample(ids, labels);
  }

  // A prompt template that writes the BOS text itself, on a tokenizer that adds BOS anyway.
  private boolean startsWithBosTwice(int[] sourceIds) {
    return prefix.length > 0
        && prefix[prefix.length - 1] == bos
        && sourceIds.length > 0
        && sourceIds[0] == bos;
  }

  /**
   * train.py's way: source and target as one string, cut at maxLength; as many labels masked as the
   * source alone has ids that are not the pad id.
   */
  ExampleMaker.Made compatible(String source, String target, int maxLength, int pad) {
    int[] whole = tokenizer.encodeIds(source + target, true);
    int[] ids = truncate(whole, maxLength);
    int masked = 0;
    for (int id : truncate(tokenizer.encodeIds(source, true), maxLength)) {
      if (id != pad) {
        masked++;
      }
    }
    int[] labels = ids.clone();
    Arrays.fill(labels, 0, Math.min(masked, labels.length), IGNORE);
    return new ExampleMaker.Made(
        new SupervisedExample(ids, labels),
        whole.length > maxLength ? ExampleMaker.Cut.END : ExampleMaker.Cut.NONE);
  }

  // As transformers cuts: what the template puts at the end stays.
  private int[] truncate(int[] ids, int maxLength) {
    if (ids.length <= maxLength) {
      return ids;
    }
    int[] cut = Arrays.copyOf(ids, maxLength);
    int kept = Math.min(suffix.length, maxLength);
    System.arraycopy(suffix, suffix.length - kept, cut, maxLength - kept, kept);
    return cut;
  }
}
