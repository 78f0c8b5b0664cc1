package org.alpaca4j.data;

import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import org.alpaca4j.core.Conformance.Prompt;

/**
 * Keeps the prompts of a few records, spread over all of them: those whose indexes have the
 * smallest hashes, so that the same records always give the same ones. Not thread-safe.
 */
final class PromptSample<R> {
  /** More than are used: some may be too long, or not be asked in the model's form. */
  private static final int SIZE = 64;

  private final Function<R, Optional<Prompt>> prompts;
  private final TreeMap<Long, Prompt> kept = new TreeMap<>();
  private long index;

  /**
   * Starts without records.
   *
   * @param prompts empty for records that are not asked by a short prompt
   */
  PromptSample(Function<R, Optional<Prompt>> prompts) {
    this.prompts = prompts;
  }

  /** Takes the next record into account. */
  void offer(R record) {
    long hash = SplitMix64.mix(++index * SplitMix64.GOLDEN_GAMMA);
    if (kept.size() < SIZE || hash < kept.lastKey()) {
      prompts.apply(record).ifPresent(prompt -> kept.put(hash, prompt));
      if (kept.size() > SIZE) {
        kept.pollLastEntry();
      }
    }
  }

  /** Returns the prompts; any first few of them are spread over the records as well. */
  List<Prompt> prompts() {
    return List.copyOf(kept.values());
  }
}
