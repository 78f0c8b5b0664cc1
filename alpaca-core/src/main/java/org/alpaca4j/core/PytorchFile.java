package org.alpaca4j.core;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.alpaca4j.core.internal.pickle.PickleException;
import org.alpaca4j.core.internal.pytorch.Extent;
import org.alpaca4j.core.internal.pytorch.InflatedStorage;
import org.alpaca4j.core.internal.pytorch.MalformedArchiveException;
import org.alpaca4j.core.internal.pytorch.PytorchArchive;
import org.alpaca4j.core.internal.pytorch.StridedView;
import org.alpaca4j.core.internal.pytorch.TorchTensor;
import org.alpaca4j.core.internal.pytorch.Windows;
import org.jspecify.annotations.Nullable;

/**
 * A file written by {@code torch.save}: a zip archive or the format before PyTorch 1.6. Its pickle
 * is read as data alone; see {@link PytorchArchive} for what is permitted in it.
 *
 * <p>A tensor whose bytes lie in the file as they are wanted is read and mapped in place. One that
 * is transposed, sliced with steps, repeated or big-endian is put in order while it is read, from a
 * mapping of the file. One in a compressed storage is read from memory, into which the storage is
 * inflated at the first read.
 */
final class PytorchFile implements TensorContainer {
  private final Path file;
  private final FileChannel channel;
  private final Windows windows;
  private final Map<String, Stored> tensors = new LinkedHashMap<>();

  /** How to read a tensor: in place where {@code view} is null. */
  private record Stored(
      TensorInfo info, @Nullable StridedView view, @Nullable InflatedStorage inflated) {}

  private PytorchFile(Path file, FileChannel channel, PytorchArchive archive) throws IOException {
    this.file = file;
    this.channel = channel;
    this.windows = Windows.of(channel, archive.byteOrder());
    Map<String, InflatedStorage> inflated = new HashMap<>();
    for (Map.Entry<String, Extent> entry : archive.storages().entrySet()) {
      if (entry.getValue().deflated()) {
        inflated.put(
            entry.getKey(), new InflatedStorage(channel, entry.getValue(), archive.byteOrder()));
      }
    }
    for (Map.Entry<String, TorchTensor> entry : archive.tensors().entrySet()) {
      String key = entry.getValue().storage().key();
      Extent extent = archive.storages().get(key);
      if (extent == null) {
        throw new IllegalStateException("no storage " + key);
      }
      tensors.put(
          entry.getKey(),
          stored(entry.getKey(), entry.getValue(), extent, inflated.get(key), archive.byteOrder()));
    }
  }

  private Stored stored(
      String name,
      TorchTensor tensor,
      Extent extent,
      @Nullable InflatedStorage inflated,
      ByteOrder order) {
    DType dtype = tensor.dtype();
    long inStorage = tensor.offset() * dtype.bytes();
    TensorInfo info =
        new TensorInfo(
            name,
            dtype,
            tensor.shape(),
            file,
            inflated == null ? extent.offset() + inStorage : extent.offset(),
            tensor.elements() * dtype.bytes());
    boolean inPlace =
        inflated == null
            && (dtype.bytes() == 1 || order == ByteOrder.LITTLE_ENDIAN)
            && StridedView.isContiguous(tensor);
    StridedView view =
        inPlace ? null : new StridedView(tensor, inflated == null ? extent.offset() : 0);
    return new Stored(info, view, inflated);
  }

  /**
   * Opens a file and validates its structure.
   *
   * @throws CheckpointException if the file cannot be read, is not a sound PyTorch file, or holds
   *     anything but tensors and plain values
   */
  static PytorchFile open(Path file) {
    FileChannel channel = null;
    try {
      channel = FileChannel.open(file, StandardOpenOption.READ);
      PytorchFile opened = new PytorchFile(file, channel, PytorchArchive.read(channel));
      channel = null;
      return opened;
    } catch (NoSuchFileException e) {
      throw new CheckpointException(file + " does not exist", e);
    } catch (PickleException | MalformedArchiveException e) {
      throw new CheckpointException(
          file + " is not a sound PyTorch file of weights: " + e.getMessage(), e);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    } finally {
      if (channel != null) {
        closeQuietly(channel);
      }
    }
  }

  private static void closeQuietly(FileChannel channel) {
    try {
      channel.close();
    } catch (IOException ignored) {
      // Only ever reached while another exception, the one that matters, is being thrown.
    }
  }

  @Override
  public Path file() {
    return file;
  }

  @Override
  public Collection<TensorInfo> tensors() {
    return tensors.values().stream().map(Stored::info).toList();
  }

  @Override
  public boolean isInPlace(TensorInfo tensor) {
    return stored(tensor).view() == null;
  }

  private Stored stored(TensorInfo tensor) {
    Stored stored = tensors.get(tensor.name());
    if (stored == null) {
      throw new IllegalStateException(tensor + " is not of " + file);
    }
    return stored;
  }

  @Override
  public void read(TensorInfo tensor, ByteBuffer destination, long offset) throws IOException {
    Stored stored = stored(tensor);
    if (!channel.isOpen()) {
      throw new ClosedChannelException();
    }
    StridedView view = stored.view();
    if (view != null) {
      InflatedStorage inflated = stored.inflated();
      view.read(inflated == null ? windows : inflated.windows(), destination, offset);
      return;
    }
    long position = tensor.offset() + offset;
    while (destination.hasRemaining()) {
      int count = channel.read(destination, position);
      if (count < 0) {
        throw new EOFException(file + " ends at byte " + position + ": it became shorter");
      }
      position += count;
    }
  }

  @Override
  public ByteBuffer map(TensorInfo tensor) throws IOException {
    if (isInPlace(tensor)) {
      return channel
          .map(FileChannel.MapMode.READ_ONLY, tensor.offset(), tensor.byteLength())
          .order(ByteOrder.LITTLE_ENDIAN);
    }
    ByteBuffer copy = ByteBuffer.allocateDirect((int) tensor.byteLength());
    read(tensor, copy, 0);
    return copy.flip().asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
