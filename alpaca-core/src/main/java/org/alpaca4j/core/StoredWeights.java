package org.alpaca4j.core;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** How weights are stored, which says how far two computations with them may be apart. */
enum StoredWeights {
  FLOAT32("float32", 2e-3),
  FLOAT16("float16", 0.05),
  BFLOAT16("bfloat16", 0.3),
  Q8_0("Q8_0", 0.3),
  Q6_K("Q6_K", 0.6),
  Q5_K_M("Q5_K_M", 1),
  Q4_K_M("Q4_K_M", 2);

  private final String text;
  private final double tolerance;

  StoredWeights(String text, double tolerance) {
    this.text = text;
    this.tolerance = tolerance;
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

  /** Returns by how much a log-probability may differ. */
  double tolerance() {
    return tolerance;
  }

  /** Returns the one of the two that says less about a value. */
  StoredWeights coarser(StoredWeights other) {
    return compareTo(other) >= 0 ? this : other;
  }
}
