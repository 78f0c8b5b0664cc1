package org.alpaca4j.data.similarity;

import java.util.List;
import java.util.Objects;
import java.util.function.Function;

/**
 * Texts that others are compared with, all pairs exactly: highest score, mean score and the most
 * similar texts by ROUGE-L. Grows by {@link #add}.
 *
 * <p>Several threads may query at once; adding must not happen at the same time as anything else.
 */
public final class SimilarityIndex {
  private final Function<String, List<String>> tokenizer;
  private final Vocabulary vocabulary = new Vocabulary();
  private final AllPairsIndex texts = new AllPairsIndex();

  /**
   * Creates an empty index over rouge_score's tokens, or those of their scripts for texts mostly in
   * other than Latin letters: {@link RougeTokens#tokenizeFitting}.
   */
  public SimilarityIndex() {
    this(RougeTokens::tokenizeFitting);
  }

  /**
   * Creates an empty index over tokens of one's own.
   *
   * @param tokenizer gives a text's tokens; must be pure and thread-safe
   */
  public SimilarityIndex(Function<String, List<String>> tokenizer) {
    Objects.requireNonNull(tokenizer, "tokenizer is null");
    this.tokenizer = tokenizer;
  }

  /**
   * Adds a text and returns its index: 0 for the first one, then 1, and so on.
   *
   * @param text any text; one without tokens has score 0 with everything
   */
  public int add(String text) {
    Objects.requireNonNull(text, "text is null");
    texts.add(vocabulary.add(tokenizer.apply(text)));
    return texts.size() - 1;
  }

  /** Returns the number of texts added. */
  public int size() {
    return texts.size();
  }

  /**
   * Compares a text with all texts of this index.
   *
   * @param text the text to compare
   * @param topK how many of the most similar texts to name; fewer if the index is smaller
   * @throws IllegalArgumentException if {@code topK} is negative
   */
  public Similarities query(String text, int topK) {
    Objects.requireNonNull(text, "text is null");
    if (topK < 0) {
      throw new IllegalArgumentException("topK must not be negative: " + topK);
    }
    Tally tally = new Tally(Math.max(1, Math.min(topK, texts.size())));
    texts.compare(vocabulary.find(tokenizer.apply(text)), 0, tally);
    return new Similarities(
        tally.max(), texts.size() == 0 ? 0 : tally.sum() / texts.size(), tally.mostSimilar(topK));
  }
}
