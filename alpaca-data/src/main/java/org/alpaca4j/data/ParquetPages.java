package org.alpaca4j.data;

import io.airlift.compress.Decompressor;
import io.airlift.compress.MalformedInputException;
import io.airlift.compress.snappy.SnappyDecompressor;
import io.airlift.compress.zstd.ZstdDecompressor;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.page.DataPage;
import org.apache.parquet.column.page.DataPageV1;
import org.apache.parquet.column.page.DataPageV2;
import org.apache.parquet.column.page.DictionaryPage;
import org.apache.parquet.column.page.PageReader;
import org.apache.parquet.column.statistics.Statistics;
import org.apache.parquet.format.ColumnMetaData;
import org.apache.parquet.format.CompressionCodec;
import org.apache.parquet.format.DataPageHeader;
import org.apache.parquet.format.DataPageHeaderV2;
import org.apache.parquet.format.DictionaryPageHeader;
import org.apache.parquet.format.PageHeader;
import org.apache.parquet.format.Util;
import org.jspecify.annotations.Nullable;

/** The pages of one column in one row group, read and unpacked when they are asked for. */
final class ParquetPages implements PageReader {

  /** Writers end a page at about 1 MiB; a damaged size must not allocate at will. */
  private static final int MAX_PAGE_BYTES = 1 << 28;

  /** The reader does not look at them, and their class needs a library for geometry. */
  private static final @Nullable Statistics<?> NO_STATISTICS = null;

  private final Path file;
  private final ColumnMetaData column;
  private final InputStream in;
  private long valuesLeft;
  private @Nullable PageHeader header;

  ParquetPages(Path file, FileChannel channel, ColumnMetaData column) {
    this.file = file;
    this.column = column;
    this.valuesLeft = column.getNum_values();
    long start = column.getData_page_offset();
    if (column.isSetDictionary_page_offset() && column.getDictionary_page_offset() > 0) {
      start = Math.min(start, column.getDictionary_page_offset());
    }
    this.in = new BufferedInputStream(new Range(channel, start, column.getTotal_compressed_size()));
  }

  @Override
  public long getTotalValueCount() {
    return column.getNum_values();
  }

  @Override
  public @Nullable DictionaryPage readDictionaryPage() {
    try {
      PageHeader next = header();
      if (!next.isSetDictionary_page_header()) {
        return null;
      }
      header = null;
      DictionaryPageHeader dictionary = next.getDictionary_page_header();
      return new DictionaryPage(
          BytesInput.from(unpacked(body(next), next.getUncompressed_page_size())),
          dictionary.getNum_values(),
          encoding(dictionary.getEncoding()));
    } catch (IOException e) {
      throw failed(e);
    }
  }

  @Override
  public @Nullable DataPage readPage() {
    try {
      while (valuesLeft > 0) {
        PageHeader next = header();
        header = null;
        byte[] body = body(next);
        if (next.isSetData_page_header()) {
          DataPageHeader page = next.getData_page_header();
          valuesLeft -= page.getNum_values();
          return new DataPageV1(
              BytesInput.from(unpacked(body, next.getUncompressed_page_size())),
              page.getNum_values(),
              next.getUncompressed_page_size(),
              NO_STATISTICS,
              encoding(page.getRepetition_level_encoding()),
              encoding(page.getDefinition_level_encoding()),
              encoding(page.getEncoding()));
        }
        if (next.isSetData_page_header_v2()) {
          DataPageHeaderV2 page = next.getData_page_header_v2();
          valuesLeft -= page.getNum_values();
          return version2(page, body, next.getUncompressed_page_size());
        }
        // Other kinds of pages are to be skipped.
      }
      return null;
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** Levels stand before the values, never packed. */
  private DataPageV2 version2(DataPageHeaderV2 page, byte[] body, int size) throws IOException {
    int repetition = page.getRepetition_levels_byte_length();
    int levels = repetition + page.getDefinition_levels_byte_length();
    if (repetition < 0 || levels < repetition || levels > body.length) {
      throw new IOException("a page's levels are longer than the page");
    }
    byte[] values = new byte[body.length - levels];
    System.arraycopy(body, levels, values, 0, values.length);
    boolean packed = !page.isSetIs_compressed() || page.isIs_compressed();
    return DataPageV2.uncompressed(
        page.getNum_rows(),
        page.getNum_nulls(),
        page.getNum_values(),
        BytesInput.from(body, 0, repetition),
        BytesInput.from(body, repetition, levels - repetition),
        encoding(page.getEncoding()),
        BytesInput.from(packed ? unpacked(values, size - levels) : values),
        NO_STATISTICS);
  }

  private PageHeader header() throws IOException {
    if (header == null) {
      try {
        header = Util.readPageHeader(in);
      } catch (IOException e) {
        throw new IOException("the header of a page is not readable; the file is damaged", e);
      }
    }
    return header;
  }

  private byte[] body(PageHeader page) throws IOException {
    int length = page.getCompressed_page_size();
    int unpacked = page.getUncompressed_page_size();
    if (length < 0 || length > MAX_PAGE_BYTES || unpacked < 0 || unpacked > MAX_PAGE_BYTES) {
      throw new IOException("a page cannot have " + length + " bytes, " + unpacked + " unpacked");
    }
    byte[] bytes = in.readNBytes(length);
    if (bytes.length < length) {
      throw new IOException("a page ends too early");
    }
    return bytes;
  }

  private byte[] unpacked(byte[] bytes, int size) throws IOException {
    CompressionCodec codec = column.getCodec();
    return switch (codec) {
      case UNCOMPRESSED -> bytes;
      case SNAPPY -> unpacked(new SnappyDecompressor(), bytes, size);
      case ZSTD -> unpacked(new ZstdDecompressor(), bytes, size);
      case GZIP -> {
        try (InputStream gzip = new GZIPInputStream(new ByteArrayInputStream(bytes))) {
          yield gzip.readNBytes(size);
        }
      }
      default ->
          throw new DataException(
              file
                  + ", column "
                  + String.join(".", column.getPath_in_schema())
                  + ": is packed with "
                  + codec
                  + ", which is not supported; write it with snappy, zstd, gzip or none");
    };
  }

  private static byte[] unpacked(Decompressor decompressor, byte[] bytes, int size)
      throws IOException {
    byte[] target = new byte[size];
    if (size == 0) {
      return target;
    }
    try {
      int written = decompressor.decompress(bytes, 0, bytes.length, target, 0, size);
      if (written != size) {
        throw new IOException("a page unpacks to " + written + " bytes, its header says " + size);
      }
      return target;
    } catch (MalformedInputException e) {
      throw new IOException("a page cannot be unpacked; the file is damaged", e);
    }
  }

  private static Encoding encoding(org.apache.parquet.format.Encoding encoding) {
    return Encoding.valueOf(encoding.name());
  }

  private UncheckedIOException failed(IOException e) {
    return new UncheckedIOException(
        "column " + String.join(".", column.getPath_in_schema()) + ": " + e.getMessage(), e);
  }

  /** A part of the file as a stream. */
  private static final class Range extends InputStream {
    private final FileChannel channel;
    private long position;
    private final long end;

    Range(FileChannel channel, long start, long length) {
      this.channel = channel;
      this.position = start;
      this.end = start + length;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      int count = (int) Math.min(length, end - position);
      if (count <= 0) {
        return -1;
      }
      int read = channel.read(ByteBuffer.wrap(target, offset, count), position);
      position += Math.max(read, 0);
      return read;
    }
  }
}
