package org.alpaca4j.weights;

/**
 * Stanford Alpaca's naive integrity check: the sum of all elements of all recovered weights must be
 * near a known figure. It notices a wrong base model; it cannot tell which tensor is wrong, and
 * errors may cancel. A diff made by {@link WeightDiff} carries hashes, which are better.
 *
 * <p>The sum is over the fp32 values before they are rounded to the output's type, each tensor
 * once. It is taken in fp64, whereas torch adds in fp32; at the size of Alpaca-7B that is why a
 * tolerance is needed.
 *
 * <p>A figure does not say whether the rotary inverse frequencies of each layer are in it: versions
 * of transformers differ in whether a model's state has them, and that is why the original's check
 * fails for many. So the check passes if either sum is near, without them or with them (unscaled
 * rotary embeddings only); {@link WeightDiff.RecoverResult} and the error have both.
 *
 * @param expected the sum
 * @param tolerance the largest permitted distance from it
 */
public record IntegrityCheck(double expected, double tolerance) {
  /** The figure published for Alpaca-7B recovered from LLaMA-7B: 50637.1836, within 0.01. */
  public static final IntegrityCheck ALPACA_7B = naiveSum(50637.1836, 1e-2);

  /** Refuses what is no number and a negative tolerance. */
  public IntegrityCheck {
    if (!Double.isFinite(expected) || !(tolerance >= 0)) {
      throw new IllegalArgumentException(
          "expected is "
              + expected
              + " and tolerance "
              + tolerance
              + "; they must be a finite number and one of 0 or more");
    }
  }

  /**
   * Returns the check against a sum.
   *
   * @param expected the sum
   * @param tolerance the largest permitted distance from it, at least 0
   */
  public static IntegrityCheck naiveSum(double expected, double tolerance) {
    return new IntegrityCheck(expected, tolerance);
  }

  boolean accepts(double sum) {
    return Math.abs(sum - expected) <= tolerance;
  }
}
