package org.alpaca4j.core.internal.pytorch;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.internal.pickle.Unpickler;

/**
 * The central directory of a zip archive, ZIP64 included, with the place of each entry's bytes,
 * which {@code java.util.zip} does not tell. Strict, since two readers that see different entries
 * in one file are how archives deceive: the directory ends where its end record begins, names are
 * unique, each local header agrees with its entry, and no bytes belong to two entries. A stored
 * entry's CRC is not checked: its bytes are mapped, not read.
 *
 * @see <a href="https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT">APPNOTE</a>
 */
final class ZipDirectory {
  private static final int END_SIGNATURE = 0x06054b50;
  private static final int END64_SIGNATURE = 0x06064b50;
  private static final int LOCATOR_SIGNATURE = 0x07064b50;
  private static final int ENTRY_SIGNATURE = 0x02014b50;
  private static final int LOCAL_SIGNATURE = 0x04034b50;
  private static final int END_BYTES = 22;
  private static final int END64_BYTES = 56;
  private static final int LOCATOR_BYTES = 20;
  private static final int ENTRY_BYTES = 46;
  private static final int LOCAL_BYTES = 30;
  private static final int MAX_COMMENT_BYTES = 0xffff;
  private static final long FULL_32 = 0xffffffffL;
  private static final int FULL_16 = 0xffff;

  /** Enough for 100,000 tensors. */
  private static final long MAX_DIRECTORY_BYTES = 8_000_000;

  private static final int ENCRYPTED = 0x2041; // encryption, strong encryption, masked headers
  private static final int STORED = 0;
  private static final int DEFLATED = 8;

  private final FileChannel channel;
  private final long fileBytes;
  private final Map<String, Extent> records = new LinkedHashMap<>();

  private ZipDirectory(FileChannel channel) throws IOException {
    this.channel = channel;
    this.fileBytes = channel.size();
  }

  /** Returns the entries by name, in the order of the directory. */
  static Map<String, Extent> read(FileChannel channel) throws IOException {
    ZipDirectory directory = new ZipDirectory(channel);
    directory.read();
    return directory.records;
  }

  private void read() throws IOException {
    long end = findEnd();
    ByteBuffer record = readAt(end, END_BYTES);
    long entries = Short.toUnsignedInt(record.getShort(10));
    long bytes = Integer.toUnsignedLong(record.getInt(12));
    long offset = Integer.toUnsignedLong(record.getInt(16));
    boolean oneDisk = record.getShort(8) == record.getShort(10);
    if (end >= LOCATOR_BYTES
        && readAt(end - LOCATOR_BYTES, LOCATOR_BYTES).getInt(0) == LOCATOR_SIGNATURE) {
      long end64 = readAt(end - LOCATOR_BYTES, LOCATOR_BYTES).getLong(8);
      require(
          end64 >= 0 && end64 <= end - LOCATOR_BYTES - END64_BYTES,
          "its ZIP64 end record is said to lie outside the file");
      ByteBuffer record64 = readAt(end64, END64_BYTES);
      require(
          record64.getInt(0) == END64_SIGNATURE
              && record64.getLong(4) == end - LOCATOR_BYTES - end64 - 12,
          "its ZIP64 end record is malformed");
      require(
          (entries == FULL_16 || entries == record64.getLong(32))
              && (bytes == FULL_32 || bytes == record64.getLong(40))
              && (offset == FULL_32 || offset == record64.getLong(48)),
          "its two end records differ");
      oneDisk = record64.getLong(16) == 0 && record64.getLong(24) == record64.getLong(32);
      entries = record64.getLong(32);
      bytes = record64.getLong(40);
      offset = record64.getLong(48);
      end = end64;
    }
    require(oneDisk, "it is one part of an archive of several");
    require(
        bytes >= 0 && offset >= 0 && offset <= end && bytes == end - offset,
        "its directory is said to have "
            + Long.toUnsignedString(bytes)
            + " bytes from "
            + Long.toUnsignedString(offset)
            + " on, but the end record is at "
            + end);
    require(
        bytes <= MAX_DIRECTORY_BYTES,
        "its directory has "
            + bytes
            + " bytes, more than the "
            + MAX_DIRECTORY_BYTES
            + " permitted");
    readEntries(readAt(offset, (int) bytes), entries, offset);
  }

  /** The last record whose comment reaches exactly to the file's end. */
  private long findEnd() throws IOException {
    long from = Math.max(0, fileBytes - END_BYTES - MAX_COMMENT_BYTES);
    ByteBuffer tail = readAt(from, (int) (fileBytes - from));
    for (int at = tail.limit() - END_BYTES; at >= 0; at--) {
      if (tail.getInt(at) == END_SIGNATURE
          && at + END_BYTES + Short.toUnsignedInt(tail.getShort(at + 20)) == tail.limit()) {
        return from + at;
      }
    }
    throw new MalformedArchiveException(
        "the zip archive has no end record: it was cut short or appended to; fetch it again");
  }

