package org.alpaca4j.core.internal.model;

/**
 * A model that reads sequences token by token, keeping what attention needs of the earlier ones.
 *
 * <p>Thread-safe; each {@link Sequences} belongs to one thread.
 */
public interface IncrementalDecoder extends AutoCloseable {
  /**
   * Reads prompts and returns them as the rows of a batch, with logits for the token after each.
   *
   * @param prompts at least one, none empty
   * @param steps how many tokens will be appended at most: memory is reserved for some of them
   */
  Sequences start(int[][] prompts, int steps);

  /**
   * Prepares the weights for fast steps now, instead of when enough steps were made to be worth it.
   */
  void prepare();

  /** Rows of token sequences and the logits for each row's next token. */
  interface Sequences extends AutoCloseable {
    /** Returns the number of rows. */
    int rows();

    /** Returns the most likely next token of each row. */
    int[] best();

    /** Returns fp32 logits [rows][vocabulary] for the next tokens. */
    float[][] logits();

    /** Returns fp32 log-probabilities [rows][vocabulary] of the next tokens. */
    float[][] logProbabilities();

    /** Appends a token to each row. */
    void append(int[] ids);

    /** Appends {@link #best} to each row. */
    void appendBest();

    /**
     * Keeps these rows, in this order; a row may be named several times. {@link #best} and {@link
     * #logits} are not valid until the next token is appended.
     */
    void select(int[] rows);

    @Override
    void close();
  }

  @Override
  void close();
}
