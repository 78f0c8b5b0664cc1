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
 * @param rows [tokens of all examples] the place, from 0 to {@code tokens}, of each token that was
 *     packed; not copied
 * @param tokens number of tokens to compute
 */
public record PackedInput(
    NDArray ids, NDArray cos, NDArray sin, NDArray segments, int[] rows, int tokens) {}
