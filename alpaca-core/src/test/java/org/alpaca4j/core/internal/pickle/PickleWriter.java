package org.alpaca4j.core.internal.pickle;

import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Writes pickles opcode by opcode, as Python's pickler does with protocol 2, or as nobody does. */
public final class PickleWriter {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  public PickleWriter() {
    raw(0x80, 2);
  }

  public PickleWriter raw(int... values) {
    for (int value : values) {
      bytes.write(value);
    }
    return this;
  }

  public PickleWriter ops(String opcodes) {
    return raw(opcodes.chars().toArray());
  }

  public PickleWriter text(String text) {
    byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
    return ops("X").littleEndian(encoded.length, 4).bytes(encoded);
  }

  public PickleWriter bytes(byte[] values) {
    bytes.writeBytes(values);
    return this;
  }

  public PickleWriter littleEndian(long value, int count) {
    byte[] all = new byte[Long.BYTES];
    ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN).putLong(value);
    bytes.write(all, 0, count);
    return this;
  }

  public PickleWriter integer(long value) {
    return integer(BigInteger.valueOf(value));
  }

  public PickleWriter integer(BigInteger value) {
    byte[] bigEndian = value.toByteArray();
    raw(0x8a, bigEndian.length);
    for (int i = bigEndian.length - 1; i >= 0; i--) {
      raw(bigEndian[i]);
    }
    return this;
  }

  public PickleWriter integers(long... values) {
    ops("(");
    for (long value : values) {
      integer(value);
    }
    return ops("t");
  }

  public PickleWriter global(String module, String name) {
    return ops("c" + module + "\n" + name + "\n");
  }

  /** Ends the pickle. */
  public byte[] stop() {
    return ops(".").bytes.toByteArray();
  }
}
