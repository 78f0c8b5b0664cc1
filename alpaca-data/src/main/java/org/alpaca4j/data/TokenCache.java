package org.alpaca4j.data;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32C;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A dataset in a file that is mapped instead of read, so that it need not fit in memory.
 *
 * <p>The file's name and its header hold the key, a hash of all that the tokens depend on. After
 * the header come the {@linkplain TokenPage pages}, then the footer: how many pages, per page its
 * offset (8 bytes) and length (4), and the report; then 24 bytes: the footer's offset (8), CRC-32C
 * of all before these 24 bytes (4), 4 bytes of zero, and the magic again. Numbers are
 * little-endian. A file appears whole or not at all.
 */
final class TokenCache {

  private static final Logger log = LoggerFactory.getLogger(SupervisedDataset.class);

  /** A file of another layout has another magic, and so is made anew. */
  private static final long MAGIC = 0x3630_6b6f_744a_3441L; // A4Jtok06

  private static final int KEY_BYTES = 32;
  private static final int HEADER_BYTES = 8 + KEY_BYTES;
  private static final int TRAILER_BYTES = 24;
  private static final int MAX_SEGMENT_BYTES = 1 << 30;

  private final byte[] key;
  private final Path file;

  /**
   * Names the cache of a key; nothing is read or written yet.
   *
   * @param key SHA-256 of data, tokenizer and options
   */
  TokenCache(Path folder, byte[] key) {
    this.key = key.clone();
    this.file = folder.resolve(HexFormat.of().formatHex(key) + ".tokens");
  }

  /** Returns the dataset, or nothing if there is none or it is damaged. */
  Optional<SupervisedDataset> open() {
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    try {
      SupervisedDataset dataset = read();
      log.info("{}: {} examples, tokenised earlier", file, dataset.size());
      return Optional.of(dataset);
    } catch (IOException | IllegalArgumentException | BufferUnderflowException e) {
      log.warn("{}: is damaged ({}); it will be made anew", file, e.getMessage());
      return Optional.empty();
    }
  }

