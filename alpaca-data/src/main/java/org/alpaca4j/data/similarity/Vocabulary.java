package org.alpaca4j.data.similarity;

import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Gives each different token a number: 0, 1, and so on. */
final class Vocabulary {
  /** Stands for a token that has no number. */
  static final int UNKNOWN = -1;

  private final Map<String, Integer> numbers = new HashMap<>();

  /** The tokens' numbers; new ones get the next. */
  int[] add(List<String> tokens) {
    int[] ids = new int[tokens.size()];
    for (int i = 0; i < ids.length; i++) {
      int next = numbers.size();
      Integer known = numbers.putIfAbsent(tokens.get(i), next);
      ids[i] = known == null ? next : known;
    }
    return ids;
  }

  /** The tokens' numbers, {@link #UNKNOWN} for those that were never added. */
  int[] find(List<String> tokens) {
    int[] ids = new int[tokens.size()];
    Arrays.setAll(ids, i -> numbers.getOrDefault(tokens.get(i), UNKNOWN));
    return ids;
  }

  int size() {
    return numbers.size();
  }

  /**
   * Renumbers texts in place so that frequent tokens have low numbers, which keeps what is often
   * looked up together in memory and puts the rarest token of a text last when it is sorted.
   */
  static void numberByFrequency(List<int[]> texts, int size) {
    int[] frequencies = new int[size];
    for (int[] text : texts) {
      for (int token : text) {
        frequencies[token]++;
      }
    }
    Integer[] order = new Integer[size];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, Comparator.comparingInt(token -> -frequencies[token]));
    int[] numbers = new int[size];
    for (int i = 0; i < size; i++) {
      numbers[order[i]] = i;
    }
    for (int[] text : texts) {
      Arrays.setAll(text, i -> numbers[text[i]]);
    }
  }
}
