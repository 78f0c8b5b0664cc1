package org.alpaca4j.data;

/**
 * The order in which an epoch visits the examples: a pure function of size and epoch, so that a
 * resumed run goes on where it stopped. Implementations must be stateless.
 */
@FunctionalInterface
public interface ExampleOrder {

  /** The examples as they stand, in every epoch. */
  ExampleOrder SEQUENTIAL =
      (size, epoch) -> {
        int[] order = new int[size];
        for (int i = 0; i < size; i++) {
          order[i] = i;
        }
        return order;
      };

  /**
   * Returns the order of an epoch: every index from 0 to size − 1 once.
   *
   * @param size the number of examples
   * @param epoch the epoch, from 0
   */
  int[] order(int size, int epoch);

  /**
   * Returns a random order that is another one in each epoch and depends on the seed and the epoch
   * alone, on every JVM.
   *
   * <p>The generator is SplitMix64 (Steele, Lea and Flood, 2014): its state starts at {@code
   * mix(mix(seed) + epoch)} and grows by 0x9E3779B97F4A7C15; Fisher and Yates' shuffle, from the
   * end, takes {@code (high 32 bits × bound) >> 32}.
   */
  static ExampleOrder shuffled(long seed) {
    return (size, epoch) -> {
      int[] order = SEQUENTIAL.order(size, epoch);
      long state = SplitMix64.mix(SplitMix64.mix(seed) + epoch);
      for (int i = size - 1; i > 0; i--) {
        state += SplitMix64.GOLDEN_GAMMA;
        int j = (int) (((SplitMix64.mix(state) >>> 32) * (i + 1)) >>> 32);
        int swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
      }
      return order;
    };
  }
}
