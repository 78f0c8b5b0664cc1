package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ShardFileTest {
  private static final int ALIGNMENT = ShardFile.ALIGNMENT;

  @TempDir Path folder;

  private static byte[] random(int count) {
    byte[] bytes = new byte[count];
    new Random(count).nextBytes(bytes);
    return bytes;
  }

  /** A buffer whose memory is aligned as a position of a file. */
  private static ByteBuffer alignedAs(long position, byte[] bytes) {
    int lead = (int) (position % ALIGNMENT);
    ByteBuffer buffer = ByteBuffer.allocateDirect(lead + bytes.length + 2 * ALIGNMENT);
    return buffer.alignedSlice(ALIGNMENT).position(lead).put(bytes).flip().position(lead);
  }

  private static byte[] expected(int position, byte[] bytes) {
    return ByteBuffer.allocate(position + bytes.length).position(position).put(bytes).array();
  }

  @ParameterizedTest
  @CsvSource({"0,3145728", "0,3145729", "8192,2000000", "100,3000000", "4095,1048580", "5,7"})
  void partsOfAnySizeGoWhereTheyBelong(int position, int count) throws IOException {
    Path path = folder.resolve("file");
    byte[] bytes = random(count);
    try (ShardFile file = ShardFile.create(path, output -> output)) {
      ByteBuffer buffer = alignedAs(position, bytes);
      file.write(buffer, position);
      assertThat(buffer.hasRemaining()).isFalse();
    }
    assertThat(path).hasBinaryContent(expected(position, bytes));
  }

  @Test
  void neighboursShareADiskBlock() throws IOException {
    Path path = folder.resolve("file");
    byte[] bytes = random(4_000_001);
    byte[] first = Arrays.copyOf(bytes, 1_999_999);
    byte[] second = Arrays.copyOfRange(bytes, 1_999_999, bytes.length);
    try (ShardFile file = ShardFile.create(path, output -> output)) {
      file.write(alignedAs(first.length, second), first.length);
      file.write(alignedAs(0, first), 0);
    }
    assertThat(path).hasBinaryContent(bytes);
  }

  @Test
  void memoryThatIsNotAlignedAsTheFileIsWrittenToo() throws IOException {
    Path path = folder.resolve("file");
    byte[] bytes = random(3_000_000);
    try (ShardFile file = ShardFile.create(path, output -> output)) {
      file.write(alignedAs(0, bytes), 9);
    }
    assertThat(path).hasBinaryContent(expected(9, bytes));
  }

  @Test
  void aFileSystemThatRefusesToGoPastThePageCacheIsNoFailure() throws IOException {
    Path path = folder.resolve("file");
    byte[] bytes = random(3_000_000);
    FileChannel cached =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    FileChannel refusing = FileChannel.open(path, StandardOpenOption.WRITE);
    refusing.close();
    try (ShardFile file = new ShardFile(cached, cached::write, refusing)) {
      file.write(alignedAs(100, bytes), 100);
    }
    assertThat(path).hasBinaryContent(expected(100, bytes));
  }

  @Test
  void anExistingFileIsNotOverwritten() throws IOException {
    Path path = Files.writeString(folder.resolve("file"), "mine");
    assertThatThrownBy(() -> ShardFile.create(path, output -> output))
        .isInstanceOf(IOException.class);
    assertThat(path).hasContent("mine");
  }
}
