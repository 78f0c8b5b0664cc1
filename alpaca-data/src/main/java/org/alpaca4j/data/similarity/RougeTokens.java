package org.alpaca4j.data.similarity;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Cuts texts into the tokens that ROUGE compares. All methods are pure and may be called by any
 * thread.
 */
public final class RougeTokens {
  private static final int KELVIN = 0x212A;
  private static final int DOTTED_CAPITAL_I = 0x130;

  private RougeTokens() {}

  /**
   * Returns the tokens of Google's rouge_score without its stemmer: the text in lower case, split
   * at everything but {@code a-z} and {@code 0-9}. Chinese or Russian texts have no such tokens;
   * {@link #tokenizeUnicode} is for them, and {@link #tokenizeFitting} for either.
   *
   * @param text any text
   */
  public static List<String> tokenize(String text) {
    Objects.requireNonNull(text, "text is null");
    List<String> tokens = new ArrayList<>();
    StringBuilder token = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      // Python's lower() has two more letters that become ASCII ones.
      int lower = c >= 'A' && c <= 'Z' ? c + 32 : c == KELVIN ? 'k' : c;
      if (lower >= 'a' && lower <= 'z' || lower >= '0' && lower <= '9') {
        token.append((char) lower);
      } else {
        if (c == DOTTED_CAPITAL_I) { // an i and a dot above, which separates
          token.append('i');
        }
        end(token, tokens);
      }
    }
    end(token, tokens);
    return tokens;
  }

  /**
   * Returns tokens of any script: runs of letters, digits and their marks in lower case, and each
   * character of a script written without blanks (Chinese, Japanese, Thai and the like) by itself.
   * An extension: rouge_score sees no token in most scripts.
   *
   * @param text any text
   */
  public static List<String> tokenizeUnicode(String text) {
    Objects.requireNonNull(text, "text is null");
    List<String> tokens = new ArrayList<>();
    StringBuilder token = new StringBuilder();
    text.codePoints()
        .forEach(
            c -> {
              boolean part = Character.isLetterOrDigit(c) || isMark(c);
              if (!part || isWrittenWithoutBlanks(c)) {
                end(token, tokens);
              }
              if (part) {
                token.appendCodePoint(Character.toLowerCase(c));
                if (isWrittenWithoutBlanks(c)) {
                  end(token, tokens);
                }
              }
            });
    end(token, tokens);
    return tokens;
  }

  /**
   * Returns the tokens that fit a text: {@link #tokenizeUnicode} where most of them are of other
   * scripts than Latin, of which rouge_score would see none, or only the odd word in between;
   * otherwise {@link #tokenize}.
   *
   * @param text any text
   */
  public static List<String> tokenizeFitting(String text) {
    Objects.requireNonNull(text, "text is null");
    if (text.chars().allMatch(c -> c < 0x80)) {
      return tokenize(text);
    }
    List<String> tokens = tokenizeUnicode(text);
    long others = tokens.stream().filter(token -> !isLatin(token.codePointAt(0))).count();
    return 2 * others > tokens.size() ? tokens : tokenize(text);
  }

  /** Whether a token that begins so is one of Latin letters or a number. */
  private static boolean isLatin(int c) {
    return !Character.isLetter(c) || Character.UnicodeScript.of(c) == Character.UnicodeScript.LATIN;
  }

  private static void end(StringBuilder token, List<String> tokens) {
    if (!token.isEmpty()) {
      tokens.add(token.toString());
      token.setLength(0);
    }
  }

  private static boolean isMark(int c) {
    int type = Character.getType(c);
    return type == Character.NON_SPACING_MARK || type == Character.COMBINING_SPACING_MARK;
  }

  private static boolean isWrittenWithoutBlanks(int c) {
    if (c < 0x0E00) {
      return false;
    }
    return switch (Character.UnicodeScript.of(c)) {
      case HAN, HIRAGANA, KATAKANA, BOPOMOFO, THAI, LAO, KHMER, MYANMAR, TIBETAN, YI -> true;
      default -> false;
    };
  }
}
