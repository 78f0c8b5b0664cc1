package org.alpaca4j.weights;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.DType;
import org.jspecify.annotations.Nullable;

/**
 * Makes a Hugging Face folder of safetensors from a folder of weights: a Hugging Face folder of any
 * family ({@code .bin} or safetensors, sharded or not), or Meta's release of a Llama ({@code
 * consolidated.NN.pth}, {@code params.json}, {@code tokenizer.model}).
 *
 * <pre>{@code
 * CheckpointConverter.builder(Path.of("llama-2-7b"), Path.of("llama-2-7b-hf"))
 *     .dtype(DType.BF16)
 *     .build()
 *     .convert();
 * }</pre>
 *
 * <p>Tensors are read, converted and written piece by piece: memory does not grow with the model.
 * The target appears whole or not at all. Floating-point weights are rounded to the nearest value
 * of the new type, ties to even, as PyTorch does (fp64 by way of fp32); what the new type would
 * make infinite is refused unless allowed. Integers and truth values are never converted. Not
 * written: {@code *.rotary_emb.inv_freq}, which follows from the configuration, and {@code
 * lm_head.weight} where the configuration ties it to the embedding.
 *
 * <p>From a Hugging Face folder every other file is copied byte for byte, but for weights of any
 * format, hidden files and sub-folders ({@code additional_chat_templates} is copied); in {@code
 * config.json} the type of the weights is replaced, and nothing else. From Meta's release {@code
 * config.json}, {@code generation_config.json} and the tokenizer's files are made; a head that
 * repeats the embedding is tied to it. Meta's files do not say how long the context is: the
 * published model's of that shape is taken.
 *
 * <p>Immutable; one converter may be used repeatedly.
 */
public final class CheckpointConverter {
  private final Path source;
  private final Path target;
  private final @Nullable DType dtype;
  private final long maxShardBytes;
  private final int threads;
  private final boolean replaceExisting;
  private final boolean allowOverflow;
  private final @Nullable Path tokenizer;
  private final boolean withTokenizer;
  private final ProgressListener listener;
  private final TensorTransform transform;
  private final CheckpointWriter.FolderSource files;

  private CheckpointConverter(Builder builder) {
    this.source = builder.source;
    this.target = builder.target;
    this.dtype = builder.dtype;
    this.maxShardBytes = builder.maxShardBytes;
    this.threads = builder.threads;
    this.replaceExisting = builder.replaceExisting;
    this.allowOverflow = builder.allowOverflow;
    this.tokenizer = builder.tokenizer;
    this.withTokenizer = builder.withTokenizer;
    this.listener = builder.listener;
    this.transform = builder.transform;
    this.files = builder.files;
  }

  /**
   * What was written.
   *
   * @param tensors the number of tensors
   * @param parameters the number of their elements
   * @param bytes the size of their elements
   * @param dropped the names of the source's tensors that were not written, sorted
   */
  public record Result(int tensors, long parameters, long bytes, List<String> dropped) {

    /** Copies the list. */
    public Result {
      dropped = List.copyOf(dropped);
    }
  }

  /**
   * Starts a converter.
   *
   * @param source the folder to read
   * @param target the folder to make
   */
  public static Builder builder(Path source, Path target) {
    Objects.requireNonNull(source, "source is null");
    Objects.requireNonNull(target, "target is null");
    return new Builder(source, target);
  }

  /** Returns whether a folder holds Meta's release of a Llama, by its files' names alone. */
  public static boolean isMetaRelease(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    return MetaFolder.isMeta(folder);
  }

  /** Collects options; not thread-safe. */
  public static final class Builder {
    private final Path source;
    private final Path target;
    private @Nullable DType dtype;
    private long maxShardBytes = 5_000_000_000L;
    private int threads = Runtime.getRuntime().availableProcessors();
    private boolean replaceExisting;
    private boolean allowOverflow;
    private @Nullable Path tokenizer;
    private boolean withTokenizer = true;
    private ProgressListener listener = progress -> {};
    private TensorTransform transform = TensorTransform.NONE;
    private CheckpointWriter.FolderSource files = folder -> {};

    private Builder(Path source, Path target) {
      this.source = source.toAbsolutePath().normalize();
      this.target = target.toAbsolutePath().normalize();
    }

    /**
     * Sets the type to store weights in; default: each in the type that it has.
     *
     * @param type F32, BF16 or F16
     */
    public Builder dtype(DType type) {
      Objects.requireNonNull(type, "type is null");
      dtype = type;
      return this;
    }

    /** Sets the maximal size of a shard's tensors in bytes; default 5 GB. */
    public Builder maxShardBytes(long bytes) {
      maxShardBytes = bytes;
      return this;
    }

