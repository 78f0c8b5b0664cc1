package org.alpaca4j.core;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A tokenised text: one id per token, with the span of text that each token came from.
 *
 * <p>Spans count <em>code points</em> of the text, not UTF-16 units ({@link
 * String#offsetByCodePoints} converts). Several tokens inside one character repeat that character's
 * span; where a normaliser joins characters, the span covers the first of them only; a token that
 * the tokenizer's template added has the span 0–0. The arrays are not copied: leave them unchanged.
 *
 * @param ids token ids
 * @param starts first code point of each token
 * @param ends code point after the last of each token
 * @param special whether the tokenizer's own template added the token (a begin-of-sequence token,
 *     for instance); false for special tokens that stood in the text
 */
public record Encoding(int[] ids, int[] starts, int[] ends, boolean[] special) {

  /** Checks that the four arrays have one length. */
  public Encoding {
    if (starts.length != ids.length || ends.length != ids.length || special.length != ids.length) {
      throw new IllegalArgumentException(
          "ids, starts, ends and special must have one length, found "
              + ids.length
              + ", "
              + starts.length
              + ", "
              + ends.length
              + " and "
              + special.length);
    }
  }

  /** Returns the number of tokens. */
  public int size() {
    return ids.length;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Encoding that
        && Arrays.equals(ids, that.ids)
        && Arrays.equals(starts, that.starts)
        && Arrays.equals(ends, that.ends)
        && Arrays.equals(special, that.special);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(ids);
  }

  @Override
  public String toString() {
    return "Encoding" + Arrays.toString(ids);
  }
}
