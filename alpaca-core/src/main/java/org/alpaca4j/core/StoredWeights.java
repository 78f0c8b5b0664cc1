package org.alpaca4j.core;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * How weights are stored, from the finest on, and what rounding to that does: about twice the
 * largest difference that was seen with SmolLM2-135M right after a training in fp32. A small model,
 * and one whose last steps were smaller than the rounding, loses most.
 */
enum StoredWeights {
  FLOAT32("float32", 0),
  FLOAT16("float16", 0.3),
  BFLOAT16("bfloat16", 3),
  Q8_0("Q8_0", 0.5),
  Q6_K("Q6_K", 0.75),
  Q5_K_M("Q5_K_M", 5),
  Q4_K_M("Q4_K_M", 5);

  private final String text;
  private final double roundingTolerance;

  StoredWeights(String text, double roundingTolerance) {
    this.text = text;
    this.roundingTolerance = roundingTolerance;
  }

  static StoredWeights of(DType dtype) {
    return switch (dtype) {
      case F16 -> FLOAT16;
      case BF16 -> BFLOAT16;
      default -> FLOAT32;
    };
  }

  /** Returns the one of this name in a conformance file. */
  static Optional<StoredWeights> of(String text) {
    return Arrays.stream(values()).filter(weights -> weights.text.equals(text)).findFirst();
  }

  static List<String> names() {
    return Arrays.stream(values()).map(StoredWeights::text).toList();
  }

  /** Returns the name in a conformance file. */
  String text() {
    return text;
  }

  /** Returns by how much a log-probability may change when finer weights are rounded to these. */
  double roundingTolerance() {
    return roundingTolerance;
  }

  /** Returns the one of the two that says less about a value. */
  StoredWeights coarser(StoredWeights other) {
    return compareTo(other) >= 0 ? this : other;
  }
}
