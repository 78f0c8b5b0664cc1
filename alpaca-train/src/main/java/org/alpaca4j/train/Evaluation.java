package org.alpaca4j.train;

/**
 * The loss of a model on a dataset, computed as that of a training step.
 *
 * @param loss mean cross entropy of all supervised tokens, each counting by its {@linkplain
 *     org.alpaca4j.data.SupervisedExample#weights weight}, in nats
 * @param supervisedTokens tokens that the loss is the mean of
 * @param examples examples read
 */
public record Evaluation(double loss, long supervisedTokens, int examples) {
  /** Returns e to the loss, which is the weighted mean. */
  public double perplexity() {
    return Math.exp(loss);
  }
}
