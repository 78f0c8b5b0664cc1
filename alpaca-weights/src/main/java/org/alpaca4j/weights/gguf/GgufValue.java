package org.alpaca4j.weights.gguf;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A metadata value of a GGUF file.
 *
 * @param kind its type in the file
 * @param value a Long for every integer, a Double for both floats, a Boolean, a String or an {@link
 *     Elements}
 */
record GgufValue(Kind kind, Object value) {

  /** The value types ({@code gguf_metadata_value_type}). */
  enum Kind {
    UINT8(0, 1),
    INT8(1, 1),
    UINT16(2, 2),
    INT16(3, 2),
    UINT32(4, 4),
    INT32(5, 4),
    FLOAT32(6, 4),
    BOOL(7, 1),
    STRING(8, 0),
    ARRAY(9, 0),
    UINT64(10, 8),
    INT64(11, 8),
    FLOAT64(12, 8);

    private final int id;
    private final int bytes;

    Kind(int id, int bytes) {
      this.id = id;
      this.bytes = bytes;
    }

    /** Returns the number of the type in a file. */
    int id() {
      return id;
    }

    /** Returns the size of a value; 0 where values differ in size. */
    int bytes() {
      return bytes;
    }

    static Optional<Kind> ofId(int id) {
      return Arrays.stream(values()).filter(kind -> kind.id == id).findFirst();
    }
  }

  /**
   * An array as it lies in the file; decoded by {@link GgufMetadata} when it is asked for, so that
   * opening a file costs no memory.
   *
   * @param kind the type of its elements
   * @param count how many there are
   * @param bytes the elements, checked to be complete
   */
  record Elements(Kind kind, int count, ByteBuffer bytes) {}

  static GgufValue of(String text) {
    return new GgufValue(Kind.STRING, text);
  }

  static GgufValue of(boolean flag) {
    return new GgufValue(Kind.BOOL, flag);
  }

  static GgufValue uint32(long number) {
    return new GgufValue(Kind.UINT32, number);
  }

  static GgufValue float32(double number) {
    return new GgufValue(Kind.FLOAT32, number);
  }

  static GgufValue strings(List<String> texts) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (String text : texts) {
      byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
      for (int i = 0; i < Long.BYTES; i++) {
        bytes.write((int) ((long) utf8.length >>> 8 * i));
      }
      bytes.writeBytes(utf8);
    }
    return array(Kind.STRING, texts.size(), ByteBuffer.wrap(bytes.toByteArray()));
  }

  static GgufValue int32s(int[] numbers) {
    ByteBuffer bytes = little(4 * numbers.length);
    bytes.asIntBuffer().put(numbers);
    return array(Kind.INT32, numbers.length, bytes);
  }

  static GgufValue float32s(float[] numbers) {
    ByteBuffer bytes = little(4 * numbers.length);
    bytes.asFloatBuffer().put(numbers);
    return array(Kind.FLOAT32, numbers.length, bytes);
  }

  static GgufValue bools(boolean[] flags) {
    ByteBuffer bytes = little(flags.length);
    for (int i = 0; i < flags.length; i++) {
      bytes.put(i, (byte) (flags[i] ? 1 : 0));
    }
    return array(Kind.BOOL, flags.length, bytes);
  }

  private static GgufValue array(Kind kind, int count, ByteBuffer bytes) {
    return new GgufValue(Kind.ARRAY, new Elements(kind, count, bytes));
  }

  private static ByteBuffer little(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
