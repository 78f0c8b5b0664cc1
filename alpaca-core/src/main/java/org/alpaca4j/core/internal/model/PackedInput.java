package org.alpaca4j.core.internal.model;

import ai.djl.ndarray.NDArray;

/**
 * Token ids of several examples lying one after the other, with what attention needs to know. What
 * several examples begin with is there once: the examples form a tree of segments, each of which
 * continues another one or begins examples.
 *
 * @param ids [tokens] int64
 * @param cos [tokens, 1, headDim / 2] cosines of the rotary angles; positions count from an
 *     example's first token
 * @param sin likewise, sines
 * @param segments [segments, 2] int64 on the CPU: number of tokens, and index of the segment that
 *     it continues, which comes before it, or -1
 * @param wanted [rows of the last layer's output] int64: the tokens that they belong to, ascending;
 *     empty: all tokens
 * @param places [wanted tokens, in the order in which they were asked for] int64: rows of the last
 *     layer's output
 * @param rows [tokens of all examples] where each token that was packed is among {@code ids}
 */
public record PackedInput(
    NDArray ids,
    NDArray cos,
    NDArray sin,
    NDArray segments,
    NDArray wanted,
    NDArray places,
    int[] rows) {

  /** Returns the number of tokens to compute. */
  public int tokens() {
    return Math.toIntExact(ids.size());
  }

  /** Returns the number of rows of the last layer's output. */
  public int outputs() {
    return wanted.isEmpty() ? tokens() : Math.toIntExact(wanted.size());
  }
}
