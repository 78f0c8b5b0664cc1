package org.alpaca4j.core.internal.sentencepiece;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.alpaca4j.core.TokenizerException;

/**
 * Steps through the fields of one Protocol Buffers message. Nothing is copied, and no length is
 * believed before it was compared with what is left of the message. Not thread-safe.
 *
 * <pre>{@code
 * while (message.next()) {
 *   switch (message.field()) {
 *     case 1 -> name = message.string();
 *     default -> message.skip();
 *   }
 * }
 * }</pre>
 *
 * @see <a href="https://protobuf.dev/programming-guides/encoding/">The wire format</a>
 */
final class ProtobufReader {
  private static final int VARINT = 0;
  private static final int FIXED64 = 1;
  private static final int LENGTH_DELIMITED = 2;
  private static final int FIXED32 = 5;
  private static final int MAX_VARINT_BYTES = 10;

  private final ByteBuffer bytes;
  private final String origin;
  private int field;
  private int wireType;

  /** Reads a whole file's bytes; {@code origin} names it in errors. */
  ProtobufReader(byte[] bytes, String origin) {
    this(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN), origin);
  }

  private ProtobufReader(ByteBuffer bytes, String origin) {
    this.bytes = bytes;
    this.origin = origin;
  }

  /** Goes to the next field, whose value must then be read or skipped; false at the end. */
  boolean next() {
    if (!bytes.hasRemaining()) {
      return false;
    }
    long tag = readVarint();
    wireType = (int) (tag & 7);
    long number = tag >>> 3;
    if (number < 1 || number >= 1 << 29) {
      throw malformed("field number " + number);
    }
    field = (int) number;
    return true;
  }

  /** Returns the number of the current field. */
  int field() {
    return field;
  }

  long varint() {
    require(VARINT);
    return readVarint();
  }

  boolean bool() {
    return varint() != 0;
  }

  float float32() {
    require(FIXED32);
    requireRemaining(Float.BYTES);
    return bytes.getFloat();
  }

  ProtobufReader message() {
    require(LENGTH_DELIMITED);
    return new ProtobufReader(slice().order(ByteOrder.LITTLE_ENDIAN), origin);
  }

  String string() {
    require(LENGTH_DELIMITED);
    int start = bytes.position();
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(slice()).toString();
    } catch (CharacterCodingException e) {
      throw malformed("field " + field + " at byte " + start + " is not UTF-8");
    }
  }

  byte[] bytes() {
    require(LENGTH_DELIMITED);
    ByteBuffer slice = slice();
    byte[] copy = new byte[slice.remaining()];
    slice.get(copy);
    return copy;
  }

  void skip() {
    switch (wireType) {
      case VARINT -> readVarint();
      case FIXED64 -> skipBytes(Long.BYTES);
      case LENGTH_DELIMITED -> slice();
      case FIXED32 -> skipBytes(Integer.BYTES);
      default -> throw malformed("field " + field + " has the wire type " + wireType);
    }
  }

  private void skipBytes(int count) {
    requireRemaining(count);
    bytes.position(bytes.position() + count);
  }

  private ByteBuffer slice() {
    long length = readVarint();
    requireRemaining(length);
    ByteBuffer slice = bytes.slice(bytes.position(), (int) length);
    bytes.position(bytes.position() + (int) length);
    return slice;
  }

  private long readVarint() {
    long value = 0;
    for (int i = 0; i < MAX_VARINT_BYTES; i++) {
      requireRemaining(1);
      byte next = bytes.get();
      value |= (long) (next & 0x7f) << 7 * i;
      if (next >= 0) {
        return value;
      }
    }
    throw malformed("a number has more than " + MAX_VARINT_BYTES + " bytes");
  }

  private void require(int expected) {
    if (wireType != expected) {
      throw malformed("field " + field + " has the wire type " + wireType + ", not " + expected);
    }
  }

  private void requireRemaining(long count) {
    if (count < 0 || count > bytes.remaining()) {
      throw malformed(
          "field " + field + " needs " + count + " bytes where " + bytes.remaining() + " are left");
    }
  }

  private TokenizerException malformed(String what) {
    return new TokenizerException(
        origin + ": not a SentencePiece model, or damaged: " + what + "; fetch it again");
  }
}
