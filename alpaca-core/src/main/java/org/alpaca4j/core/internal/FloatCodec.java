package org.alpaca4j.core.internal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.ShortBuffer;
import org.alpaca4j.core.DType;

/**
 * Converts stored weights (F32, BF16, F16; little-endian) to Java's floats and back, many at once.
 * Decoding is exact. Encoding rounds to the nearest value, ties to even, as PyTorch does: a value
 * too large for F16 or BF16 becomes infinite, one too small for F16 becomes a subnormal or zero of
 * its sign; NaN stays NaN. Stateless, thread-safe.
 */
public final class FloatCodec {
  private static final int F16_EXPONENT_SHIFT = 13; // 23 - 10 mantissa bits
  private static final int F16_INFINITY = 0x7c00;
  private static final float TWO_POW_112 = 0x1p112f; // moves an F16 exponent to where F32 has it
  private static final int CHUNK = 1 << 12;

  private FloatCodec() {}

  /**
   * Decodes values from the buffer's position on, and moves the position behind them.
   *
   * @param type F32, BF16 or F16
   * @param source holds at least {@code count} values; its byte order is not used
   * @throws IllegalArgumentException for another type
   */
  public static void decode(
      DType type, ByteBuffer source, float[] destination, int offset, int count) {
    ByteBuffer bytes = source.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    switch (type) {
      case F32 -> bytes.asFloatBuffer().get(destination, offset, count);
      case BF16, F16 -> {
        ShortBuffer shorts = bytes.asShortBuffer();
        short[] chunk = new short[Math.min(count, CHUNK)];
        for (int done = 0; done < count; done += chunk.length) {
          int length = Math.min(chunk.length, count - done);
          shorts.get(chunk, 0, length);
          if (type == DType.BF16) {
            decodeBf16(chunk, destination, offset + done, length);
          } else {
            decodeF16(chunk, destination, offset + done, length);
          }
        }
      }
      default -> throw notAWeight(type);
    }
    source.position(source.position() + count * type.bytes());
  }

  /**
   * Encodes values at the buffer's position, and moves the position behind them.
   *
   * @param type F32, BF16 or F16
   * @param destination has room for {@code count} values; its byte order is not used
   * @throws IllegalArgumentException for another type
   */
  public static void encode(
      DType type, float[] source, int offset, int count, ByteBuffer destination) {
    ByteBuffer bytes = destination.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    switch (type) {
      case F32 -> bytes.asFloatBuffer().put(source, offset, count);
      case BF16, F16 -> {
        ShortBuffer shorts = bytes.asShortBuffer();
        short[] chunk = new short[Math.min(count, CHUNK)];
        for (int done = 0; done < count; done += chunk.length) {
          int length = Math.min(chunk.length, count - done);
          if (type == DType.BF16) {
            encodeBf16(source, offset + done, chunk, length);
          } else {
            encodeF16(source, offset + done, chunk, length);
          }
          shorts.put(chunk, 0, length);
        }
      }
      default -> throw notAWeight(type);
    }
    destination.position(destination.position() + count * type.bytes());
  }

  /**
   * Returns the smallest magnitude that a type makes infinite; infinity itself for F32.
   *
   * @param type F32, BF16 or F16
   * @throws IllegalArgumentException for another type
   */
  public static float overflowFrom(DType type) {
    return switch (type) {
      case F16 -> 65_520; // halfway between the largest one and 2^16
      case BF16 -> 0x1.FFp127f;
      case F32 -> Float.POSITIVE_INFINITY;
      default -> throw notAWeight(type);
    };
  }

  private static IllegalArgumentException notAWeight(DType type) {
    return new IllegalArgumentException(type + " is not F32, BF16 or F16");
  }

  private static void decodeBf16(short[] from, float[] to, int offset, int count) {
    for (int i = 0; i < count; i++) {
      to[offset + i] = Float.intBitsToFloat(from[i] << 16);
    }
  }

  private static void decodeF16(short[] from, float[] to, int offset, int count) {
    for (int i = 0; i < count; i++) {
      to[offset + i] = f16ToFloat(from[i]);
    }
  }

  private static void encodeBf16(float[] from, int offset, short[] to, int count) {
    for (int i = 0; i < count; i++) {
      to[i] = floatToBf16(from[offset + i]);
    }
  }

  private static void encodeF16(float[] from, int offset, short[] to, int count) {
    for (int i = 0; i < count; i++) {
      to[i] = floatToF16(from[offset + i]);
    }
  }

  /** Returns the value of an F16 given by its bits. */
  public static float f16ToFloat(short half) {
    int magnitude = half & 0x7fff;
    // The product is exact for subnormals too, which the multiplication normalises.
    float value = Float.intBitsToFloat(magnitude << F16_EXPONENT_SHIFT) * TWO_POW_112;
    int bits = Float.floatToRawIntBits(value);
    if (magnitude >= F16_INFINITY) {
      bits = 0x7f800000 | (magnitude & 0x3ff) << F16_EXPONENT_SHIFT;
    }
    return Float.intBitsToFloat(bits | (half & 0x8000) << 16);
  }

  /** Returns the bits of the F16 nearest to a value. */
  public static short floatToF16(float value) {
    int bits = Float.floatToRawIntBits(value);
    int sign = bits >>> 16 & 0x8000;
    int magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      return (short) (sign | 0x7e00);
    }
    if (magnitude >= 0x47800000) { // 65,536 and more; 65,520 to 65,536 round up below
      return (short) (sign | F16_INFINITY);
    }
    if (magnitude < 0x38800000) { // below 2^-14: a subnormal, whose unit is 2^-24
      // Adding 0.5 puts that unit at the last mantissa bit: the addition rounds to even.
      int rounded = Float.floatToRawIntBits(Float.intBitsToFloat(magnitude) + 0.5f);
      return (short) (sign | rounded - 0x3f000000);
    }
    int even = magnitude >>> F16_EXPONENT_SHIFT & 1;
    int rounded = magnitude - 0x38000000 + 0xfff + even;
    return (short) (sign | rounded >>> F16_EXPONENT_SHIFT);
  }

  /** Returns the bits of the BF16 nearest to a value. */
  public static short floatToBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    int rounded = bits + 0x7fff + (bits >>> 16 & 1);
    return (short) ((bits & 0x7fffffff) > 0x7f800000 ? bits >>> 16 | 0x40 : rounded >>> 16);
  }
}
