package org.alpaca4j.train;

/**
 * The loss of a model on a dataset.
 *
 * @param loss mean cross entropy of all supervised tokens, in nats
 * @param supervisedTokens tokens that the loss is the mean of
 * @param examples examples read
 */
public record Evaluation(double loss, long supervisedTokens, int examples) {
  /** Returns e to the loss. */
  public double perplexity() {
    return Math.exp(loss);
  }
}