  private void readEntries(ByteBuffer directory, long count, long dataEnd) throws IOException {
    List<long[]> extents = new ArrayList<>();
    while (directory.hasRemaining()) {
      require(
          directory.remaining() >= ENTRY_BYTES
              && directory.getInt(directory.position()) == ENTRY_SIGNATURE,
          "its directory is malformed");
      int at = directory.position();
      int nameBytes = Short.toUnsignedInt(directory.getShort(at + 28));
      int extraBytes = Short.toUnsignedInt(directory.getShort(at + 30));
      int commentBytes = Short.toUnsignedInt(directory.getShort(at + 32));
      require(
          directory.remaining() - ENTRY_BYTES >= nameBytes + extraBytes + commentBytes,
          "its directory is malformed");
      byte[] name = new byte[nameBytes];
      directory.get(at + ENTRY_BYTES, name);
      ByteBuffer extra =
          directory.slice(at + ENTRY_BYTES + nameBytes, extraBytes).order(ByteOrder.LITTLE_ENDIAN);
      extents.add(readEntry(directory.slice(at, ENTRY_BYTES), name, extra, dataEnd));
      directory.position(at + ENTRY_BYTES + nameBytes + extraBytes + commentBytes);
    }
    require(
        extents.size() == count,
        "its directory has " + extents.size() + " entries, but the end record says " + count);
    extents.sort(Comparator.comparingLong(extent -> extent[0]));
    for (int i = 1; i < extents.size(); i++) {
      require(extents.get(i)[0] >= extents.get(i - 1)[1], "two of its entries overlap");
    }
  }

  /** Records an entry; returns where its local header begins and its bytes end. */
  private long[] readEntry(ByteBuffer slice, byte[] rawName, ByteBuffer extra, long dataEnd)
      throws IOException {
    ByteBuffer entry = slice.order(ByteOrder.LITTLE_ENDIAN);
    String name = decode(rawName);
    String shown = "its entry '" + Unpickler.show(name) + "'";
    int method = entry.getShort(10);
    require((entry.getShort(8) & ENCRYPTED) == 0, shown + " is encrypted");
    require(
        method == STORED || method == DEFLATED,
        shown + " is compressed by method " + method + "; known are 0 (stored) and 8 (deflated)");
    ByteBuffer wide = zip64(extra, shown);
    long bytes = widened(entry.getInt(24), wide, shown);
    long stored = widened(entry.getInt(20), wide, shown);
    long header = widened(entry.getInt(42), wide, shown);
    require(method == DEFLATED || stored == bytes, shown + " is stored, but has two lengths");
    require(
        bytes >= 0 && stored >= 0 && header >= 0 && header <= dataEnd - LOCAL_BYTES,
        shown + " is said to lie outside the file");
    int localBytes = (int) Math.min(LOCAL_BYTES + rawName.length, dataEnd - header);
    ByteBuffer local = readAt(header, localBytes);
    long offset =
        header
            + LOCAL_BYTES
            + Short.toUnsignedInt(local.getShort(26))
            + Short.toUnsignedInt(local.getShort(28));
    require(
        local.getInt(0) == LOCAL_SIGNATURE
            && local.getShort(8) == method
            && Short.toUnsignedInt(local.getShort(26)) == rawName.length
            && offset <= dataEnd
            && ByteBuffer.wrap(rawName).equals(local.position(LOCAL_BYTES)),
        shown + " has another local header");
    require(
        stored <= dataEnd - offset,
        shown + " is said to have " + stored + " bytes, but the file ends before");
    long crc = Integer.toUnsignedLong(entry.getInt(16));
    Extent record = new Extent(name, method == DEFLATED, crc, offset, stored, bytes);
    require(records.put(name, record) == null, shown + " is there twice");
    return new long[] {header, offset + stored};
  }

  private static String decode(byte[] name) throws MalformedArchiveException {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(name)).toString();
    } catch (CharacterCodingException e) {
      throw new MalformedArchiveException("the name of an entry is not UTF-8");
    }
  }

  /** Returns the ZIP64 values of an extra field; empty if it has none. */
  private static ByteBuffer zip64(ByteBuffer extra, String shown) throws MalformedArchiveException {
    ByteBuffer found = ByteBuffer.allocate(0);
    while (extra.remaining() >= 4) {
      int id = extra.getShort();
      int length = Short.toUnsignedInt(extra.getShort());
      require(length <= extra.remaining(), shown + " has a malformed extra field");
      if (id == 1 && !found.hasRemaining()) {
        found = extra.slice(extra.position(), length).order(ByteOrder.LITTLE_ENDIAN);
      }
      extra.position(extra.position() + length);
    }
    return found;
  }

  private static long widened(int narrow, ByteBuffer wide, String shown)
      throws MalformedArchiveException {
    long value = Integer.toUnsignedLong(narrow);
    if (value != FULL_32) {
      return value;
    }
    require(wide.remaining() >= Long.BYTES, shown + " lacks its ZIP64 length");
    return wide.getLong();
  }

  private ByteBuffer readAt(long position, int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes, position + bytes.position()) < 0) {
        throw new EOFException("the file ends at byte " + (position + bytes.position()));
      }
    }
    return bytes.flip();
  }

  private static void require(boolean condition, String otherwise)
      throws MalformedArchiveException {
    if (!condition) {
      throw new MalformedArchiveException(otherwise);
    }
  }
}
