package org.alpaca4j.core;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A weight file in the making; takes bytes at any position. Large parts go straight to the disk
 * where the system permits ({@code O_DIRECT}): a model of many gigabytes would otherwise push
 * everything else out of the system's page cache, and be copied once more. The rest goes through
 * the page cache and is forced to the disk now and then, so that little is left to wait for at the
 * end. For one thread.
 */
final class ShardFile implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(ShardFile.class);

  /**
   * Of the parts that go straight to the disk, in the file and in memory: a multiple of nearly any
   * disk's block.
   */
  static final int ALIGNMENT = 1 << 12;

  /** Less is not worth waiting for the disk. */
  private static final int MIN_DIRECT_BYTES = 1 << 20;

  private static final long FORCE_EVERY_BYTES = 1 << 26;

  private final FileChannel cached;
  private final Output cachedOutput;
  private @Nullable FileChannel direct;
  private long unforced;

  /** Takes bytes at any position, as a file channel does. */
  @FunctionalInterface
  interface Output {
    int write(ByteBuffer bytes, long position) throws IOException;
  }

  /** For {@link #create} and tests. */
  ShardFile(FileChannel cached, Output cachedOutput, @Nullable FileChannel direct) {
    this.cached = cached;
    this.cachedOutput = cachedOutput;
    this.direct = direct;
  }

  /**
   * Makes a file that must not exist yet.
   *
   * @param outputs put before what goes through the page cache
   */
  static ShardFile create(Path path, UnaryOperator<Output> outputs) throws IOException {
    FileChannel cached =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    return new ShardFile(cached, outputs.apply(cached::write), openDirect(path));
  }

  private static @Nullable FileChannel openDirect(Path path) {
    try {
      if (ALIGNMENT % Files.getFileStore(path).getBlockSize() == 0) {
        return FileChannel.open(path, StandardOpenOption.WRITE, ExtendedOpenOption.DIRECT);
      }
    } catch (IOException | UnsupportedOperationException e) {
      LOG.debug("{} goes through the page cache: {}", path, e.toString());
    }
    return null;
  }

  /**
   * Writes all that is left in a buffer. It goes straight to the disk where the buffer lies outside
   * the heap, and memory and file are aligned alike.
   */
  void write(ByteBuffer bytes, long position) throws IOException {
    int begin = bytes.position();
    int end = bytes.limit();
    int from = begin + (int) Math.floorMod(-position, (long) ALIGNMENT);
    int to = from + (end - from) / ALIGNMENT * ALIGNMENT;
    if (to - from < MIN_DIRECT_BYTES || !isDirect(bytes, from)) {
      writeCached(bytes, position);
      return;
    }
    writeCached(bytes.limit(from), position);
    writeDirect(bytes.limit(to), position + (from - begin));
    writeCached(bytes.limit(end), position + (to - begin));
  }

  private boolean isDirect(ByteBuffer bytes, int from) {
    return direct != null && bytes.isDirect() && bytes.alignmentOffset(from, ALIGNMENT) == 0;
  }

  private void writeDirect(ByteBuffer bytes, long position) throws IOException {
    FileChannel channel = direct;
    int begin = bytes.position();
    if (channel != null) {
      try {
        while (bytes.hasRemaining()) {
          channel.write(bytes, position + (bytes.position() - begin));
        }
      } catch (IOException e) {
        // Some file systems refuse only now. If it is the disk that fails, the next line will too.
        LOG.debug("Writing straight to the disk failed: {}", e.toString());
        direct = null;
        channel.close();
      }
    }
    writeCached(bytes, position + (bytes.position() - begin));
  }

  private void writeCached(ByteBuffer bytes, long position) throws IOException {
    long at = position;
    while (bytes.hasRemaining()) {
      int written = cachedOutput.write(bytes, at);
      at += written;
      unforced += written;
    }
    if (unforced >= FORCE_EVERY_BYTES) {
      cached.force(false);
      unforced = 0;
    }
  }

  @Override
  public void close() throws IOException {
    try (cached) {
      if (direct != null) {
        direct.close();
      }
    }
  }
}
