package org.alpaca4j.core;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Finds the texts of special tokens, the longest at each place, as the tokenizers library does, and
 * marks those that are to stay text: by a noncharacter before them, which templates pass on.
 *
 * <p>Immutable and thread-safe.
 */
final class SpecialTokenTexts {
  /** One of Unicode's noncharacters, which are for such use within a program. */
  static final char MARK = '\uFDD0';

  private static final int ASCII = 128;

  private final Map<Character, List<String>> byFirst = new HashMap<>();

  /** What most characters are told by, without a look into the map. */
  private final boolean[] beginsInAscii = new boolean[ASCII];

  private boolean beginsElsewhere;

  SpecialTokenTexts(Collection<String> tokens) {
    for (String token : tokens) {
      char first = token.charAt(0);
      byFirst.computeIfAbsent(first, key -> new ArrayList<>()).add(token);
      beginsElsewhere |= first >= ASCII;
      if (first < ASCII) {
        beginsInAscii[first] = true;
      }
    }
    byFirst.values().forEach(list -> list.sort(Comparator.comparingInt(String::length).reversed()));
  }

  /** Returns the special token whose text begins at this place, or null. */
  @Nullable String at(String text, int index) {
    char first = text.charAt(index);
    if (first < ASCII ? !beginsInAscii[first] : !beginsElsewhere) {
      return null;
    }
    List<String> candidates = byFirst.get(first);
    if (candidates != null) {
      for (String token : candidates) {
        if (text.startsWith(token, index)) {
          return token;
        }
      }
    }
    return null;
  }

  /** Returns whether the text of a special token is in a text. */
  boolean anyIn(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (at(text, i) != null) {
        return true;
      }
    }
    return false;
  }

  /** Returns a text in which special tokens' texts are marked; the very same if there are none. */
  String marked(String text) {
    StringBuilder marked = null;
    int done = 0;
    for (int i = 0; i < text.length(); i++) {
      String token = at(text, i);
      if (token != null) {
        marked = marked == null ? new StringBuilder(text.length() + 16) : marked;
        marked.append(text, done, i);
        if (i == 0 || text.charAt(i - 1) != MARK) {
          marked.append(MARK);
        }
        marked.append(token);
        i += token.length() - 1;
        done = i + 1;
      }
    }
    return marked == null ? text : marked.append(text, done, text.length()).toString();
  }
}
