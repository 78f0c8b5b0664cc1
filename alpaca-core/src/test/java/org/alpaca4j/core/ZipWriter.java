package org.alpaca4j.core;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/** Writes zip archives byte by byte: with ZIP64 where none is needed, or with lies in them. */
final class ZipWriter {
  private static final long FULL = 0xffffffffL;

  private record Entry(byte[] name, boolean deflated, long crc, long stored, long bytes, long at) {}

  private final ByteArrayOutputStream file = new ByteArrayOutputStream();
  private final List<Entry> entries = new ArrayList<>();
  private boolean zip64;

  /** Uses the wide fields for everything. */
  ZipWriter zip64() {
    zip64 = true;
    return this;
  }

  ZipWriter stored(String name, byte[] data) {
    return entry(name, false, data, crc(data), data.length);
  }

  ZipWriter deflated(String name, byte[] data) {
    return deflated(name, data, crc(data), data.length);
  }

  /** Claims a CRC and a length. */
  ZipWriter deflated(String name, byte[] data, long crc, long bytes) {
    Deflater deflater = new Deflater(9, true);
    deflater.setInput(data);
    deflater.finish();
    byte[] buffer = new byte[data.length + 100];
    int length = deflater.deflate(buffer);
    deflater.end();
    return entry(name, true, Arrays.copyOf(buffer, length), crc, bytes);
  }

  static long crc(byte[] data) {
    CRC32 crc = new CRC32();
    crc.update(data);
    return crc.getValue();
  }

  private ZipWriter entry(String name, boolean deflated, byte[] data, long crc, long bytes) {
    byte[] encoded = name.getBytes(StandardCharsets.UTF_8);
    entries.add(new Entry(encoded, deflated, crc, data.length, bytes, file.size()));
    write(
        30,
        b ->
            b.putInt(0x04034b50)
                .putInt(0)
                .putShort(8, (short) (deflated ? 8 : 0))
                .putShort(26, (short) encoded.length));
    file.writeBytes(encoded);
    file.writeBytes(data);
    return this;
  }

  /** Adds an entry to the directory alone, for bytes that are there already or are not. */
  ZipWriter claim(String name, long bytes, long localHeader) {
    entries.add(
        new Entry(name.getBytes(StandardCharsets.UTF_8), false, 0, bytes, bytes, localHeader));
    return this;
  }

  private interface Fields {
    void put(ByteBuffer buffer);
  }

  private void write(int length, Fields fields) {
    ByteBuffer buffer = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    fields.put(buffer);
    file.writeBytes(buffer.array());
  }

  byte[] finish() {
    int begin = file.size();
    for (Entry entry : entries) {
      int extra = zip64 ? 28 : 0;
      write(
          46,
          b ->
              b.putInt(0x02014b50)
                  .putShort(10, (short) (entry.deflated ? 8 : 0))
                  .putInt(16, (int) entry.crc)
                  .putInt(20, (int) (zip64 ? FULL : entry.stored))
                  .putInt(24, (int) (zip64 ? FULL : entry.bytes))
                  .putShort(28, (short) entry.name.length)
                  .putShort(30, (short) extra)
                  .putInt(42, (int) (zip64 ? FULL : entry.at)));
      file.writeBytes(entry.name);
      if (zip64) {
        write(
            extra,
            b ->
                b.putShort((short) 1)
                    .putShort((short) 24)
                    .putLong(entry.bytes)
                    .putLong(entry.stored)
                    .putLong(entry.at));
      }
    }
    int end = file.size();
    if (zip64) {
      write(
          56,
          b ->
              b.putInt(0x06064b50)
                  .putLong(44)
                  .putLong(24, entries.size())
                  .putLong(32, entries.size())
                  .putLong(40, end - begin)
                  .putLong(48, begin));
      write(20, b -> b.putInt(0x07064b50).putInt(0).putLong(end).putInt(1));
    }
    write(
        22,
        b ->
            b.putInt(0x06054b50)
                .putShort(8, (short) (zip64 ? -1 : entries.size()))
                .putShort(10, (short) (zip64 ? -1 : entries.size()))
                .putInt(12, (int) (zip64 ? FULL : end - begin))
                .putInt(16, (int) (zip64 ? FULL : begin)));
    return file.toByteArray();
  }
}
