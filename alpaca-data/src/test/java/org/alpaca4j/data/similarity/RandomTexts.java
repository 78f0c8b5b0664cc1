package org.alpaca4j.data.similarity;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Texts of random tokens, many of them near duplicates of one another, some empty. */
final class RandomTexts {
  private RandomTexts() {}

  static List<String> make(long seed, int count, int longest, int vocabulary) {
    Random random = new Random(seed);
    List<List<String>> texts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      List<String> text = new ArrayList<>();
      if (!texts.isEmpty() && random.nextInt(3) > 0) {
        text.addAll(texts.get(random.nextInt(texts.size())));
        for (int edit = random.nextInt(1 + text.size() / 2); edit > 0; edit--) {
          if (random.nextBoolean()) {
            text.remove(random.nextInt(text.size()));
          } else {
            text.set(random.nextInt(text.size()), token(random, vocabulary));
          }
        }
      } else {
        for (int length = random.nextInt(longest + 1); length > 0; length--) {
          text.add(token(random, vocabulary));
        }
      }
      texts.add(text);
    }
    return texts.stream().map(text -> String.join(" ", text)).toList();
  }

  /** Low numbers are more frequent, as in language. */
  private static String token(Random random, int vocabulary) {
    return "w" + (int) (vocabulary * Math.pow(random.nextDouble(), 3));
  }
}