    /** Sets how many threads read, convert and write; default one per processor. */
    public Builder threads(int count) {
      threads = count;
      return this;
    }

    /** Sets whether a checkpoint already at the target is replaced; default false: refused. */
    public Builder replaceExisting(boolean replace) {
      replaceExisting = replace;
      return this;
    }

    /**
     * Sets whether finite values that the new type cannot hold become infinite; default false: they
     * are refused. F16 ends at 65,504.
     */
    public Builder allowOverflow(boolean allow) {
      allowOverflow = allow;
      return this;
    }

    /**
     * Sets where the tokenizer of Meta's release is: a folder with {@code tokenizer.json} or {@code
     * tokenizer.model}, or such a file. Default: the {@code tokenizer.model} in the source, or one
     * folder above. Needed for Llama 3, whose {@code tokenizer.model} is another format.
     */
    public Builder tokenizer(Path path) {
      Objects.requireNonNull(path, "path is null");
      tokenizer = path;
      return this;
    }

    /** Converts Meta's release without a tokenizer; default: one must be found. */
    public Builder withoutTokenizer() {
      withTokenizer = false;
      return this;
    }

    /** Sets who hears of progress; default nobody. */
    public Builder listener(ProgressListener value) {
      Objects.requireNonNull(value, "listener is null");
      listener = value;
      return this;
    }

    /** Sets what changes weights on the way; default nothing. */
    Builder transform(TensorTransform change) {
      transform = change;
      return this;
    }

    /** Sets what changes the other files once they are copied; default nothing. */
    Builder files(CheckpointWriter.FolderSource change) {
      files = change;
      return this;
    }

    /**
     * Returns the converter.
     *
     * @throws IllegalArgumentException if an option is impossible, or two contradict each other
     */
    public CheckpointConverter build() {
      if (dtype != null && !dtype.isWeight()) {
        throw new IllegalArgumentException("dtype is " + dtype + ", but must be F32, BF16 or F16");
      }
      if (maxShardBytes < 1) {
        throw new IllegalArgumentException("maxShardBytes is " + maxShardBytes + ", must be > 0");
      }
      if (threads < 1) {
        throw new IllegalArgumentException("threads is " + threads + ", must be 1 or more");
      }
      if (tokenizer != null && !withTokenizer) {
        throw new IllegalArgumentException(
            "tokenizer(" + tokenizer + ") and withoutTokenizer() exclude each other");
      }
      return new CheckpointConverter(this);
    }
  }

  /**
   * Converts.
   *
   * @throws CheckpointException if the source cannot be read or makes no checkpoint, a value
   *     overflows, or the target cannot be written or exists; the target is then as it was before
   * @throws org.alpaca4j.core.TokenizerException if the tokenizer of Meta's release cannot be read
   */
  public Result convert() {
    refuseSameFolder();
    try (WeightFolder folder = open()) {
      ConvertedWeights weights = new ConvertedWeights(folder, dtype, transform, allowOverflow);
      CheckpointWriter.Builder writer =
          CheckpointWriter.builder(target)
              .maxShardBytes(maxShardBytes)
              .threads(threads)
              .replaceExisting(replaceExisting);
      weights.declare(writer);
      folder.addFiles(writer, dtype);
      writer.files(files);
      if (transform != TensorTransform.NONE) {
        writer.files(made -> Files.deleteIfExists(made.resolve(Conformance.FILE_NAME)));
      }
      PhaseProgress progress =
          new PhaseProgress(
              listener,
              ProgressListener.Phase.WRITE,
              folder.weights().size(),
              weights.totalElements());
      writer
          .build()
          .write(
              (name, out) -> {
                weights.write(name, out);
                progress.done(name, weights.elements(name));
              });
      return new Result(
          folder.weights().size(), weights.totalElements(), weights.totalBytes(), folder.dropped());
    }
  }

  private WeightFolder open() {
    if (isMetaRelease(source)) {
      return MetaFolder.open(source, tokenizer, withTokenizer);
    }
    if (tokenizer != null || !withTokenizer) {
      throw new CheckpointException(
          source
              + " is not Meta's release of a Llama (params.json, consolidated.00.pth), whose"
              + " tokenizer alone can be chosen; a Hugging Face folder's files are copied");
    }
    return HuggingFaceFolder.open(source);
  }

  private void refuseSameFolder() {
    try {
      if (source.equals(target) || (Files.exists(target) && Files.isSameFile(source, target))) {
        throw new CheckpointException(
            "The source " + source + " is the target as well; convert to another folder");
      }
    } catch (IOException e) {
      throw new CheckpointException("Cannot compare " + source + " with " + target + ": " + e, e);
    }
  }
}
