package org.alpaca4j.core;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import org.alpaca4j.core.internal.Names;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a Hugging Face checkpoint folder, opened for reading: {@code model.safetensors},
 * or shards with {@code model.safetensors.index.json}; where there is neither, {@code
 * pytorch_model.bin}, or shards with {@code pytorch_model.bin.index.json}. Headers and index are
 * validated on opening; tensors are read on demand. Nothing read is ever executed, and no file
 * outside the folder is opened on the word of one inside it.
 *
 * <p>Of PyTorch files, the zip format and the one before PyTorch 1.6 are read, whoever wrote them:
 * the pickle in them is taken as data, by a reader that knows tensors and plain containers and
 * refuses everything else by name. A file holds a dict of tensors, or such a dict under {@code
 * state_dict}, {@code model_state_dict}, {@code model} or {@code module}, with the rest ignored;
 * numbers, texts and None beside tensors are ignored too. Two names of one storage are two tensors
 * here. Of a zip's entries, only compressed ones have their CRC checked.
 *
 * <pre>{@code
 * try (Checkpoint checkpoint = Checkpoint.open(Path.of("Qwen2.5-0.5B"))) {
 *   TensorInfo embedding = checkpoint.tensor("model.embed_tokens.weight");
 * }
 * }</pre>
 *
 * <p>Thread-safe. A thread that is interrupted while it reads closes the file under all of them, as
 * {@link java.nio.channels.FileChannel} does; the exception says so.
 */
public final class Checkpoint implements AutoCloseable {
  private static final String CONFIG = "config.json";
  private static final int COMPARE_BYTES = 1 << 16;
  private static final int COPY_BYTES = 1 << 20;

  private final Path folder;
  private final Map<String, TensorInfo> tensors;
  private final Map<Path, TensorContainer> containers;
  private @Nullable ModelConfig config;

  private Checkpoint(
      Path folder, Map<String, TensorInfo> tensors, Map<Path, TensorContainer> containers) {
    this.folder = folder;
    this.tensors = Collections.unmodifiableMap(tensors);
    this.containers = containers;
  }

  /**
   * Opens a checkpoint.
   *
   * @param path a folder with {@code model.safetensors} or with {@code
   *     model.safetensors.index.json} and its shards (where both exist and the index does not name
   *     the single file, that file is read, as transformers does), or the same of {@code
   *     pytorch_model.bin}; or one {@code .safetensors}, {@code .bin}, {@code .pth} or {@code .pt}
   *     file
   * @throws CheckpointException if there are no such weights, or a file of them is missing,
   *     malformed or contradicts the index
   */
  public static Checkpoint open(Path path) {
    Objects.requireNonNull(path, "path is null");
    CheckpointFiles files = CheckpointFiles.open(path.toAbsolutePath().normalize());
    return new Checkpoint(files.folder(), files.tensors(), files.containers());
  }

  /**
   * Opens a checkpoint by its path or by its name on the Hugging Face hub.
   *
   * @param pathOrId a path as for {@link #open(Path)}, if something is there; else {@code
   *     org/name}, which {@link ModelHub#ofDefaults} finds in the cache or downloads
   * @throws CheckpointException as {@link #open(Path)}
   * @throws HubException if the hub does not hand the model out
   * @throws IllegalArgumentException if it is neither a path that exists nor a name
   */
  public static Checkpoint open(String pathOrId) {
    Objects.requireNonNull(pathOrId, "pathOrId is null");
    return open(ModelHub.resolve(pathOrId));
  }

  /** Returns the folder, absolute; for a single file the folder that holds it. */
  public Path folder() {
    return folder;
  }

  /** Returns the names of all tensors, sorted. */
  public Set<String> names() {
    return tensors.keySet();
  }

  /**
   * Returns this checkpoint with other names of its tensors; the files are shared, and closed with
   * either.
   *
   * @param names the names here of those that are to have another one, and that one
   * @throws CheckpointException if two tensors would have one name
   */
  public Checkpoint withNames(Map<String, String> names) {
    Objects.requireNonNull(names, "names is null");
    if (names.isEmpty()) {
      return this;
    }
    Map<String, TensorInfo> renamed = new TreeMap<>();
    tensors.forEach(
        (name, tensor) -> {
          String now = names.getOrDefault(name, name);
          if (renamed.put(now, tensor) != null) {
            throw new CheckpointException(folder + ": two tensors would be named '" + now + "'");
          }
        });
    return new Checkpoint(folder, renamed, containers);
  }