  private SupervisedDataset read() throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long size = channel.size();
      if (size < HEADER_BYTES + TRAILER_BYTES) {
        throw new IOException("it has " + size + " bytes only");
      }
      ByteBuffer header = ChannelBytes.read(channel, 0, HEADER_BYTES);
      byte[] found = new byte[KEY_BYTES];
      boolean magic = header.getLong() == MAGIC;
      header.get(found);
      ByteBuffer trailer = ChannelBytes.read(channel, size - TRAILER_BYTES, TRAILER_BYTES);
      long footerAt = trailer.getLong();
      int crc = trailer.getInt();
      trailer.getInt();
      if (!magic || !Arrays.equals(found, key) || trailer.getLong() != MAGIC) {
        throw new IOException("it does not begin or end as it should");
      }
      long footerBytes = size - TRAILER_BYTES - footerAt;
      if (footerAt < HEADER_BYTES || footerBytes < 4 || footerBytes > Integer.MAX_VALUE) {
        throw new IOException("its footer cannot be at " + footerAt);
      }
      if (crc != checksum(channel, size - TRAILER_BYTES)) {
        throw new IOException("its checksum is another one");
      }
      return map(channel, ChannelBytes.read(channel, footerAt, (int) footerBytes));
    }
  }

  private static int checksum(FileChannel channel, long length) throws IOException {
    CRC32C crc = new CRC32C();
    ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
    for (long position = 0; position < length; ) {
      buffer.clear().limit((int) Math.min(buffer.capacity(), length - position));
      int count = channel.read(buffer, position);
      if (count < 0) {
        throw new IOException("it ends too early");
      }
      crc.update(buffer.flip());
      position += count;
    }
    return (int) crc.getValue();
  }

  /** Maps as many pages at a time as a buffer can hold. */
  private static SupervisedDataset map(FileChannel channel, ByteBuffer footer) throws IOException {
    int count = footer.getInt();
    if (count < 0 || count > footer.remaining() / 12) {
      throw new IOException("it cannot have " + count + " pages");
    }
    long[] offsets = new long[count];
    int[] lengths = new int[count];
    for (int p = 0; p < count; p++) {
      offsets[p] = footer.getLong();
      lengths[p] = footer.getInt();
    }
    List<TokenPage> pages = new ArrayList<>(count);
    for (int first = 0; first < count; ) {
      int last = first;
      while (last + 1 < count
          && offsets[last + 1] + lengths[last + 1] - offsets[first] <= MAX_SEGMENT_BYTES) {
        last++;
      }
      ByteBuffer segment =
          channel.map(
              FileChannel.MapMode.READ_ONLY,
              offsets[first],
              offsets[last] + lengths[last] - offsets[first]);
      for (int p = first; p <= last; p++) {
        pages.add(new TokenPage(segment.slice((int) (offsets[p] - offsets[first]), lengths[p])));
      }
      first = last + 1;
    }
    return new SupervisedDataset(List.copyOf(pages), report(footer));
  }

  private static DataReport report(ByteBuffer footer) {
    return new DataReport(
        footer.getInt(),
        footer.getInt(),
        footer.getLong(),
        footer.getLong(),
        footer.getInt(),
        footer.getInt(),
        footer.getInt(),
        integers(footer),
        integers(footer),
        badRecords(footer),
        texts(footer),
        footer.getInt(),
        footer.getInt() != 0);
  }

  private static List<Integer> integers(ByteBuffer footer) {
    int count = footer.getInt();
    if (count < 0 || count > footer.remaining() / 4) {
      throw new IllegalArgumentException("a list of " + count);
    }
    List<Integer> values = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      values.add(footer.getInt());
    }
    return values;
  }

  private static List<BadRecord> badRecords(ByteBuffer footer) {
    int count = footer.getInt();
    List<BadRecord> records = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      records.add(new BadRecord(text(footer), footer.getInt(), footer.getInt(), text(footer)));
    }
    return records;
  }

  private static List<String> texts(ByteBuffer footer) {
    int count = footer.getInt();
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      texts.add(text(footer));
    }
    return texts;
  }

  private static String text(ByteBuffer footer) {
    byte[] bytes = new byte[Math.min(Math.max(footer.getInt(), 0), footer.remaining())];
    footer.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** A text as {@link #text} reads it. */
  private static byte[] text(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(4 + bytes.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(bytes.length)
        .put(bytes)
        .array();
  }

  /** What the report says in words, at the footer's end. */
  private static byte[] words(DataReport report) {
    ByteArrayOutputStream words = new ByteArrayOutputStream();
    words.writeBytes(integer(report.badRecords().size()));
    for (BadRecord bad : report.badRecords()) {
      words.writeBytes(text(bad.source()));
      words.writeBytes(integer(bad.line()));
      words.writeBytes(integer(bad.record()));
      words.writeBytes(text(bad.reason()));
    }
    words.writeBytes(integer(report.unusedFields().size()));
    report.unusedFields().forEach(field -> words.writeBytes(text(field)));
    return words.toByteArray();
  }

  private static byte[] integer(int value) {
    return ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
  }

  private static ByteBuffer footer(List<long[]> pages, DataReport report) {
    int lists = report.fullyMasked().size() + report.tooLong().size() + 2;
    byte[] words = words(report);
    ByteBuffer footer =
        ByteBuffer.allocate(4 + 12 * pages.size() + 44 + 4 * lists + words.length)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(pages.size());
    pages.forEach(page -> footer.putLong(page[0]).putInt((int) page[1]));
    footer
        .putInt(report.records())
        .putInt(report.examples())
        .putLong(report.tokens())
        .putLong(report.supervisedTokens())
        .putInt(report.longest())
        .putInt(report.truncated())
        .putInt(report.shortened())
        .putInt(report.fullyMasked().size());
    report.fullyMasked().forEach(footer::putInt);
    footer.putInt(report.tooLong().size());
    report.tooLong().forEach(footer::putInt);
    return footer
        .put(words)
        .putInt(report.specialTokensAsText())
        .putInt(report.withoutThinking() ? 1 : 0)
        .flip();
  }

  /** Returns a sink that writes the file; it appears when the sink is finished. */
  PageSink writer() {
    try {
      return new Writer();
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  private DataException unwritable(IOException e) {
    return new DataException(
        file + ": the token cache cannot be written: " + e + "; choose another folder", e);
  }

  private final class Writer implements PageSink {
    private final Path temporary;
    private final FileChannel channel;
    private final CRC32C crc = new CRC32C();
    private final List<long[]> pages = new ArrayList<>();
    private long position;

    Writer() throws IOException {
      Path folder = Files.createDirectories(file.toAbsolutePath().getParent());
      temporary = Files.createTempFile(folder, ".tokens-", ".tmp");
      channel = FileChannel.open(temporary, StandardOpenOption.WRITE);
      write(
          ByteBuffer.allocate(HEADER_BYTES)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(MAGIC)
              .put(key)
              .flip());
    }

    private void write(ByteBuffer bytes) throws IOException {
      crc.update(bytes.duplicate());
      while (bytes.hasRemaining()) {
        position += channel.write(bytes);
      }
    }

    @Override
    public void add(TokenPage page) {
      try {
        ByteBuffer bytes = page.bytes();
        pages.add(new long[] {position, bytes.remaining()});
        write(bytes);
      } catch (IOException e) {
        throw unwritable(e);
      }
    }

    @Override
    public SupervisedDataset finish(DataReport report) {
      try {
        long footerAt = position;
        write(footer(pages, report));
        write(
            ByteBuffer.allocate(TRAILER_BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(footerAt)
                .putInt((int) crc.getValue())
                .putInt(0)
                .putLong(MAGIC)
                .flip());
        channel.force(true);
        channel.close();
        Files.move(
            temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        return read();
      } catch (IOException e) {
        throw unwritable(e);
      }
    }

    @Override
    public void close() {
      try {
        channel.close();
        Files.deleteIfExists(temporary);
      } catch (IOException e) {
        log.warn("{}: cannot be deleted: {}", temporary, e.toString());
      }
    }
  }
}
