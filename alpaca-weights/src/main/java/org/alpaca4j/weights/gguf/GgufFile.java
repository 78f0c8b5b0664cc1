package org.alpaca4j.weights.gguf;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import org.alpaca4j.core.CheckpointException;
import org.jspecify.annotations.Nullable;

/**
 * A GGUF file, version 2 or 3, little-endian: metadata, tensor descriptions, the tensors' bytes.
 * Everything the file says is checked against it on opening ({@link GgufHeader}). The metadata are
 * memory-mapped, tensors are read on demand. Thread-safe.
 *
 * @see <a href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">The GGUF format</a>
 */
final class GgufFile implements AutoCloseable {
  private final Path file;
  private final FileChannel channel;
  private final GgufMetadata metadata;
  private final Map<String, GgufTensor> tensors;

  private GgufFile(Path file, FileChannel channel, GgufHeader header) {
    this.file = file;
    this.channel = channel;
    this.metadata = new GgufMetadata(file, header.metadata());
    this.tensors = Collections.unmodifiableMap(header.tensors());
  }

  /**
   * Opens a file and validates all but the tensors' bytes.
   *
   * @throws CheckpointException if the file cannot be read or is not a sound GGUF file
   */
  static GgufFile open(Path file) {
    FileChannel channel = null;
    try {
      channel = FileChannel.open(file, StandardOpenOption.READ);
      long size = channel.size();
      ByteBuffer start =
          channel.map(FileChannel.MapMode.READ_ONLY, 0, Math.min(size, Integer.MAX_VALUE));
      GgufFile opened = new GgufFile(file, channel, GgufHeader.parse(file, start, size));
      channel = null;
      return opened;
    } catch (NoSuchFileException e) {
      throw new CheckpointException(file + " does not exist", e);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    } finally {
      closeQuietly(channel);
    }
  }

  private static void closeQuietly(@Nullable FileChannel channel) {
    try {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException ignored) {
      // Only reached while the exception that matters is being thrown.
    }
  }

  Path file() {
    return file;
  }

  GgufMetadata metadata() {
    return metadata;
  }

  Collection<GgufTensor> tensors() {
    return tensors.values();
  }

  @Nullable GgufTensor tensor(String name) {
    return tensors.get(name);
  }

  /**
   * Fills the buffer from a tensor.
   *
   * @param offset the first byte, counted from the tensor's begin
   */
  void read(GgufTensor tensor, long offset, ByteBuffer destination) throws IOException {
    long at = tensor.offset() + offset;
    while (destination.hasRemaining()) {
      int read = channel.read(destination, at);
      if (read < 0) {
        throw new EOFException(
            file + " ends at byte " + at + ", within " + tensor.name() + "; was it cut meanwhile?");
      }
      at += read;
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new CheckpointException("Cannot close " + file + ": " + e, e);
    }
  }
}