  /**
   * Returns where and how a tensor is stored, and its name in the file.
   *
   * @throws CheckpointException if there is no such tensor
   */
  public TensorInfo tensor(String name) {
    Objects.requireNonNull(name, "name is null");
    TensorInfo tensor = tensors.get(name);
    if (tensor == null) {
      throw new CheckpointException(
          folder + " has no tensor '" + name + "'; it has " + Names.abbreviate(tensors.keySet()));
    }
    return tensor;
  }

  /**
   * Returns the model's configuration, read from {@code config.json} at the first call.
   *
   * @throws CheckpointException if the file is missing or malformed
   * @throws UnsupportedModelException if the model is of a kind that this library does not run
   */
  public synchronized ModelConfig config() {
    ModelConfig read = config;
    if (read == null) {
      read = ModelConfig.load(folder.resolve(CONFIG));
      config = read;
    }
    return read;
  }

  /**
   * Fills a buffer from a tensor: {@code destination} from its position to its limit. Tensors of
   * any size are read by several calls.
   *
   * @param name the tensor
   * @param destination receives the bytes, row-major and little-endian, as stored
   * @param offset the first byte to read, counted from the tensor's begin
   * @throws CheckpointException if there is no such tensor or reading fails
   * @throws IndexOutOfBoundsException if the tensor ends before the buffer is full
   */
  public void readBytes(String name, ByteBuffer destination, long offset) {
    Objects.requireNonNull(name, "name is null");
    Objects.requireNonNull(destination, "destination is null");
    readBytes(tensor(name), destination, offset);
  }

  private void readBytes(TensorInfo tensor, ByteBuffer destination, long offset) {
    if (offset < 0 || offset > tensor.byteLength() - destination.remaining()) {
      throw new IndexOutOfBoundsException(
          "Bytes "
              + offset
              + " to "
              + (offset + destination.remaining())
              + " of tensor '"
              + tensor.name()
              + "', which has "
              + tensor.byteLength());
    }
    try {
      container(tensor).read(tensor, destination, offset);
    } catch (ClosedByInterruptException e) {
      throw new CheckpointException(
          "Reading '"
              + tensor.name()
              + "' from "
              + tensor.file()
              + " was interrupted, which closes the file: open the checkpoint again",
          e);
    } catch (IOException e) {
      throw new CheckpointException(
          "Cannot read tensor '" + tensor.name() + "' from " + tensor.file() + ": " + e, e);
    }
  }

  /**
   * Returns whether the file holds a tensor's bytes from {@link TensorInfo#offset} on, just as they
   * are read. So it is in safetensors files, and mostly in PyTorch's; there, a tensor may also be
   * transposed, a slice, repeated, big-endian or compressed, and is put in order by each read.
   *
   * @throws CheckpointException if there is no such tensor
   */
  public boolean isInPlace(String name) {
    Objects.requireNonNull(name, "name is null");
    TensorInfo tensor = tensor(name);
    return container(tensor).isInPlace(tensor);
  }

  /**
   * Returns a tensor's bytes as a read-only, little-endian buffer: memory-mapped if it {@linkplain
   * #isInPlace is in place}, else a copy outside the heap. It stays valid after {@link #close()}.
   *
   * @param name a tensor of less than 2 GiB; larger ones are for {@link #readBytes}
   * @throws CheckpointException if there is no such tensor, it is too large, or mapping fails
   */
  public ByteBuffer map(String name) {
    Objects.requireNonNull(name, "name is null");
    TensorInfo tensor = tensor(name);
    if (tensor.byteLength() > Integer.MAX_VALUE) {
      throw new CheckpointException(
          "Tensor '"
              + tensor.name()
              + "' has "
              + tensor.byteLength()
              + " bytes, too many for one buffer; read it in parts with readBytes");
    }
    try {
      return container(tensor).map(tensor);
    } catch (IOException e) {
      throw new CheckpointException(
          "Cannot map tensor '" + name + "' of " + tensor.file() + ": " + e, e);
    }
  }

  /**
   * Writes all bytes of a tensor, as stored, in small pieces. {@code checkpoint::copyTo} is a
   * {@link CheckpointWriter.TensorSource}.
   *
   * @param name the tensor
   * @param out receives the bytes
   * @throws IOException if writing fails
   * @throws CheckpointException if there is no such tensor or reading fails
   */
  public void copyTo(String name, WritableByteChannel out) throws IOException {
    Objects.requireNonNull(name, "name is null");
    Objects.requireNonNull(out, "out is null");
    TensorInfo tensor = tensor(name);
    ByteBuffer buffer = ByteBuffer.allocate((int) Math.min(COPY_BYTES, tensor.byteLength()));
    for (long offset = 0; offset < tensor.byteLength(); offset += buffer.limit()) {
      buffer.clear().limit((int) Math.min(buffer.capacity(), tensor.byteLength() - offset));
      readBytes(name, buffer, offset);
      buffer.flip();
      while (buffer.hasRemaining()) {
        out.write(buffer);
      }
    }
  }

