/**
 * Operations on whole checkpoints: weight diffs ({@link org.alpaca4j.weights.WeightDiff}) and
 * conversion to Hugging Face folders ({@link org.alpaca4j.weights.CheckpointConverter}). Start
 * reading there; {@link org.alpaca4j.weights.gguf} has llama.cpp's file format.
 */
@NullMarked
package org.alpaca4j.weights;

import org.jspecify.annotations.NullMarked;
