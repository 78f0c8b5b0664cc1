package org.alpaca4j.core;

import java.util.Objects;

/**
 * A token that is found in a text as a whole, before the tokenizer's model sees the rest; the entry
 * of {@code added_tokens} in a {@code tokenizer.json}.
 *
 * @param content the token's text, not empty
 * @param special whether decoding can skip it ({@code skipSpecialTokens})
 * @param lstrip whether it swallows the white space before it
 * @param rstrip whether it swallows the white space after it
 * @param singleWord whether it matches only between word boundaries
 * @param normalized whether it is looked for in the normalised text instead of the original
 */
public record AddedToken(
    String content,
    boolean special,
    boolean lstrip,
    boolean rstrip,
    boolean singleWord,
    boolean normalized) {

  /** Checks that the text is not empty. */
  public AddedToken {
    Objects.requireNonNull(content, "content is null");
    if (content.isEmpty()) {
      throw new IllegalArgumentException("content must not be empty");
    }
  }

  /** Returns a special token: matched as it stands, skipped when decoding without specials. */
  public static AddedToken special(String content) {
    return new AddedToken(content, true, false, false, false, false);
  }

  /** Returns an ordinary token: looked for in the normalised text, always decoded. */
  public static AddedToken ordinary(String content) {
    return new AddedToken(content, false, false, false, false, true);
  }
}
