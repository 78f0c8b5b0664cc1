package org.alpaca4j.core.internal.pytorch;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/** Inflates an entry into memory. The caller has checked that its claimed length is bearable. */
final class Inflation {
  private static final int BUFFER_BYTES = 1 << 16;

  private Inflation() {}

  /** Returns exactly as many bytes as the entry claims to have, and of its CRC. */
  static byte[] inflate(FileChannel channel, Extent extent) throws IOException {
    byte[] bytes = new byte[Math.toIntExact(extent.bytes())];
    ByteBuffer buffer = ByteBuffer.allocate((int) Math.min(BUFFER_BYTES, extent.storedBytes()));
    Inflater inflater = new Inflater(true);
    try {
      int done = 0;
      long read = 0;
      // One more byte than claimed is asked for at the end, to see that there is none.
      byte[] beyond = new byte[1];
      while (!inflater.finished()) {
        if (inflater.needsInput()) {
          buffer.clear().limit((int) Math.min(buffer.capacity(), extent.storedBytes() - read));
          int count = buffer.hasRemaining() ? channel.read(buffer, extent.offset() + read) : 0;
          if (count < 0) {
            throw new EOFException("the file became shorter");
          } else if (count == 0) {
            throw malformed(extent, "its compressed bytes end early");
          }
          read += count;
          inflater.setInput(buffer.flip());
        }
        int count =
            done < bytes.length
                ? inflater.inflate(bytes, done, bytes.length - done)
                : inflater.inflate(beyond);
        if (inflater.needsDictionary()) {
          throw malformed(extent, "it needs a dictionary");
        }
        done += count;
        if (done > bytes.length) {
          throw malformed(extent, "it has more than the " + bytes.length + " bytes claimed");
        }
      }
      if (done < bytes.length) {
        throw malformed(extent, "it has " + done + " bytes, not the " + bytes.length + " claimed");
      }
    } catch (DataFormatException e) {
      throw malformed(extent, String.valueOf(e.getMessage()));
    } finally {
      inflater.end();
    }
    CRC32 crc = new CRC32();
    crc.update(bytes);
    if (crc.getValue() != extent.crc32()) {
      throw malformed(extent, "its CRC differs");
    }
    return bytes;
  }

  private static MalformedArchiveException malformed(Extent extent, String why) {
    return new MalformedArchiveException("the compressed entry '" + extent.name() + "': " + why);
  }
}
