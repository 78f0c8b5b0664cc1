package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;

/**
 * Token ids of several examples lying one after the other, with what attention needs to know. What
 * several examples begin with is there once: the examples form a tree of segments, each of which
 * continues another one or begins examples.
 *
 * @param ids [tokens] int64
 * @param positions [tokens] int64: each token's place in its examples
 * @param cos for each rotary embedding [tokens, 1, pairs]: cosines of the angles
 * @param sin likewise, sines
 * @param segments [segments, 3] int64 on the CPU: number of tokens, index of the segment that it
 *     continues, which comes before it, or -1, and how many of its first tokens see each other in
 *     both directions
 * @param ends [examples + 1] int32: where each example ends, after a 0; empty where attention goes
 *     segment by segment
 * @param bias [heads, positions] fp32: what attention adds to the scores of keys; or empty
 * @param outputTokens [rows of the last layer's output] int64: the tokens that they belong to,
 *     ascending; empty: all tokens
 * @param outputRows [outputs, in the order in which they were asked for] int64: rows of the last
 *     layer's output
 * @param seed [] int64 on the CPU: of dropout, or -1: there is none
 * @param allTokens empty: what a layer of which all is read takes for {@code outputTokens}
 * @param tokenOf [tokens of all examples] where each token that was packed is among {@code ids}
 */
public record PackedInput(
    NDArray ids,
    NDArray positions,
    NDArray[] cos,
    NDArray[] sin,
    NDArray segments,
    NDArray ends,
    NDArray bias,
    NDArray outputTokens,
    NDArray outputRows,
    NDArray seed,
    NDArray allTokens,
    int[] tokenOf) {

  /** Returns the number of tokens to compute. */
  public int tokens() {
    return Math.toIntExact(ids.size());
  }

  /** Returns the number of rows of the last layer's output. */
  public int outputs() {
    return outputTokens.isEmpty() ? tokens() : Math.toIntExact(outputTokens.size());
  }

  static NDArray seed(NDManager scope, long value) {
    return scope.create(value).toDevice(Device.cpu(), false);
  }

  /**
   * Returns the same with dropout, where the decoder has any.
   *
   * @param value 0 or more; the same one gives the same masks
   */
  public PackedInput withDropout(long value) {
    return new PackedInput(
        ids,
        positions,
        cos,
        sin,
        segments,
        ends,
        bias,
        outputTokens,
        outputRows,
        seed(segments.getManager(), value),
        allTokens,
        tokenOf);
  }

  /** Returns what a layer's program takes as {@code batch}. */
  NDArray[] batch(boolean lastLayer) {
    return new NDArray[] {segments, lastLayer ? outputTokens : allTokens, ends, bias, seed};
  }
}
