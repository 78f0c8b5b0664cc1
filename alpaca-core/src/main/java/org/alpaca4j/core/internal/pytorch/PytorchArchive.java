package org.alpaca4j.core.internal.pytorch;

import java.io.EOFException;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.alpaca4j.core.internal.pickle.PickleDict;
import org.alpaca4j.core.internal.pickle.PickleException;
import org.alpaca4j.core.internal.pickle.PickleGlobals;
import org.alpaca4j.core.internal.pickle.PickleInput;
import org.alpaca4j.core.internal.pickle.PickleList;
import org.alpaca4j.core.internal.pickle.Unpickler;
import org.jspecify.annotations.Nullable;

/**
 * What a file written by {@code torch.save} holds, read without touching the weights: its tensors
 * and where the bytes of their storages lie. Two formats: the zip archive of PyTorch 1.6 and later
 * (data.pkl, data/KEY, byteorder), and the older one (pickles of a magic number, a protocol number,
 * facts about the system, the object and the storages' keys; then the storages, each led by its
 * length). The older format is little-endian always, whatever its facts say: so PyTorch writes and
 * reads it.
 *
 * @param tensors by name, each within its storage
 * @param storages by key; each has as many bytes as the pickle claims
 * @param byteOrder of the storages' elements
 * @see <a
 *     href="https://github.com/pytorch/pytorch/blob/v2.7.1/torch/serialization.py">torch.serialization</a>
 */
