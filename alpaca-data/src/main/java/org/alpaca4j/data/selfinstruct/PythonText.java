package org.alpaca4j.data.selfinstruct;

import java.util.regex.Pattern;

/**
 * White space and words as Python's {@code str} and {@code re} see them, which is neither Java's
 * default nor its {@code UNICODE_CHARACTER_CLASS}: U+001C to U+001F are white space, a combining
 * mark is no part of a word.
 */
final class PythonText {
  /** A character class of white space, to be put into an expression. */
  static final String SPACE =
      "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";

  private static final Pattern SPACES = Pattern.compile(SPACE + "+");
  private static final Pattern AT_ENDS = Pattern.compile("\\A" + SPACE + "+|" + SPACE + "+\\z");
  private static final String WORD_CHARACTER = "[\\p{L}\\p{N}_]";

  private PythonText() {}

  /** Returns {@code text.strip()}. */
  static String strip(String text) {
    return AT_ENDS.matcher(text).replaceAll("");
  }

  /** Returns {@code re.sub(r"\s+", " ", text)}. */
  static String collapse(String text) {
    return SPACES.matcher(text).replaceAll(" ");
  }

  /** Returns {@code len(text.split())}. */
  static int countWords(String text) {
    String stripped = strip(text);
    return stripped.isEmpty() ? 0 : SPACES.split(stripped).length;
  }

  /** Returns an expression that finds a text as a whole word, in any case. */
  static Pattern wholeWord(String word) {
    return Pattern.compile(
        "(?<!" + WORD_CHARACTER + ")" + Pattern.quote(word) + "(?!" + WORD_CHARACTER + ")",
        Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE);
  }
}
