/**
 * <a href="https://arxiv.org/abs/2305.15334">Gorilla</a>: APIBench's records as training data, with
 * or without a retrieved documentation, and the evaluation of generated API calls by syntax tree.
 */
@NullMarked
package org.alpaca4j.data.gorilla;

import org.jspecify.annotations.NullMarked;