public record PytorchArchive(
    Map<String, TorchTensor> tensors, Map<String, Extent> storages, ByteOrder byteOrder) {
  private static final BigInteger MAGIC = new BigInteger("1950a86a20f9469cfc6c", 16);
  private static final long PROTOCOL = 1001;
  private static final int ZIP_SIGNATURE = 0x04034b50;
  private static final String PICKLE = "data.pkl";

  /** Far more than the names and shapes of the largest models take. */
  private static final long MAX_PICKLE_BYTES = 64 << 20;

  /** A larger one that is compressed may be as large as the file: its objects are much larger. */
  private static final long MAX_SMALL_PICKLE_BYTES = 16 << 10;

  /** One array, read as a whole. */
  private static final long MAX_INFLATED_BYTES = 1 << 30;

  /**
   * How much larger than the file a tensor, or all that is inflated, may be. Weights hardly
   * compress, and a broadcast is seldom stored.
   */
  private static final long MAX_EXPANSION = 16;

  /**
   * Reads a file's structure.
   *
   * @throws MalformedArchiveException if it is no sound PyTorch file
   * @throws PickleException if its pickle is malformed or holds what is not permitted
   * @throws IOException if reading fails
   */
  public static PytorchArchive read(FileChannel channel) throws IOException {
    PytorchArchive archive =
        channel.size() >= Integer.BYTES && littleEndian(channel, 0, Integer.BYTES) == ZIP_SIGNATURE
            ? readZip(channel)
            : readLegacy(channel);
    requireBearable(archive, channel.size());
    return archive;
  }

  // ---- zip

  private static PytorchArchive readZip(FileChannel channel) throws IOException {
    Map<String, Extent> entries = ZipDirectory.read(channel);
    String root = root(entries);
    ByteOrder order = byteOrder(channel, entries.get(root + "byteorder"));
    Extent pickle = entries.getOrDefault(root + PICKLE, new Extent(PICKLE, false, 0, 0, 0, 0));
    requirePickleLength(pickle.bytes());
    if (pickle.deflated()
        && pickle.bytes() > MAX_SMALL_PICKLE_BYTES
        && pickle.bytes() > channel.size()) {
      throw new MalformedArchiveException(
          "its compressed entry '"
              + Unpickler.show(pickle.name())
              + "' is said to have "
              + pickle.bytes()
              + " bytes, more than the whole file; torch.save never compresses");
    }
    PickleInput input =
        pickle.deflated()
            ? PickleInput.of(Inflation.inflate(channel, pickle))
            : new PickleInput(channel::read, pickle.offset(), pickle.offset() + pickle.bytes());
    long begin = input.position();
    TorchGlobals globals = new TorchGlobals(pickle.bytes());
    Object value = new Unpickler(input, globals).load();
    if (input.position() - begin != pickle.bytes()) {
      throw new MalformedArchiveException(PICKLE + " goes on after its end");
    }
    Map<String, TorchTensor> tensors = StateDict.tensors(value);
    Map<String, Extent> storages = new HashMap<>();
    for (TorchStorage storage : globals.storages().values()) {
      Extent extent = entries.get(root + "data/" + storage.key());
      if (extent == null) {
        throw new MalformedArchiveException("it lacks " + name(storage) + " that its pickle names");
      }
      requireLength(storage, extent.bytes());
      storages.put(storage.key(), extent);
    }
    return new PytorchArchive(tensors, storages, order);
  }

  /** Returns what stands before data.pkl: PyTorch writes the file's own name. */
  private static String root(Map<String, Extent> entries) throws MalformedArchiveException {
    String found = null;
    for (String name : entries.keySet()) {
      if (name.equals(PICKLE) || name.endsWith("/" + PICKLE)) {
        if (found != null) {
          throw new MalformedArchiveException("the zip archive has more than one " + PICKLE);
        }
        found = name.substring(0, name.length() - PICKLE.length());
      }
    }
    if (found == null) {
      throw new MalformedArchiveException(
          "the zip archive has no " + PICKLE + ", so torch.save did not write it");
    }
    if (entries.containsKey(found + "constants.pkl")) {
      throw new MalformedArchiveException(
          "it is a TorchScript program, not weights; save its state_dict() with torch.save");
    }
    return found;
  }

  private static ByteOrder byteOrder(FileChannel channel, @Nullable Extent mark)
      throws IOException {
    if (mark == null) {
      return ByteOrder.LITTLE_ENDIAN; // as PyTorch does
    }
    if (!mark.deflated() && mark.bytes() <= "little".length()) {
      ByteBuffer text = ByteBuffer.allocate((int) mark.bytes());
      readFully(channel, text, mark.offset());
      switch (new String(text.array(), StandardCharsets.US_ASCII)) {
        case "little":
          return ByteOrder.LITTLE_ENDIAN;
        case "big":
          return ByteOrder.BIG_ENDIAN;
        default:
          break;
      }
    }
    throw new MalformedArchiveException("its byteorder is neither 'little' nor 'big'");
  }

  // ---- older format

  private static PytorchArchive readLegacy(FileChannel channel) throws IOException {
    long size = channel.size();
    PickleInput input = new PickleInput(channel::read, 0, Math.min(size, MAX_PICKLE_BYTES));
    requireMagic(input);
    if (!plain(input).equals(PROTOCOL)) {
      throw new MalformedArchiveException("it is of another protocol than " + PROTOCOL);
    }
    if (!(plain(input) instanceof PickleDict)) {
      throw new MalformedArchiveException("its facts about the system are no dict");
    }
    TorchGlobals globals = new TorchGlobals(input.remaining());
    Map<String, TorchTensor> tensors = StateDict.tensors(new Unpickler(input, globals).load());
    if (!(plain(input) instanceof PickleList keys)) {
      throw new MalformedArchiveException("its storages are not listed");
    }
    Map<String, Extent> storages = new HashMap<>();
    long position = input.position();
    for (Object key : keys.items()) {
      TorchStorage storage = key instanceof String text ? globals.storages().get(text) : null;
      if (storage == null || storages.containsKey(storage.key())) {
        throw new MalformedArchiveException(
            "it lists a storage, " + TorchGlobals.describe(key) + ", that no tensor uses or twice");
      }
      if (position > size - Long.BYTES) {
        throw new MalformedArchiveException("it ends before " + name(storage));
      }
      long elements = littleEndian(channel, position, Long.BYTES);
      position += Long.BYTES;
      if (elements != storage.elements()) {
        throw new MalformedArchiveException(
            name(storage) + " has " + elements + " elements, not " + storage.elements());
      }
      if (storage.bytes() > size - position) {
        throw new MalformedArchiveException("it ends within " + name(storage) + "; fetch it again");
      }
      storages.put(
          storage.key(),
          new Extent(storage.key(), false, 0, position, storage.bytes(), storage.bytes()));
      position += storage.bytes();
    }
    for (TorchStorage storage : globals.storages().values()) {
      if (!storages.containsKey(storage.key())) {
        throw new MalformedArchiveException("it lacks " + name(storage) + " that its pickle names");
      }
    }
    if (position != size) {
      throw new MalformedArchiveException(
          (size - position) + " bytes follow its storages; was something appended to it?");
    }
    return new PytorchArchive(tensors, storages, ByteOrder.LITTLE_ENDIAN);
  }

  private static void requireMagic(PickleInput input) throws IOException {
    String neither = "it is neither a zip archive nor of PyTorch's older format";
    try {
      if (!plain(input).equals(MAGIC)) {
        throw new MalformedArchiveException(neither + ": its magic number is another");
      }
    } catch (PickleException e) {
      throw new MalformedArchiveException(
          neither
              + ": as a pickle, "
              + e.getMessage()
              + "; was a Git LFS pointer or an error page fetched in its place?");
    }
  }

  private static Object plain(PickleInput input) throws IOException {
    return new Unpickler(input, PickleGlobals.NONE).load();
  }

  // ---- bounds

  private static void requireBearable(PytorchArchive archive, long fileBytes)
      throws MalformedArchiveException {
    long inflated = 0;
    for (Extent extent : archive.storages().values()) {
      if (extent.deflated()) {
        inflated = Math.min(Long.MAX_VALUE / 2, inflated) + extent.bytes();
        requireInflatable(extent, inflated, fileBytes);
      }
    }
    for (Map.Entry<String, TorchTensor> entry : archive.tensors().entrySet()) {
      TorchTensor tensor = entry.getValue();
      if (tensor.elements() * tensor.dtype().bytes() / MAX_EXPANSION > fileBytes) {
        throw new MalformedArchiveException(
            "the tensor '"
                + Unpickler.show(entry.getKey())
                + "' repeats its storage to more than "
                + MAX_EXPANSION
                + " times the file's size");
      }
    }
  }

  private static void requireInflatable(Extent extent, long inflated, long fileBytes)
      throws MalformedArchiveException {
    if (extent.bytes() > MAX_INFLATED_BYTES || inflated / MAX_EXPANSION > fileBytes) {
      throw new MalformedArchiveException(
          "its compressed entry '"
              + Unpickler.show(extent.name())
              + "' is said to have "
              + extent.bytes()
              + " bytes: more than "
              + MAX_INFLATED_BYTES
              + ", or all of them more than "
              + MAX_EXPANSION
              + " times the file's size; torch.save never compresses");
    }
  }

  private static void requirePickleLength(long bytes) throws MalformedArchiveException {
    if (bytes > MAX_PICKLE_BYTES) {
      throw new MalformedArchiveException(
          PICKLE + " has " + bytes + " bytes, more than the " + MAX_PICKLE_BYTES + " permitted");
    }
  }

  private static void requireLength(TorchStorage storage, long bytes)
      throws MalformedArchiveException {
    if (storage.bytes() != bytes) {
      throw new MalformedArchiveException(
          name(storage) + " is said to have " + storage.bytes() + " bytes, but has " + bytes);
    }
  }

  private static String name(TorchStorage storage) {
    return "the storage '" + Unpickler.show(storage.key()) + "'";
  }

  private static long littleEndian(FileChannel channel, long position, int bytes)
      throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    readFully(channel, buffer.limit(bytes), position);
    return buffer.clear().getLong();
  }

  private static void readFully(FileChannel channel, ByteBuffer destination, long position)
      throws IOException {
    while (destination.hasRemaining()) {
      if (channel.read(destination, position + destination.position()) < 0) {
        throw new EOFException("the file ends at byte " + (position + destination.position()));
      }
    }
  }
}
