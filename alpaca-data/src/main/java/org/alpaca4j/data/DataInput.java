package org.alpaca4j.data;

import io.airlift.compress.MalformedInputException;
import io.airlift.compress.zstd.ZstdInputStream;
import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.zip.GZIPInputStream;
import org.alpaca4j.core.internal.Placeholder;

/** Opens data files: unpacks gzip and zstd, skips a byte order mark, refuses UTF-16. */
final class DataInput {

  private static final int BUFFER = 1 << 16;

  private DataInput() {}

  /** Opens a text file; the stream is at its first character. */
  static InputStream open(Path file) throws IOException {
    requireFile(file);
    InputStream raw = new BufferedInputStream(Files.newInputStream(file), BUFFER);
    try {
      InputStream in = new BufferedInputStream(unpacked(file, raw), BUFFER);
      skipByteOrderMark(file, in);
      return in;
    } catch (IOException | RuntimeException e) {
      raw.close();
      throw e;
    }
  }

  static void requireFile(Path file) throws IOException {
    if (!Files.exists(file)) {
      throw new DataException(file + ": does not exist");
    }
    if (Files.isDirectory(file)) {
      throw new DataException(file + ": is a folder, expected a file");
    }
    if (Files.size(file) == 0) {
      throw new DataException(file + ": is empty");
    }
    Optional<String> placeholder = Placeholder.in(file);
    if (placeholder.isPresent()) {
      throw new DataException(file + ": " + placeholder.get());
    }
  }

  /** Returns the file's name in lower case, without what says how it is packed. */
  static String unpackedName(Path file) {
    String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
    return name.endsWith(".gz") || name.endsWith(".zst")
        ? name.substring(0, name.lastIndexOf('.'))
        : name;
  }

  private static InputStream unpacked(Path file, InputStream in) throws IOException {
    String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
    int magic = littleEndian(peek(in, 4));
    boolean gzip = (magic & 0xFFFF) == 0x8B1F;
    boolean zstd = magic == 0xFD2FB528;
    if (name.endsWith(".gz") && !gzip || name.endsWith(".zst") && !zstd) {
      throw new DataException(
          file + ": is not packed as its name says; rename it, or pack it again");
    }
    if (gzip) {
      return new GZIPInputStream(in, BUFFER);
    }
    return zstd ? new Checked(new ZstdInputStream(in)) : in;
  }

  private static void skipByteOrderMark(Path file, InputStream in) throws IOException {
    byte[] first = peek(in, 4);
    if (first.length == 0) {
      throw new DataException(file + ": is empty");
    }
    int start = littleEndian(first);
    if ((start & 0xFFFFFF) == 0xBFBBEF) {
      in.skipNBytes(3);
      return;
    }
    boolean zero = false;
    for (byte b : first) {
      zero |= b == 0;
    }
    if (zero || (start & 0xFFFF) == 0xFEFF || (start & 0xFFFF) == 0xFFFE) {
      throw DataRecord.error(
          file, 1, -1, null, "is not UTF-8 (UTF-16 or UTF-32, or no text); convert it to UTF-8");
    }
  }

  private static byte[] peek(InputStream in, int count) throws IOException {
    in.mark(count);
    byte[] bytes = in.readNBytes(count);
    in.reset();
    return bytes;
  }

  private static int littleEndian(byte[] bytes) {
    int value = 0;
    for (int i = 0; i < Math.min(4, bytes.length); i++) {
      value |= (bytes[i] & 0xFF) << 8 * i;
    }
    return value;
  }

  /** The decompressor's own exception for damaged input is unchecked. */
  private static final class Checked extends FilterInputStream {
    Checked(InputStream in) {
      super(in);
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      try {
        return super.read(target, offset, length);
      } catch (MalformedInputException e) {
        throw new IOException("damaged zstd: " + e.getMessage(), e);
      }
    }
  }
}
