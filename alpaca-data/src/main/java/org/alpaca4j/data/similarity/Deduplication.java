package org.alpaca4j.data.similarity;

import java.util.List;
import java.util.Objects;

/**
 * What a {@link Deduplicator} kept and what it dropped.
 *
 * <p>{@link Duplicate#mostSimilar} and {@link Similarity#index} count the seeds first, then all
 * texts given: below {@link #seeds} it is a seed, otherwise the text {@code number - seeds}.
 *
 * @param seeds number of seeds
 * @param kept indexes of the texts kept, ascending
 * @param dropped the texts dropped, by index, each with the seed or kept text it is most like; of
 *     several equally like, the one that came first
 * @param similarities of each text kept, in the order of {@code kept}, with the seeds and the texts
 *     kept before it; empty unless {@link Deduplicator.Builder#mostSimilar} was called
 */
public record Deduplication(
    int seeds, List<Integer> kept, List<Duplicate> dropped, List<Similarities> similarities) {

  /** Copies the lists. */
  public Deduplication {
    kept = List.copyOf(kept);
    dropped = List.copyOf(dropped);
    similarities = List.copyOf(similarities);
  }

  /**
   * Says whether a number names a seed: that one of the seeds; otherwise it names the text with the
   * index {@code number - seeds}.
   *
   * @param number a {@link Duplicate#mostSimilar} or a {@link Similarity#index}
   */
  public boolean isSeed(int number) {
    return number < seeds;
  }

  /**
   * Returns those of the records that were kept, in their order.
   *
   * @param records the records whose texts were compared
   * @throws IndexOutOfBoundsException if there are fewer records than texts
   */
  public <T> List<T> select(List<T> records) {
    Objects.requireNonNull(records, "records is null");
    return kept.stream().<T>map(records::get).toList();
  }
}