  private TensorContainer container(TensorInfo tensor) {
    TensorContainer container = containers.get(tensor.file());
    if (container == null) {
      throw new IllegalStateException("No open file for " + tensor);
    }
    return container;
  }

  /**
   * Checks that the checkpoint holds exactly the expected tensors, in shapes and in a type that can
   * be loaded as weights. One exception lists everything that is wrong.
   *
   * <p>Always permitted beside them: {@code *.rotary_emb.inv_freq}, which old checkpoints store
   * although it follows from the configuration.
   *
   * @param expectedShapes name to dimensions of each tensor that must be there
   * @param ignorable names that may be there as well, whatever their shape
   * @throws CheckpointException listing missing, unexpected and misshapen tensors and those that
   *     are not F32, BF16 or F16
   */
  public void requireExactly(Map<String, long[]> expectedShapes, Set<String> ignorable) {
    Objects.requireNonNull(expectedShapes, "expectedShapes is null");
    Objects.requireNonNull(ignorable, "ignorable is null");
    List<String> missing = new ArrayList<>();
    List<String> misshapen = new ArrayList<>();
    List<String> mistyped = new ArrayList<>();
    for (Map.Entry<String, long[]> expected : new TreeMap<>(expectedShapes).entrySet()) {
      TensorInfo tensor = tensors.get(expected.getKey());
      if (tensor == null) {
        missing.add(expected.getKey());
      } else if (!Arrays.equals(tensor.shape(), expected.getValue())) {
        misshapen.add(
            expected.getKey()
                + " "
                + Arrays.toString(tensor.shape())
                + " instead of "
                + Arrays.toString(expected.getValue()));
      } else if (!tensor.dtype().isWeight()) {
        mistyped.add(expected.getKey() + " " + tensor.dtype());
      }
    }
    List<String> unexpected = new ArrayList<>();
    for (String name : tensors.keySet()) {
      if (!expectedShapes.containsKey(name)
          && !ignorable.contains(name)
          && !name.endsWith("rotary_emb.inv_freq")) {
        unexpected.add(name);
      }
    }
    List<String> problems = new ArrayList<>();
    report(problems, "missing", missing);
    report(problems, "unexpected", unexpected);
    report(problems, "misshapen", misshapen);
    report(problems, "not F32, BF16 or F16", mistyped);
    if (!problems.isEmpty()) {
      throw new CheckpointException(
          folder
              + " does not fit its configuration: "
              + String.join("; ", problems)
              + ". Check that config.json belongs to these weights");
    }
  }

  private static void report(List<String> problems, String kind, List<String> names) {
    if (!names.isEmpty()) {
      problems.add(names.size() + " " + kind + ": " + Names.abbreviate(names));
    }
  }

  /**
   * Checks that two names of one tied tensor agree: {@code alias} is absent, or it has the same
   * type, shape and bytes as {@code original}.
   *
   * @param alias such as {@code lm_head.weight}
   * @param original such as {@code model.embed_tokens.weight}; must be there
   * @throws CheckpointException if they differ
   */
  public void requireTied(String alias, String original) {
    Objects.requireNonNull(alias, "alias is null");
    Objects.requireNonNull(original, "original is null");
    TensorInfo first = tensor(original);
    TensorInfo second = tensors.get(alias);
    if (second == null) {
      return;
    }
    boolean same =
        first.dtype() == second.dtype()
            && Arrays.equals(first.shape(), second.shape())
            && sameBytes(first, second);
    if (!same) {
      throw new CheckpointException(
          folder
              + ": "
              + alias
              + " differs from "
              + original
              + ", though config.json ties them; set tie_word_embeddings to false to keep both");
    }
  }

  private boolean sameBytes(TensorInfo first, TensorInfo second) {
    ByteBuffer left = ByteBuffer.allocate(COMPARE_BYTES);
    ByteBuffer right = ByteBuffer.allocate(COMPARE_BYTES);
    for (long offset = 0; offset < first.byteLength(); offset += COMPARE_BYTES) {
      int length = (int) Math.min(COMPARE_BYTES, first.byteLength() - offset);
      readBytes(first, left.clear().limit(length), offset);
      readBytes(second, right.clear().limit(length), offset);
      if (!left.flip().equals(right.flip())) {
        return false;
      }
    }
    return true;
  }

  /** Closes the files. Mapped buffers stay valid. */
  @Override
  public void close() {
    for (TensorContainer container : containers.values()) {
      try {
        container.close();
      } catch (IOException e) {
        throw new CheckpointException("Cannot close " + container.file() + ": " + e, e);
      }
    }
  }
}
