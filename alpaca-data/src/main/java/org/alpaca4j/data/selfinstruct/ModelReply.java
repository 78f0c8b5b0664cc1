package org.alpaca4j.data.selfinstruct;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A model's answer to one request.
 *
 * @param request the number of the request it answers
 * @param text what follows the prompt, up to the stop sequence
 * @param finishReason why it ended, as the OpenAI protocol names it: "stop", or "length" if it was
 *     cut; null if the model does not say
 * @param usage what it cost
 */
public record ModelReply(
    long request, String text, @Nullable String finishReason, TokenUsage usage) {
  /** Checks that there is a text and a usage. */
  public ModelReply {
    Objects.requireNonNull(text, "text is null");
    Objects.requireNonNull(usage, "usage is null");
  }
}
