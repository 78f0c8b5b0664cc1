package org.alpaca4j.core.internal.pickle;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * The bytes of pickles, read in order with a bound: every length is compared with what is left
 * before anything is allocated for it. Not thread-safe.
 */
public final class PickleInput {
  private static final int BUFFER_BYTES = 1 << 13;
  private static final int MAX_LINE_BYTES = 1 << 10;

  /** Reads at a position, as {@link java.nio.channels.FileChannel} does. */
  @FunctionalInterface
  public interface Source {
    /** Reads some bytes; returns how many, or -1 at the end. */
    int read(ByteBuffer destination, long position) throws IOException;
  }

  private final Source source;
  private final long end;
  private final ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES).limit(0);
  private final byte[] line = new byte[MAX_LINE_BYTES];
  private long bufferEnd;

  /** Reads the bytes {@code [begin, end)} of a source. */
  public PickleInput(Source source, long begin, long end) {
    this.source = source;
    this.end = end;
    this.bufferEnd = begin;
  }

  /** Reads an array. */
  public static PickleInput of(byte[] bytes) {
    Source source =
        (destination, position) -> {
          int length = Math.min(destination.remaining(), bytes.length - (int) position);
          destination.put(bytes, (int) position, length);
          return length;
        };
    return new PickleInput(source, 0, bytes.length);
  }

  /** Returns the position in the source of the next byte. */
  public long position() {
    return bufferEnd - buffer.remaining();
  }

  /** Returns how many bytes are left. */
  public long remaining() {
    return end - position();
  }

  int readByte() throws IOException {
    if (remaining() == 0) {
      throw new PickleException("the pickle ends in the middle");
    }
    if (!buffer.hasRemaining()) {
      fill();
    }
    return buffer.get() & 0xff;
  }

  private void fill() throws IOException {
    buffer.clear().limit((int) Math.min(buffer.capacity(), end - bufferEnd));
    int count = source.read(buffer, bufferEnd);
    buffer.flip();
    if (count <= 0) {
      throw new EOFException("the file ends at byte " + bufferEnd + ": it became shorter");
    }
    bufferEnd += count;
  }

  /** Reads an unsigned little-endian number; of eight bytes, a negative one is a huge one. */
  long readUnsigned(int bytes) throws IOException {
    long value = 0;
    for (int i = 0; i < bytes; i++) {
      value |= (long) readByte() << (8 * i);
    }
    return value;
  }

  double readBigEndianDouble() throws IOException {
    return ByteBuffer.wrap(readBytes(Double.BYTES)).order(ByteOrder.BIG_ENDIAN).getDouble();
  }

  byte[] readBytes(long count) throws IOException {
    requireLeft(count);
    byte[] bytes = new byte[(int) count];
    int done = 0;
    while (done < bytes.length) {
      if (!buffer.hasRemaining()) {
        fill();
      }
      int length = Math.min(bytes.length - done, buffer.remaining());
      buffer.get(bytes, done, length);
      done += length;
    }
    return bytes;
  }

  String readText(long bytes) throws IOException {
    byte[] text = readBytes(bytes);
    return decode(text, text.length);
  }

  /** Reads up to a line feed, which is not part of the result. */
  String readLine() throws IOException {
    int length = 0;
    for (int next = readByte(); next != '\n'; next = readByte()) {
      if (length == line.length) {
        throw new PickleException("a line has more than " + MAX_LINE_BYTES + " bytes");
      }
      line[length++] = (byte) next;
    }
    return decode(line, length);
  }

  private static String decode(byte[] bytes, int length) throws PickleException {
    boolean ascii = true;
    for (int i = 0; i < length && ascii; i++) {
      ascii = bytes[i] >= 0;
    }
    if (ascii) {
      // A decoder for each of many short texts would take many times the pickle's bytes.
      return new String(bytes, 0, length, StandardCharsets.ISO_8859_1);
    }
    try {
      ByteBuffer text = ByteBuffer.wrap(bytes, 0, length);
      return StandardCharsets.UTF_8.newDecoder().decode(text).toString();
    } catch (CharacterCodingException e) {
      throw new PickleException("a text is not UTF-8");
    }
  }

  /** Throws if fewer bytes are left than something claims to have. */
  void requireLeft(long count) throws PickleException {
    if (count < 0 || count > remaining() || count > Integer.MAX_VALUE - 8) {
      throw new PickleException(
          Long.toUnsignedString(count)
              + " bytes are claimed, but only "
              + remaining()
              + " are left");
    }
  }
}
