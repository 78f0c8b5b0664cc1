package org.alpaca4j.weights.gguf;

import java.util.Arrays;
import java.util.Optional;
import org.alpaca4j.core.DType;

/**
 * The element types of tensors in GGUF files that this library reads. Quantised types store blocks
 * of 32 or 256 neighbours of one row with common scales; {@link GgufImport} decodes them all.
 *
 * @see <a href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">The GGUF format</a>
 */
public enum GgufType {
  /** IEEE single precision. Written by {@link GgufExport}. */
  F32(0, 1, 4, 0),
  /** IEEE half precision. Written by {@link GgufExport}. */
  F16(1, 1, 2, 1),
  /** 4 bits per weight, one scale for 32. */
  Q4_0(2, 32, 18, 2),
  /** 4 bits per weight, one scale and one minimum for 32. */
  Q4_1(3, 32, 20, 3),
  /** 5 bits per weight, one scale for 32. Written by {@link GgufQuantisation}. */
  Q5_0(6, 32, 22, 8),
  /** 5 bits per weight, one scale and one minimum for 32. Written by {@link GgufQuantisation}. */
  Q5_1(7, 32, 24, 9),
  /** 8 bits per weight, one scale for 32. Written by {@link GgufExport}. */
  Q8_0(8, 32, 34, 7),
  /**
   * 4 bits per weight, 6-bit scales and minima for 32, two scales of these for 256. Written by
   * {@link GgufQuantisation}.
   */
  Q4_K(12, 256, 144, 15),
  /**
   * 5 bits per weight, 6-bit scales and minima for 32, two scales of these for 256. Written by
   * {@link GgufQuantisation}.
   */
  Q5_K(13, 256, 176, 17),
  /**
   * 6 bits per weight, 8-bit scales for 16, one scale of these for 256. Written by {@link
   * GgufQuantisation}.
   */
  Q6_K(14, 256, 210, 18),
  /** bfloat16: the upper half of an IEEE single. Written by {@link GgufExport}. */
  BF16(30, 1, 2, 32);

  private final int id;
  private final int blockElements;
  private final int blockBytes;
  private final int fileType;

  GgufType(int id, int blockElements, int blockBytes, int fileType) {
    this.id = id;
    this.blockElements = blockElements;
    this.blockBytes = blockBytes;
    this.fileType = fileType;
  }

  /** Returns how many neighbours of a row are stored together: 1, 32 or 256. */
  public int blockElements() {
    return blockElements;
  }

  /** Returns the size of such a block in bytes. */
  public int blockBytes() {
    return blockBytes;
  }

  /** Returns whether weights lose precision when stored in this type's blocks. */
  public boolean isQuantised() {
    return blockElements > 1;
  }

  /** Returns the number of the type in a file ({@code ggml_type}). */
  int id() {
    return id;
  }

  /** Returns the number of a file whose matrices mostly have this type ({@code llama_ftype}). */
  int fileType() {
    return fileType;
  }

  /**
   * Returns the size of so many elements.
   *
   * @throws ArithmeticException if it is more than a long can count
   */
  long bytes(long elements) {
    return Math.multiplyExact(elements / blockElements, (long) blockBytes);
  }

  /** Returns the type with a number in a file, if it is known here. */
  static Optional<GgufType> ofId(int id) {
    return Arrays.stream(values()).filter(type -> type.id == id).findFirst();
  }

  /** Returns the type of plain floats of a checkpoint. */
  static GgufType of(DType dtype) {
    return switch (dtype) {
      case F32 -> F32;
      case F16 -> F16;
      case BF16 -> BF16;
      default -> throw new IllegalArgumentException(dtype + " is not F32, BF16 or F16");
    };
  }

  /** Returns the checkpoint's type of plain floats; empty for quantised types. */
  Optional<DType> dtype() {
    return switch (this) {
      case F32 -> Optional.of(DType.F32);
      case F16 -> Optional.of(DType.F16);
      case BF16 -> Optional.of(DType.BF16);
      default -> Optional.empty();
    };
  }
}
