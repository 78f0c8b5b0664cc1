package org.alpaca4j.core.internal.model;

import ai.djl.ndarray.NDArray;

/**
 * Token ids of several examples lying one after the other, with what attention needs to know.
 *
 * @param ids [tokens] int64
 * @param cos [tokens, 1, headDim / 2] cosines of the rotary angles; positions restart per example
 * @param sin likewise, sines
 * @param lengths [examples] int64 on the CPU: tokens of each example
 * @param tokens number of tokens
 */
public record PackedInput(NDArray ids, NDArray cos, NDArray sin, NDArray lengths, int tokens) {}
