package org.alpaca4j.data.metrics;

import java.util.ArrayList;
import java.util.List;

/** White space as Python's str methods see it: Unicode's, and the four information separators. */
final class PythonText {
  private PythonText() {}

  /** As {@code text.split()}. */
  static List<String> split(String text) {
    List<String> words = new ArrayList<>();
    int start = 0;
    for (int i = 0; i <= text.length(); i++) {
      if (i == text.length() || isSpace(text.charAt(i))) {
        if (i > start) {
          words.add(text.substring(start, i));
        }
        start = i + 1;
      }
    }
    return words;
  }

  /** As {@code text.rstrip()}. */
  static String stripTrailing(String text) {
    int end = text.length();
    while (end > 0 && isSpace(text.charAt(end - 1))) {
      end--;
    }
    return text.substring(0, end);
  }

  /** As {@code text.strip()}. */
  static String strip(String text) {
    String stripped = stripTrailing(text);
    int start = 0;
    while (start < stripped.length() && isSpace(stripped.charAt(start))) {
      start++;
    }
    return stripped.substring(start);
  }

  private static boolean isSpace(char c) {
    return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == '\u0085';
  }
}
