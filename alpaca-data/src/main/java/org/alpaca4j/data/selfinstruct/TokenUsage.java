package org.alpaca4j.data.selfinstruct;

import java.util.Objects;

/**
 * What requests cost, in tokens.
 *
 * @param promptTokens tokens sent
 * @param completionTokens tokens generated
 */
public record TokenUsage(long promptTokens, long completionTokens) {
  /** Nothing. */
  public static final TokenUsage NONE = new TokenUsage(0, 0);

  /** Returns the sum of both. */
  public TokenUsage plus(TokenUsage other) {
    Objects.requireNonNull(other, "other is null");
    return new TokenUsage(
        promptTokens + other.promptTokens, completionTokens + other.completionTokens);
  }
}
