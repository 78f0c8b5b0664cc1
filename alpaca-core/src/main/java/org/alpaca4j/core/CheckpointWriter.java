package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Writes a Hugging Face checkpoint folder, whole or not at all: everything goes to a hidden sibling
 * folder, is forced to the disk, and is then renamed. On failure the sibling is removed and the
 * target is as it was; a process that is killed leaves a sibling that the next write to the same
 * target removes.
 *
 * <p>Tensors are declared first; {@link #write} then asks for the bytes of one after the other, so
 * that no second copy of the model is needed. Files are byte for byte as the safetensors library
 * writes them.
 *
 * <pre>{@code
 * CheckpointWriter.Builder writer = CheckpointWriter.builder(out).config(config);
 * for (String name : checkpoint.names()) {
 *   TensorInfo tensor = checkpoint.tensor(name);
 *   writer.tensor(name, tensor.dtype(), tensor.shape());
 * }
 * writer.files(tokenizer::save).build().write(checkpoint::copyTo);
 * }</pre>
 *
 * <p>Immutable; one writer may be used repeatedly, but not for one target at the same time.
 */
public final class CheckpointWriter {
  private static final int CHUNK_BYTES = 1 << 20;
  private static final int ALIGNMENT = 8;

  private final Path target;
  private final Map<String, Declared> tensors;
  private final long maxShardBytes;
  private final String weightsName;
  private final boolean replaceExisting;
  private final Map<String, FolderSource> files;
  private final List<FolderSource> folderSources;
  private final UnaryOperator<WritableByteChannel> channels;

  private CheckpointWriter(Builder builder) {
    this.target = builder.target;
    this.tensors = new LinkedHashMap<>(builder.tensors);
    this.maxShardBytes = builder.maxShardBytes;
    this.weightsName = builder.weightsName;
    this.replaceExisting = builder.replaceExisting;
    this.files = new LinkedHashMap<>(builder.files);
    this.folderSources = List.copyOf(builder.folderSources);
    this.channels = builder.channels;
  }

  /** Supplies the bytes of declared tensors. */
  @FunctionalInterface
  public interface TensorSource {
    /**
     * Writes all bytes of a tensor, row-major and little-endian, in as many pieces as it likes.
     *
     * @param name the tensor
     * @param out takes exactly the declared number of bytes; each call takes its whole buffer
     * @throws IOException if that fails
     */
    void write(String name, WritableByteChannel out) throws IOException;
  }

  /** Writes further files of the checkpoint, such as a tokenizer's. */
  @FunctionalInterface
  public interface FolderSource {
    /**
     * Writes files.
     *
     * @param folder where; it will be renamed afterwards, so its path must not be kept
     * @throws IOException if that fails
     */
    void write(Path folder) throws IOException;
  }

  private record Declared(String name, DType dtype, long[] shape, long byteLength) {}

  private record Shard(String file, List<Declared> tensors) {}

  /**
   * Starts a writer.
   *
   * @param target the checkpoint folder to make; missing parents are made too
   */
  public static Builder builder(Path target) {
    return new Builder(target);
  }

  /** Collects what to write; not thread-safe. */
  public static final class Builder {
    private final Path target;
    private final Map<String, Declared> tensors = new LinkedHashMap<>();
    private final Map<String, FolderSource> files = new LinkedHashMap<>();
    private final List<FolderSource> folderSources = new ArrayList<>();
    private long maxShardBytes = 5_000_000_000L;
    private String weightsName = "model";
    private boolean replaceExisting;
    private UnaryOperator<WritableByteChannel> channels = UnaryOperator.identity();

    private Builder(Path target) {
      this.target = target.toAbsolutePath().normalize();
    }

    /**
     * Declares a tensor. The order of declarations decides which shard a tensor goes to.
     *
     * @param name its full name; each only once
     * @param dtype its element type
     * @param shape its dimensions
     * @throws CheckpointException if the name was declared before or the shape is impossible
     */
    public Builder tensor(String name, DType dtype, long... shape) {
      if (name.equals("__metadata__")) {
        throw new CheckpointException("A tensor cannot be named __metadata__: it is reserved");
      }
      Declared declared = new Declared(name, dtype, shape.clone(), bytes(name, dtype, shape));
      if (tensors.putIfAbsent(name, declared) != null) {
        throw new CheckpointException("Tensor '" + name + "' is declared twice");
      }
      return this;
    }

    private static long bytes(String name, DType dtype, long[] shape) {
      try {
        if (Arrays.stream(shape).allMatch(dimension -> dimension >= 0)) {
          return SafetensorsFile.byteLength(dtype, shape);
        }
      } catch (ArithmeticException e) {
        // Reported below: as impossible as a negative dimension.
      }
      throw new CheckpointException(
          "Tensor '" + name + "' has the impossible shape " + Arrays.toString(shape));
    }

    /**
     * Sets the maximal size of a shard's tensors; default 5 GB. Weights that fit in one shard are
     * written as a single file without an index; a tensor that is larger has a shard of its own.
     *
     * @param bytes more than 0
     */
    public Builder maxShardBytes(long bytes) {
      maxShardBytes = bytes;
      return this;
    }

    /**
     * Sets the name of the weight files without its ending; default {@code model}, as in {@code
     * model.safetensors}.
     */
    public Builder weightsName(String name) {
      weightsName = name;
      return this;
    }

    /**
     * Sets whether a checkpoint already at the target is replaced; default false: it is refused. An
     * empty folder is always replaced. A folder that is not a checkpoint, or that has sub-folders,
     * is never replaced. Replacing deletes every file of the old folder once the new one is in its
     * place.
     */
    public Builder replaceExisting(boolean replace) {
      replaceExisting = replace;
      return this;
    }

    /** Adds {@code config.json} with the text of {@link ModelConfig#toJson()}. */
    public Builder config(ModelConfig config) {
      return file("config.json", config.toJson());
    }

    /**
     * Adds a file.
     *
     * @param name its name, without a path; each only once
     * @param text its content, written as UTF-8
     * @throws CheckpointException if the name is not plain or was added before
     */
    public Builder file(String name, String text) {
      return add(name, folder -> Files.writeString(folder.resolve(name), text));
    }

    /**
     * Adds a copy of a file, under its name. It is read when the checkpoint is written.
     *
     * @param file such as the base model's {@code generation_config.json}
     * @throws CheckpointException if a file of this name was added before
     */
    public Builder copy(Path file) {
      String name = String.valueOf(file.getFileName());
      Path source = file.toAbsolutePath();
      return add(name, folder -> Files.copy(source, folder.resolve(name)));
    }

    private Builder add(String name, FolderSource source) {
      boolean plain = !name.isEmpty() && !name.equals(".") && !name.equals("..");
      if (!plain || name.contains("/") || name.contains("\\")) {
        throw new CheckpointException("'" + name + "' is not a plain file name");
      }
      if (files.putIfAbsent(name, source) != null) {
        throw new CheckpointException("The file " + name + " is added twice");
      }
      return this;
    }

    /**
     * Adds files that the callback writes itself, after those of {@link #file} and {@link #copy}.
     *
     * @param source such as {@code tokenizer::save}
     */
    public Builder files(FolderSource source) {
      folderSources.add(source);
      return this;
    }

    /** Lets tests put a failing channel before a weight file. */
    Builder channels(UnaryOperator<WritableByteChannel> wrapper) {
      channels = wrapper;
      return this;
    }

    /**
     * Returns the writer.
     *
     * @throws CheckpointException if the shard size or the weights' name is impossible
     */
    public CheckpointWriter build() {
      if (maxShardBytes <= 0) {
        throw new CheckpointException("maxShardBytes is " + maxShardBytes + ", but must be > 0");
      }
      if (!weightsName.matches("[A-Za-z0-9_.-]+")) {
        throw new CheckpointException("weightsName '" + weightsName + "' is not a file name");
      }
      return new CheckpointWriter(this);
    }
  }

  /**
   * Writes the checkpoint.
   *
   * @param source is asked once for each declared tensor, in the order of the files
   * @throws CheckpointException naming the path and the cause, if the target exists and may not be
   *     replaced, the disk is full or not writable, a source fails or supplies more or fewer bytes
   *     than declared. The target is then as it was before
   */
  public void write(TensorSource source) {
    try {
      Path real = Files.isSymbolicLink(target) ? target.toRealPath() : target;
      try (StagedFolder staged = StagedFolder.open(real)) {
        requireReplaceable(real);
        requireSpace(staged.folder());
        writeWeights(staged.folder(), source);
        for (Map.Entry<String, FolderSource> file : files.entrySet()) {
          writeFile(staged.folder(), file.getKey(), file.getValue());
        }
        for (FolderSource more : folderSources) {
          more.write(staged.folder());
        }
        staged.publish();
      }
    } catch (IOException e) {
      throw failure(describe(e), e);
    } catch (CheckpointException e) {
      String message = String.valueOf(e.getMessage());
      throw message.startsWith("Cannot write") ? e : failure(message, e);
    } catch (RuntimeException e) {
      throw failure(e.toString(), e);
    }
  }

  private void writeFile(Path folder, String name, FolderSource source) {
    try {
      source.write(folder);
    } catch (IOException e) {
      throw failure(name + ": " + describe(e), e);
    }
  }

  private static String describe(IOException e) {
    String message = e.getMessage();
    return e.getClass() == IOException.class && message != null
        ? message
        : e.getClass().getSimpleName() + (message == null ? "" : ": " + message);
  }

  private CheckpointException failure(String why, @Nullable Throwable cause) {
    return new CheckpointException("Cannot write the checkpoint " + target + ": " + why, cause);
  }

  private void requireReplaceable(Path real) throws IOException {
    if (!Files.exists(real, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (!Files.isDirectory(real)) {
      throw failure("a file of that name exists", null);
    }
    boolean empty = true;
    boolean checkpoint = false;
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(real)) {
      for (Path entry : entries) {
        String name = String.valueOf(entry.getFileName());
        empty = false;
        checkpoint |= name.equals("config.json") || name.endsWith(".safetensors");
        if (Files.isDirectory(entry) && !name.equals("additional_chat_templates")) {
          throw failure("the folder exists and has the sub-folder " + name, null);
        }
      }
    }
    if (!empty && !checkpoint) {
      throw failure("the folder exists and holds files that are not a checkpoint's", null);
    }
    if (!empty && !replaceExisting) {
      throw failure("it exists; choose another folder, or set replaceExisting(true)", null);
    }
  }

  private void requireSpace(Path folder) throws IOException {
    long needed = 0;
    for (Declared tensor : tensors.values()) {
      needed += tensor.byteLength;
      if (needed < 0) {
        throw failure("its tensors have more than 2^63 bytes", null);
      }
    }
    long usable = Files.getFileStore(folder).getUsableSpace();
    if (needed > usable && usable > 0) {
      throw failure(
          "its tensors need " + needed + " bytes, but the disk has only " + usable + " left", null);
    }
  }

  private void writeWeights(Path folder, TensorSource source) throws IOException {
    List<Shard> shards = shards();
    long total = 0;
    Map<String, String> shardOfTensor = new TreeMap<>();
    for (Shard shard : shards) {
      writeShard(folder.resolve(shard.file), shard, source);
      for (Declared tensor : shard.tensors) {
        total += tensor.byteLength;
        shardOfTensor.put(tensor.name, shard.file);
      }
    }
    if (shards.size() > 1) {
      Files.write(
          folder.resolve(weightsName + ".safetensors.index.json"), index(total, shardOfTensor));
    }
  }

  /** Fills shards greedily in the order of declaration, as huggingface_hub does. */
  private List<Shard> shards() {
    List<List<Declared>> groups = new ArrayList<>();
    List<Declared> current = new ArrayList<>();
    long bytes = 0;
    for (Declared tensor : tensors.values()) {
      if (tensor.byteLength > maxShardBytes) {
        groups.add(List.of(tensor));
        continue;
      }
      if (bytes > maxShardBytes - tensor.byteLength) {
        groups.add(current);
        current = new ArrayList<>();
        bytes = 0;
      }
      current.add(tensor);
      bytes += tensor.byteLength;
    }
    if (!current.isEmpty()) {
      groups.add(current);
    }
    List<Shard> shards = new ArrayList<>();
    for (int i = 0; i < groups.size(); i++) {
      String part =
          groups.size() == 1
              ? ""
              : String.format(Locale.ROOT, "-%05d-of-%05d", i + 1, groups.size());
      shards.add(new Shard(weightsName + part + ".safetensors", inFileOrder(groups.get(i))));
    }
    return shards;
  }

  /** Sorts as the safetensors library does: widest types first, so that all are aligned. */
  private static List<Declared> inFileOrder(List<Declared> tensors) {
    List<Declared> sorted = new ArrayList<>(tensors);
    sorted.sort(
        Comparator.comparing(Declared::dtype, Comparator.reverseOrder())
            .thenComparing(
                tensor -> tensor.name.getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned));
    return sorted;
  }

  private void writeShard(Path file, Shard shard, TensorSource source) throws IOException {
    byte[] header = header(shard.tensors);
    if (header.length > SafetensorsFile.MAX_HEADER_BYTES) {
      throw failure("the header of " + shard.file + " exceeds 100 MB; use smaller shards", null);
    }
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      WritableByteChannel out = channels.apply(channel);
      ByteBuffer length =
          ByteBuffer.allocate(SafetensorsFile.LENGTH_BYTES)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(0, header.length);
      writeFully(out, length);
      writeFully(out, ByteBuffer.wrap(header));
      for (Declared tensor : shard.tensors) {
        writeTensor(out, tensor, shard.file, source);
      }
    }
  }

  private void writeTensor(
      WritableByteChannel out, Declared tensor, String file, TensorSource source) {
    TensorChannel channel = new TensorChannel(out, tensor);
    String where = "tensor '" + tensor.name + "' in " + file + ": ";
    try {
      source.write(tensor.name, channel);
    } catch (IOException e) {
      throw failure(where + describe(e), e);
    } catch (RuntimeException e) {
      throw failure(where + (e instanceof AlpacaException ? e.getMessage() : e.toString()), e);
    }
    channel.open = false;
    if (channel.left > 0) {
      throw failure(
          where
              + "its source supplied "
              + (tensor.byteLength - channel.left)
              + " bytes instead of "
              + tensor.byteLength,
          null);
    }
  }

  private static void writeFully(WritableByteChannel out, ByteBuffer bytes) throws IOException {
    int end = bytes.limit();
    try {
      while (bytes.position() < end) {
        // A channel copies a buffer of the heap to native memory as a whole, and keeps that.
        bytes.limit(Math.min(end, bytes.position() + CHUNK_BYTES));
        out.write(bytes);
      }
    } finally {
      bytes.limit(end);
    }
  }

  private static byte[] header(List<Declared> tensors) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
      json.writeStartObject();
      json.writeObjectFieldStart("__metadata__");
      json.writeStringField("format", "pt");
      json.writeEndObject();
      long offset = 0;
      for (Declared tensor : tensors) {
        json.writeObjectFieldStart(tensor.name);
        json.writeStringField("dtype", tensor.dtype.safetensorsName());
        json.writeArrayFieldStart("shape");
        for (long dimension : tensor.shape) {
          json.writeNumber(dimension);
        }
        json.writeEndArray();
        json.writeArrayFieldStart("data_offsets");
        json.writeNumber(offset);
        offset += tensor.byteLength;
        json.writeNumber(offset);
        json.writeEndArray();
        json.writeEndObject();
      }
      json.writeEndObject();
    }
    while (bytes.size() % ALIGNMENT != 0) {
      bytes.write(' ');
    }
    return bytes.toByteArray();
  }

  private static byte[] index(long total, Map<String, String> shardOfTensor) throws IOException {
    DefaultPrettyPrinter printer =
        new DefaultPrettyPrinter(
            Separators.createDefaultInstance()
                .withObjectFieldValueSpacing(Separators.Spacing.AFTER));
    printer.indentObjectsWith(new DefaultIndenter("  ", "\n"));
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
      json.setPrettyPrinter(printer);
      json.writeStartObject();
      json.writeObjectFieldStart("metadata");
      json.writeNumberField("total_size", total);
      json.writeEndObject();
      json.writeObjectFieldStart("weight_map");
      for (Map.Entry<String, String> entry : shardOfTensor.entrySet()) {
        json.writeStringField(entry.getKey(), entry.getValue());
      }
      json.writeEndObject();
      json.writeEndObject();
      json.writeRaw('\n');
    }
    return bytes.toByteArray();
  }

  /** What a source writes to: counts, and refuses what is too much. */
  private static final class TensorChannel implements WritableByteChannel {
    private final WritableByteChannel out;
    private final Declared tensor;
    private long left;
    private boolean open = true;

    TensorChannel(WritableByteChannel out, Declared tensor) {
      this.out = out;
      this.tensor = tensor;
      this.left = tensor.byteLength;
    }

    @Override
    public int write(ByteBuffer bytes) throws IOException {
      int length = bytes.remaining();
      if (!open) {
        throw new IOException("the channel of '" + tensor.name + "' is closed");
      }
      if (length > left) {
        throw new IOException(
            "its source supplies more than the declared " + tensor.byteLength + " bytes");
      }
      writeFully(out, bytes);
      left -= length;
      return length;
    }

    @Override
    public boolean isOpen() {
      return open;
    }

    @Override
    public void close() {
      open = false;
    }
  }
}
