package org.alpaca4j.weights.gguf;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.internal.ParallelTasks;
import org.alpaca4j.core.internal.StagedFolder;
import org.alpaca4j.weights.gguf.GgufValue.Elements;

/**
 * Writes a GGUF file of version 3, whole or not at all ({@link StagedFolder}). Sizes are known
 * before any byte is, so tensors are written at their places by several threads.
 */
final class GgufWriter {
  private static final int MAGIC = 0x46554747; // "GGUF"
  private static final int VERSION = 3;
  private static final int ALIGNMENT = 32;

  private static final Comparator<GgufTensor> LARGEST_FIRST =
      Comparator.comparingLong(GgufTensor::byteLength).reversed();

  private final Path target;
  private final byte[] header;
  private final List<GgufTensor> tensors;

  /** Supplies tensors' bytes; called by several threads, for one tensor each. */
  @FunctionalInterface
  interface Source {
    void write(GgufTensor tensor, WritableByteChannel out) throws IOException;
  }

  GgufWriter(Path target, Map<String, GgufValue> metadata, List<GgufTensor> declared) {
    this.target = target.toAbsolutePath().normalize();
    List<GgufTensor> relative = new ArrayList<>();
    long end = 0;
    for (GgufTensor tensor : declared) {
      relative.add(tensor.at(end));
      end = padded(end + tensor.byteLength());
    }
    this.header = header(metadata, relative);
    this.tensors = relative.stream().map(t -> t.at(header.length + t.offset())).toList();
  }

  private static long padded(long position) {
    return (position + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /**
   * Writes the file.
   *
   * @param replace whether a file already there is replaced
   * @throws CheckpointException if there is one and it may not be replaced, or writing fails; the
   *     target is then as it was
   */
  void write(boolean replace, int threads, Source source) {
    requireWritable(replace);
    String name = String.valueOf(target.getFileName());
    try (StagedFolder staged = StagedFolder.open(target)) {
      Path file = staged.folder().resolve(name);
      try (FileChannel channel =
          FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        write(channel, 0, ByteBuffer.wrap(header));
        writeTensors(channel, threads, source);
        // The file ends on a multiple of the alignment, as ggml writes it.
        long end = header.length;
        for (GgufTensor tensor : tensors) {
          end = tensor.offset() + tensor.byteLength();
        }
        write(channel, end, ByteBuffer.allocate((int) (padded(end) - end)));
      }
      staged.publishFile(name);
    } catch (IOException e) {
      throw new CheckpointException("Cannot write " + target + ": " + e, e);
    }
  }

  private void requireWritable(boolean replace) {
    if (Files.isDirectory(target)) {
      throw new CheckpointException("Cannot write " + target + ": it is a folder");
    }
    if (!replace && Files.exists(target)) {
      throw new CheckpointException(
          "Cannot write "
              + target
              + ": it exists; choose another name, or set replaceExisting(true)");
    }
  }

  private void writeTensors(FileChannel channel, int threads, Source source) throws IOException {
    try {
      ParallelTasks.forEach(
          threads,
          tensors.stream().sorted(LARGEST_FIRST).toList(), // so that no thread ends on a large one
          tensor -> {
            Part part = new Part(channel, tensor);
            source.write(tensor, part);
            part.requireComplete();
          });
    } catch (AlpacaException e) {
      throw e;
    } catch (Exception e) {
      throw new IOException(e.toString(), e);
    }
  }

  private static void write(FileChannel channel, long position, ByteBuffer bytes)
      throws IOException {
    long at = position;
    while (bytes.hasRemaining()) {
      at += channel.write(bytes, at);
    }
  }

  private static byte[] header(Map<String, GgufValue> metadata, List<GgufTensor> tensors) {
    Bytes bytes = new Bytes();
    bytes.int32(MAGIC);
    bytes.int32(VERSION);
    bytes.int64(tensors.size());
    bytes.int64(metadata.size());
    metadata.forEach(
        (key, value) -> {
          bytes.string(key);
          bytes.int32(value.kind().id());
          bytes.value(value);
        });
    for (GgufTensor tensor : tensors) {
      bytes.string(tensor.name());
      bytes.int32(tensor.shape().size());
      for (int i = tensor.shape().size() - 1; i >= 0; i--) {
        bytes.int64(tensor.shape().get(i));
      }
      bytes.int32(tensor.type().id());
      bytes.int64(tensor.offset());
    }
    bytes.out.writeBytes(new byte[(int) (padded(bytes.out.size()) - bytes.out.size())]);
    return bytes.out.toByteArray();
  }

  /** Little-endian numbers and strings. */
  private static final class Bytes {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    void int32(int number) {
      int64(number, 4);
    }

    void int64(long number) {
      int64(number, 8);
    }

    private void int64(long number, int bytes) {
      for (int i = 0; i < bytes; i++) {
        out.write((int) (number >>> 8 * i));
      }
    }

    void string(String text) {
      byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
      int64(utf8.length);
      out.writeBytes(utf8);
    }

    void value(GgufValue value) {
      if (value.value() instanceof String text) {
        string(text);
      } else if (value.value() instanceof Boolean flag) {
        out.write(flag ? 1 : 0);
      } else if (value.value() instanceof Long number) {
        int64(number, value.kind().bytes());
      } else if (value.value() instanceof Double number) {
        if (value.kind().bytes() == 4) {
          int32(Float.floatToRawIntBits(number.floatValue()));
        } else {
          int64(Double.doubleToRawLongBits(number));
        }
      } else if (value.value() instanceof Elements elements) {
        int32(elements.kind().id());
        int64(elements.count());
        byte[] bytes = new byte[elements.bytes().remaining()];
        elements.bytes().order(ByteOrder.LITTLE_ENDIAN).duplicate().get(bytes);
        out.writeBytes(bytes);
      } else {
        throw new IllegalArgumentException("No value: " + value);
      }
    }
  }

  /** The place of one tensor in the file. */
  private static final class Part implements WritableByteChannel {
    private final FileChannel channel;
    private final GgufTensor tensor;
    private long written;

    Part(FileChannel channel, GgufTensor tensor) {
      this.channel = channel;
      this.tensor = tensor;
    }

    @Override
    public int write(ByteBuffer bytes) throws IOException {
      int length = bytes.remaining();
      if (length > tensor.byteLength() - written) {
        throw new IOException("too many bytes for " + tensor);
      }
      GgufWriter.write(channel, tensor.offset() + written, bytes);
      written += length;
      return length;
    }

    void requireComplete() throws IOException {
      if (written != tensor.byteLength()) {
        throw new IOException("only " + written + " bytes for " + tensor);
      }
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {}
  }
}
