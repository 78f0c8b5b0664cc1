package org.alpaca4j.core;

import java.util.List;
import java.util.OptionalDouble;

/**
 * One generated sequence.
 *
 * @param ids the new tokens, without the prompt's; with the eos token, or those of the stop string,
 *     that ended it
 * @param text the new tokens' text without special tokens, up to the stop string if one ended it;
 *     empty for a model without tokenizer
 * @param finishReason why it ended
 * @param score with beams, the sum of log-probabilities ÷ length ^ lengthPenalty; else empty
 * @param scores for each new token the scores [vocabulary] it was chosen by, after all processors,
 *     if {@link GenerationConfig#outputScores} asked for them; else empty
 */
public record GenerationResult(
    int[] ids, String text, FinishReason finishReason, OptionalDouble score, List<float[]> scores) {
  /** Keeps the arrays as they are, without copies. */
  public GenerationResult {
    scores = List.copyOf(scores);
  }
}
