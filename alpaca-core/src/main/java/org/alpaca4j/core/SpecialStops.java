package org.alpaca4j.core;

import java.util.List;
import java.util.Set;
import org.alpaca4j.core.internal.generation.TextStream;
import org.jspecify.annotations.Nullable;

/**
 * Watches one sequence for stop strings that name special tokens, which its text leaves out. Not
 * thread-safe.
 */
final class SpecialStops {
  private final StreamingDecoder decoder;
  private final TextStream stream;

  private SpecialStops(StreamingDecoder decoder, TextStream stream) {
    this.decoder = decoder;
    this.stream = stream;
  }

  /** Returns what watches for those of the stop strings; null if there are none. */
  static @Nullable SpecialStops of(List<String> stopStrings, Tokenizer tokenizer) {
    if (stopStrings.isEmpty()) {
      return null;
    }
    Set<String> special = tokenizer.specialTokens();
    List<String> named =
        stopStrings.stream().filter(stop -> special.stream().anyMatch(stop::contains)).toList();
    return named.isEmpty()
        ? null
        : new SpecialStops(tokenizer.streamingDecoder(false), new TextStream(named));
  }

  /** Returns whether such a stop string is in the sequence. */
  static boolean stops(List<String> stopStrings, Tokenizer tokenizer, int[] ids) {
    SpecialStops stops = of(stopStrings, tokenizer);
    return stops != null && stops.stream.append(tokenizer.decode(ids, false));
  }

  /** Takes the next token; returns whether a stop string is complete with it. */
  boolean append(int id) {
    return stream.append(decoder.append(id));
  }
}
