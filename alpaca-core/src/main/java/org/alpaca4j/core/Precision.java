package org.alpaca4j.core;

/** The number format in which a model's weights are held and its layers compute. */
public enum Precision {
  /** 32-bit floating point. */
  FLOAT32(DType.F32),

  /**
   * bfloat16: fp32's range with 8 bits of mantissa, half the memory. Sums inside a matrix product,
   * the norms' statistics, softmax and loss are fp32 all the same.
   */
  BFLOAT16(DType.BF16),

  /**
   * IEEE half precision: 10 bits of mantissa, values to 65,504, half the memory. For weights at
   * rest alone ({@link CausalLm.Builder#weights}): layers do not compute in it.
   */
  FLOAT16(DType.F16);

  private final DType dtype;

  Precision(DType dtype) {
    this.dtype = dtype;
  }

  /** Returns the dtype of the weights. */
  public DType dtype() {
    return dtype;
  }
}
