package org.alpaca4j.core;

import java.util.Objects;
import java.util.Optional;

/**
 * The element type of a stored tensor, under its safetensors name. Constants are in the order in
 * which the safetensors reference implementation ranks them; it stores tensors of a higher rank
 * first, so that all of them are aligned.
 *
 * @see <a href="https://github.com/huggingface/safetensors#format">The safetensors format</a>
 */
public enum DType {
  /** Boolean, one byte. */
  BOOL("BOOL", 1, 11, "bool"),
  /** Unsigned 8-bit integer. */
  U8("U8", 1, 0, "uint8"),
  /** Signed 8-bit integer. */
  I8("I8", 1, 1, "int8"),
  /** 8-bit float, 5 exponent bits. */
  F8_E5M2("F8_E5M2", 1, 23, "float8_e5m2"),
  /** 8-bit float, 4 exponent bits, finite. */
  F8_E4M3("F8_E4M3", 1, 24, "float8_e4m3fn"),
  /** 8-bit scale: exponent only. */
  F8_E8M0("F8_E8M0", 1, 44, "float8_e8m0fnu"),
  /** Signed 16-bit integer. */
  I16("I16", 2, 2, "int16"),
  /** Unsigned 16-bit integer. */
  U16("U16", 2, 27, "uint16"),
  /** IEEE half precision. */
  F16("F16", 2, 5, "float16"),
  /** bfloat16: the upper half of an IEEE single. */
  BF16("BF16", 2, 15, "bfloat16"),
  /** Signed 32-bit integer. */
  I32("I32", 4, 3, "int32"),
  /** Unsigned 32-bit integer. */
  U32("U32", 4, 28, "uint32"),
  /** IEEE single precision. */
  F32("F32", 4, 6, "float32"),
  /** Complex number of two IEEE singles. */
  C64("C64", 8, 9, "complex64"),
  /** IEEE double precision. */
  F64("F64", 8, 7, "float64"),
  /** Signed 64-bit integer. */
  I64("I64", 8, 4, "int64"),
  /** Unsigned 64-bit integer. */
  U64("U64", 8, 29, "uint64");

  private final String safetensorsName;
  private final int bytes;
  private final int torchScalarType;
  private final String torchName;

  DType(String safetensorsName, int bytes, int torchScalarType, String torchName) {
    this.safetensorsName = safetensorsName;
    this.bytes = bytes;
    this.torchScalarType = torchScalarType;
    this.torchName = torchName;
  }

  /** Returns the name in a safetensors header, such as {@code BF16}. */
  public String safetensorsName() {
    return safetensorsName;
  }

  /** Returns the size of one element in bytes. */
  public int bytes() {
    return bytes;
  }

  /** Returns the number of the type in torch programs ({@code c10::ScalarType}), 15 for bf16. */
  public int torchScalarType() {
    return torchScalarType;
  }

  /** Returns the name in a {@code config.json}, such as {@code bfloat16}. */
  public String torchName() {
    return torchName;
  }

  /** Returns whether weights of this type can be loaded: {@link #F32}, {@link #BF16}, F16. */
  public boolean isWeight() {
    return this == F32 || this == BF16 || this == F16;
  }

  /**
   * Returns the type with the given safetensors name, if there is one.
   *
   * @param name such as {@code F32}
   */
  public static Optional<DType> ofSafetensorsName(String name) {
    Objects.requireNonNull(name, "name is null");
    for (DType type : values()) {
      if (type.safetensorsName.equals(name)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }

  /**
   * Returns the type with the given torch name, if there is one.
   *
   * @param name such as {@code float32} or {@code torch.float32}
   */
  public static Optional<DType> ofTorchName(String name) {
    Objects.requireNonNull(name, "name is null");
    String plain = name.startsWith("torch.") ? name.substring("torch.".length()) : name;
    for (DType type : values()) {
      if (type.torchName.equals(plain)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }
}
