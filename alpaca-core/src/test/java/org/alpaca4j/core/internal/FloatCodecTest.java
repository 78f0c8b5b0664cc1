package org.alpaca4j.core.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.util.Random;
import org.alpaca4j.core.DType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class FloatCodecTest {
  @Test
  void everyF16SurvivesDecodingAndEncoding() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = FloatCodec.f16ToFloat((short) bits);
      if (!Float.isNaN(value)) {
        assertThat(FloatCodec.floatToF16(value)).isEqualTo((short) bits);
      }
    }
  }

  @Test
  void everyF16HasTheValueThatItsFieldsSay() {
    for (int bits = 0; bits < 0x7c00; bits++) {
      int exponent = bits >> 10;
      int mantissa = bits & 0x3ff;
      double value =
          exponent == 0
              ? mantissa * 0x1p-24
              : (1 + mantissa / 1024.0) * Math.pow(2, exponent - 15.0);
      assertThat((double) FloatCodec.f16ToFloat((short) bits)).isEqualTo(value);
      assertThat((double) FloatCodec.f16ToFloat((short) (bits | 0x8000))).isEqualTo(-value);
    }
  }

  @Test
  void f16IsTheNearestOneAndEvenInATie() {
    for (int bits = 0; bits < 0x7bff; bits++) {
      double low = FloatCodec.f16ToFloat((short) bits);
      double high = FloatCodec.f16ToFloat((short) (bits + 1));
      float middle = (float) ((low + high) / 2);
      int even = bits + (bits & 1);
      assertThat(FloatCodec.floatToF16(middle)).isEqualTo((short) even);
      assertThat(FloatCodec.floatToF16(Math.nextDown(middle))).isEqualTo((short) bits);
      assertThat(FloatCodec.floatToF16(Math.nextUp(middle))).isEqualTo((short) (bits + 1));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "65504, 7bff",
    "65519.99, 7bff",
    "65520, 7c00",
    "65536, 7c00",
    "1e30, 7c00",
    "-Infinity, fc00",
    "NaN, 7e00",
    "2.9802322e-8, 0000",
    "2.9802326e-8, 0001",
    "-0.0, 8000"
  })
  void f16AtItsLimits(float value, String bits) {
    assertThat(FloatCodec.floatToF16(value)).isEqualTo((short) Integer.parseInt(bits, 16));
  }

  @Test
  void bf16IsTheNearestOneAndEvenInATie() {
    assertThat(FloatCodec.floatToBf16(Float.intBitsToFloat(0x3f808000))).isEqualTo((short) 0x3f80);
    assertThat(FloatCodec.floatToBf16(Float.intBitsToFloat(0x3f818000))).isEqualTo((short) 0x3f82);
    assertThat(FloatCodec.floatToBf16(Float.intBitsToFloat(0x3f808001))).isEqualTo((short) 0x3f81);
    assertThat(FloatCodec.floatToBf16(Float.MAX_VALUE)).isEqualTo((short) 0x7f80);
    assertThat(FloatCodec.floatToBf16(Float.intBitsToFloat(0x7f800001))).isEqualTo((short) 0x7fc0);
    assertThat(FloatCodec.floatToBf16(Float.NEGATIVE_INFINITY)).isEqualTo((short) 0xff80);
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void manyValuesGoThroughABufferInOrder(DType type) {
    int count = 10_001;
    float[] values = new float[count + 3];
    Random random = new Random(7);
    for (int i = 0; i < count; i++) {
      values[i + 3] = FloatCodec.f16ToFloat(FloatCodec.floatToF16(random.nextInt(256) / 8f - 9));
    }
    ByteBuffer bytes = ByteBuffer.allocate(5 + count * type.bytes());
    FloatCodec.encode(type, values, 3, count, bytes.position(5));
    assertThat(bytes.hasRemaining()).isFalse();

    float[] decoded = new float[count + 3];
    FloatCodec.decode(type, bytes.position(5), decoded, 3, count);

    assertThat(bytes.hasRemaining()).isFalse();
    assertThat(decoded).isEqualTo(values);
  }

  @Test
  void otherTypesAreRefused() {
    assertThatThrownBy(
            () -> FloatCodec.decode(DType.I8, ByteBuffer.allocate(1), new float[1], 0, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("I8 is not F32, BF16 or F16");
  }

  @ParameterizedTest
  @EnumSource(names = {"F16", "BF16"})
  void fromTheOverflowOnValuesBecomeInfinite(DType type) {
    float overflow = FloatCodec.overflowFrom(type);
    float[] values = {Math.nextDown(overflow), overflow};
    ByteBuffer stored = ByteBuffer.allocate(2 * type.bytes());
    FloatCodec.encode(type, values, 0, 2, stored);
    FloatCodec.decode(type, stored.flip(), values, 0, 2);

    assertThat(values[0]).isFinite();
    assertThat(values[1]).isInfinite();
    assertThat(FloatCodec.overflowFrom(DType.F32)).isInfinite();
  }
}
