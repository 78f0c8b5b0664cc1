package org.alpaca4j.data.selfinstruct;

import java.util.Objects;

/**
 * What a model is asked.
 *
 * @param number from 0, unique within an output folder
 * @param prompt the text to continue
 * @param decoding how to continue it
 */
public record ModelRequest(long number, String prompt, DecodingOptions decoding) {
  /** Checks that nothing is null. */
  public ModelRequest {
    Objects.requireNonNull(prompt, "prompt is null");
    Objects.requireNonNull(decoding, "decoding is null");
  }
}
