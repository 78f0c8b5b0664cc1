package org.alpaca4j.data;

/**
 * SplitMix64's constants and finaliser. Our own, since the JDK does not promise that its generators
 * give the same numbers in another release.
 */
final class SplitMix64 {

  static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

  private SplitMix64() {}

  static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  /** The n-th number of a seed's sequence, uniform in [0, 1). */
  static double uniform(long seed, long n) {
    return (mix(mix(seed) + (n + 1) * GOLDEN_GAMMA) >>> 11) * 0x1.0p-53;
  }
}
