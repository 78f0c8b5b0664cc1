package org.alpaca4j.core;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.alpaca4j.core.SafetensorsLayout.Declared;
import org.alpaca4j.core.SafetensorsLayout.Shard;
import org.alpaca4j.core.internal.ParallelTasks;
import org.alpaca4j.core.internal.StagedFolder;
import org.jspecify.annotations.Nullable;

/**
 * Writes a Hugging Face checkpoint folder, whole or not at all: everything goes to a hidden sibling
 * folder, is forced to the disk, and is then renamed. On failure the sibling is removed and the
 * target is as it was; a process that is killed leaves a sibling that the next write to the same
 * target removes.
 *
 * <p>Tensors are declared first; {@link #write} then asks for the bytes of one after the other, or
 * of a few at once ({@link Builder#threads}), so that no second copy of the model is needed. Files
 * are byte for byte as the safetensors library writes them.
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
  private final Path target;
  private final Map<String, Declared> tensors;
  private final long maxShardBytes;
  private final String weightsName;
  private final boolean replaceExisting;
  private final Map<String, FolderSource> files;
  private final List<FolderSource> folderSources;
  private final int threads;
  private final UnaryOperator<ShardFile.Output> outputs;

  private CheckpointWriter(Builder builder) {
    this.target = builder.target;
    this.tensors = new LinkedHashMap<>(builder.tensors);
    this.maxShardBytes = builder.maxShardBytes;
    this.weightsName = builder.weightsName;
    this.replaceExisting = builder.replaceExisting;
    this.files = new LinkedHashMap<>(builder.files);
    this.folderSources = List.copyOf(builder.folderSources);
    this.threads = builder.threads;
    this.outputs = builder.outputs;
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

  /**
   * A tensor to write.
   *
   * @param name whose it is, and in which file, for messages
   * @param position in the file, of its first byte
   */
  record Job(Declared tensor, String name, ShardFile file, long position) {}

  /**
   * Starts a writer.
   *
   * @param target the checkpoint folder to make; missing parents are made too
   */
  public static Builder builder(Path target) {
    Objects.requireNonNull(target, "target is null");
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
    private int threads = 1;
    private UnaryOperator<ShardFile.Output> outputs = UnaryOperator.identity();

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
      Objects.requireNonNull(name, "name is null");
      Objects.requireNonNull(dtype, "dtype is null");
      Objects.requireNonNull(shape, "shape is null");
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
      Objects.requireNonNull(name, "name is null");
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
      Objects.requireNonNull(config, "config is null");
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
      Objects.requireNonNull(name, "name is null");
      Objects.requireNonNull(text, "text is null");
      return add(name, folder -> Files.writeString(folder.resolve(name), text));
    }

    /**
     * Adds a copy of a file, under its name. It is read when the checkpoint is written.
     *
     * @param file such as the base model's {@code generation_config.json}
     * @throws CheckpointException if a file of this name was added before
     */
    public Builder copy(Path file) {
      Objects.requireNonNull(file, "file is null");
      String name = String.valueOf(file.getFileName());
      Path source = file.toAbsolutePath();
      return add(name, folder -> Files.copy(source, folder.resolve(name)));
    }

    /** Returns whether {@link #file} or {@link #copy} has added a file of this name. */
    boolean has(String name) {
      return files.containsKey(name);
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
      Objects.requireNonNull(source, "source is null");
      folderSources.add(source);
      return this;
    }

    /**
     * Sets how many tensors are asked for and written at once; default 1. With more, the source
     * must be thread-safe: it is called by this many threads, for different tensors.
     *
     * @param count at least 1
     */
    public Builder threads(int count) {
      threads = count;
      return this;
    }

    /** Lets tests put a failing output before a weight file. */
    Builder outputs(UnaryOperator<ShardFile.Output> wrapper) {
      outputs = wrapper;
      return this;
    }

    /**
     * Returns the writer.
     *
     * @throws CheckpointException if the shard size, the number of threads or the weights' name is
     *     impossible
     */
    public CheckpointWriter build() {
      if (maxShardBytes <= 0) {
        throw new CheckpointException("maxShardBytes is " + maxShardBytes + ", but must be > 0");
      }
      if (threads < 1) {
        throw new CheckpointException("threads is " + threads + ", but must be at least 1");
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
   * @param source is asked once for each declared tensor: in the order of the files, or, if {@link
   *     Builder#threads} is more than 1, the largest first and by several threads
   * @throws CheckpointException naming the path and the cause, if the target exists and may not be
   *     replaced, the disk is full or not writable, a source fails or supplies more or fewer bytes
   *     than declared. The target is then as it was before
   */
  public void write(TensorSource source) {
    Objects.requireNonNull(source, "source is null");
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
      needed += tensor.byteLength();
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
    List<Shard> shards = SafetensorsLayout.shards(weightsName, tensors.values(), maxShardBytes);
    List<ShardFile> open = new ArrayList<>();
    try {
      List<Job> jobs = new ArrayList<>();
      for (Shard shard : shards) {
        ShardFile file = ShardFile.create(folder.resolve(shard.file()), outputs);
        open.add(file);
        begin(shard, file, jobs);
      }
      writeTensors(jobs, source);
    } finally {
      for (ShardFile file : open) {
        file.close();
      }
    }
    if (shards.size() > 1) {
      Files.write(
          folder.resolve(weightsName + ".safetensors.index.json"), SafetensorsLayout.index(shards));
    }
  }

  /** Writes a shard's header, which decides where its tensors go. */
  private static void begin(Shard shard, ShardFile file, List<Job> jobs) throws IOException {
    ByteBuffer head = SafetensorsLayout.head(shard);
    long position = head.remaining();
    file.write(head, 0);
    for (Declared tensor : shard.tensors()) {
      String name = "tensor '" + tensor.name() + "' in " + shard.file();
      jobs.add(new Job(tensor, name, file, position));
      position += tensor.byteLength();
    }
  }

  private void writeTensors(List<Job> jobs, TensorSource source) throws IOException {
    if (threads > 1) {
      // A large tensor begun last would leave the other threads idle.
      jobs.sort(Comparator.comparingLong((Job job) -> job.tensor.byteLength()).reversed());
    }
    long largest = jobs.stream().mapToLong(job -> job.tensor.byteLength()).max().orElse(0);
    BlockWriter blocks = new BlockWriter(threads, largest);
    try (blocks) {
      ParallelTasks.forEach(threads, jobs, job -> writeTensor(job, source, blocks));
    } catch (IOException | RuntimeException e) {
      requireWritten(blocks); // says more, if a source gave up for that reason
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
    requireWritten(blocks);
  }

  private void requireWritten(BlockWriter blocks) {
    BlockWriter.Failure failed = blocks.failure();
    if (failed != null) {
      throw failure(failed.tensor() + ": " + describe(failed.cause()), failed.cause());
    }
  }

  private void writeTensor(Job job, TensorSource source, BlockWriter blocks) {
    try (TensorChannel channel = new TensorChannel(job, blocks)) {
      source.write(job.tensor.name(), channel);
      channel.finish();
    } catch (IOException e) {
      throw failure(job.name + ": " + describe(e), e);
    } catch (RuntimeException e) {
      String why = e instanceof AlpacaException ? e.getMessage() : e.toString();
      throw failure(job.name + ": " + why, e);
    }
  }
}
