package org.alpaca4j.weights;

import ai.djl.Device;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.PromptTemplate;
import org.jspecify.annotations.Nullable;

/**
 * Publishes a tuned model as its difference from a raw model whose weights may not be passed on,
 * and recovers the tuned model from the two, as Stanford Alpaca's {@code weight_diff.py} does:
 * {@code diff = tuned - raw} and {@code tuned = raw + diff} in fp32, tensor by tensor.
 *
 * <pre>{@code
 * WeightDiff.builder().build().make(raw, tuned, diff);
 * WeightDiff.builder().build().recover(raw, diff, recovered);
 * }</pre>
 *
 * <p><b>Weights.</b> A tied head is taken once, with its embedding. Rotary buffers ({@code
 * *.rotary_emb.inv_freq}) are no weights and are left out. Where the embedding or the head has more
 * rows in the tuned model, as with a {@code [PAD]} token that the raw tokenizer lacks, the raw
 * model is given the mean of its rows for each new one. Types may differ between raw and tuned
 * model.
 *
 * <p><b>Rounding.</b> All arithmetic is fp32, with the bits of the original. A diff stored in bf16
 * or fp16 is rounded to the nearest value, ties to even, and so is what is recovered from it:
 * recovered weights then differ a little from the tuned ones, by at most {@link
 * MakeResult#maxDeviation()}. A finite weight that rounding would make infinite is refused.
 * Infinite weights and NaN follow fp32 arithmetic; NaN is stored as one quiet NaN. {@link
 * Mode#EXACT} recovers the tuned weights bit by bit, NaN included.
 *
 * <p><b>Integrity.</b> {@link #make} puts the file {@code weight_diff.json} beside the weights,
 * with the SHA-256 of each raw, diff and recovered tensor. {@link #recover} compares the raw
 * weights before it writes anything, and diff and result on the way. The manifest finds damage and
 * mistakes; it is no signature against someone who changes diff and manifest together.
 *
 * <p>Folders appear whole or not at all ({@link CheckpointWriter}). Memory is that of a few small
 * pieces per thread, whatever the model's size. Immutable and thread-safe.
 */
public final class WeightDiff {
  private static final String TEST_INSTRUCTION = "List three technologies that make life easier.";
  private static final int TEST_TOKENS = 100;

  private final DiffOptions options;
  private final boolean testInference;
  private final @Nullable Device device;

  private WeightDiff(Builder builder) {
    this.options =
        new DiffOptions(
            builder.mode,
            builder.dtype,
            builder.maxShardBytes,
            builder.newRows,
            builder.replaceExisting,
            builder.requireManifest,
            builder.threads,
            builder.integrityCheck,
            builder.listener);
    this.testInference = builder.testInference;
    this.device = builder.device;
  }

  /** How a diff holds its tensors. */
  public enum Mode {
    /** As Stanford Alpaca's: fp32 differences, rounded to the diff's type; a loadable folder. */
    ARITHMETIC,
    /**
     * The tuned weights' bit patterns minus those of the raw weights in the same type, as integers
     * modulo 2^16 (F16, BF16) or 2^32 (F32), stored as I16 or I32. Recovers every bit. The folder
     * has {@code tuned_config.json} instead of {@code config.json}, so that nobody loads it as a
     * model.
     */
    EXACT
  }

  /**
   * A diff that was made.
   *
   * @param folder the diff
   * @param tensors how many it has
   * @param parameters how many weights they have
   * @param maxDeviation the largest absolute difference of a weight recovered from it to the tuned
   *     one; 0 if exact, infinite if a finite weight is lost to NaN or infinity
   * @param maxDeviationTensor the tensor that has it; empty if there is none
   */
  public record MakeResult(
      Path folder,
      int tensors,
      long parameters,
      double maxDeviation,
      Optional<String> maxDeviationTensor) {}

  /**
   * A model that was recovered.
   *
   * @param folder the model
   * @param tensors how many it has
   * @param parameters how many weights they have
   * @param verified whether the diff's manifest vouches for raw weights, diff and result; false for
   *     a diff without manifest
   * @param sum of all weights, if an {@link IntegrityCheck} asked for it
   * @param sumWithRotaryBuffers the same with the rotary inverse frequencies of each layer
   * @param testInference the answer to the test instruction, if one was asked for
   */
  public record RecoverResult(
      Path folder,
      int tensors,
      long parameters,
      boolean verified,
      OptionalDouble sum,
      OptionalDouble sumWithRotaryBuffers,
      Optional<String> testInference) {}

  /** Starts with the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects options; not thread-safe. */
  public static final class Builder {
    private Mode mode = Mode.ARITHMETIC;
    private @Nullable DType dtype;
    private long maxShardBytes = 5_000_000_000L;
    private boolean newRows = true;
    private boolean replaceExisting;
    private boolean requireManifest;
    private int threads = Runtime.getRuntime().availableProcessors();
    private @Nullable IntegrityCheck integrityCheck;
    private boolean testInference;
    private @Nullable Device device;
    private ProgressListener listener = progress -> {};

    private Builder() {}

    /** Sets how {@link WeightDiff#make} stores a diff; default {@link Mode#ARITHMETIC}. */
    public Builder mode(Mode value) {
      Objects.requireNonNull(value, "mode is null");
      mode = value;
      return this;
    }

    /**
     * Sets the type of what is written: of the diff, or of the recovered weights; default: that in
     * which each tensor of the tuned model, or of the recovered one, is stored.
     *
     * @param value F32, BF16 or F16
     */
    public Builder dtype(DType value) {
      Objects.requireNonNull(value, "dtype is null");
      dtype = value;
      return this;
    }

    /** Sets the maximal size of a shard's tensors in bytes; default 5 GB. */
    public Builder maxShardBytes(long bytes) {
      maxShardBytes = bytes;
      return this;
    }

    /**
     * Sets whether the tuned model's embedding and head may have more rows than the raw model's,
     * which are then the mean of its rows; default true.
     */
    public Builder newRows(boolean permitted) {
      newRows = permitted;
      return this;
    }

    /** Sets whether a checkpoint already at the target is replaced; default false. */
    public Builder replaceExisting(boolean replace) {
      replaceExisting = replace;
      return this;
    }

    /** Sets whether {@link WeightDiff#recover} refuses a diff without manifest; default false. */
    public Builder requireManifest(boolean require) {
      requireManifest = require;
      return this;
    }

    /**
     * Sets the number of threads; default: as many as the machine has processors.
     *
     * @param count at least 1
     */
    public Builder threads(int count) {
      threads = count;
      return this;
    }

    /** Sets a check of the recovered weights' sum; default: none. */
    public Builder integrityCheck(IntegrityCheck check) {
      Objects.requireNonNull(check, "check is null");
      integrityCheck = check;
      return this;
    }

    /**
     * Sets whether the recovered model then answers "List three technologies that make life
     * easier.", greedily, with up to 100 tokens; default false. This loads the model.
     */
    public Builder testInference(boolean test) {
      testInference = test;
      return this;
    }

    /** Sets the device of the test inference; default: the CPU. Diffs need none. */
    public Builder device(Device value) {
      Objects.requireNonNull(value, "device is null");
      device = value;
      return this;
    }

    /** Sets who hears of progress; default: nobody. */
    public Builder listener(ProgressListener value) {
      Objects.requireNonNull(value, "listener is null");
      listener = value;
      return this;
    }

    /**
     * Returns the tool.
     *
     * @throws IllegalArgumentException if an option is impossible
     */
    public WeightDiff build() {
      require(threads >= 1, "threads is " + threads + ", but must be at least 1");
      require(maxShardBytes > 0, "maxShardBytes is " + maxShardBytes + ", but must be > 0");
      DType type = dtype;
      require(
          type == null || type.isWeight(), "dtype is " + type + ", but must be F32, BF16 or F16");
      return new WeightDiff(this);
    }

    private static void require(boolean condition, String message) {
      if (!condition) {
        throw new IllegalArgumentException(message);
      }
    }
  }

  /**
   * Makes a diff.
   *
   * @param raw the model that was tuned: a checkpoint folder
   * @param tuned the tuned model; its tokenizer and configuration go into the diff
   * @param diff the folder to make
   * @throws CheckpointException if the folders cannot be read, are not of one model, a weight is
   *     too large for the diff's type, or the diff cannot be written. It then does not exist
   * @throws IllegalArgumentException if a dtype is set in {@link Mode#EXACT}, which needs none
   */
  public MakeResult make(Path raw, Path tuned, Path diff) {
    Objects.requireNonNull(raw, "raw is null");
    Objects.requireNonNull(tuned, "tuned is null");
    Objects.requireNonNull(diff, "diff is null");
    if (options.mode() == Mode.EXACT && options.dtype() != null) {
      throw new IllegalArgumentException("Mode.EXACT keeps the tuned model's types: set no dtype");
    }
    requireApart(diff, raw, tuned);
    try (Checkpoint from = Checkpoint.open(raw);
        Checkpoint to = Checkpoint.open(tuned)) {
      return new DiffMaking(options, from, to, diff).run();
    }
  }

  /**
   * Recovers a tuned model.
   *
   * @param raw the model that the diff was made from; another type of storage is permitted where
   *     the values, rounded to the original's type, are the same
   * @param diff a diff made by {@link #make}, or one without manifest such as the original's
   * @param tuned the folder to make
   * @throws IntegrityException if raw weights, diff or result are not the manifest's, or the
   *     integrity check fails. The result then does not exist
   * @throws CheckpointException if the folders cannot be read, are not of one model, or the result
   *     cannot be written. It then does not exist. If only the test inference fails, it exists, and
   *     the message says so
   */
  public RecoverResult recover(Path raw, Path diff, Path tuned) {
    Objects.requireNonNull(raw, "raw is null");
    Objects.requireNonNull(diff, "diff is null");
    Objects.requireNonNull(tuned, "tuned is null");
    requireApart(tuned, raw, diff);
    RecoverResult result;
    boolean bf16;
    try (Checkpoint from = Checkpoint.open(raw);
        Checkpoint with = Checkpoint.open(diff)) {
      DiffRecovery recovery = new DiffRecovery(options, from, with, tuned);
      result = recovery.run();
      bf16 = recovery.commonType() == DType.BF16;
    }
    if (!testInference) {
      return result;
    }
    return new RecoverResult(
        result.folder,
        result.tensors,
        result.parameters,
        result.verified,
        result.sum,
        result.sumWithRotaryBuffers,
        Optional.of(infer(tuned, bf16 ? Precision.BFLOAT16 : Precision.FLOAT32)));
  }

  private static void requireApart(Path target, Path... sources) {
    for (Path source : sources) {
      if (target.toAbsolutePath().normalize().equals(source.toAbsolutePath().normalize())) {
        throw new CheckpointException(target + " is both read and written; choose another target");
      }
    }
  }

  private String infer(Path model, Precision precision) {
    options
        .listener()
        .progressed(
            new ProgressListener.Progress(ProgressListener.Phase.TEST_INFERENCE, "", 0, 0, 0, 0));
    CausalLm.Builder loading = CausalLm.builder(model).precision(precision);
    if (device != null) {
      loading.device(device);
    }
    try (CausalLm lm = loading.load()) {
      int[] prompt =
          lm.tokenizer().encodeIds(PromptTemplate.ALPACA.render(TEST_INSTRUCTION, null), true);
      GenerationConfig greedy =
          lm.generationConfig().toBuilder().doSample(false).maxNewTokens(TEST_TOKENS).build();
      return lm.generator().generate(prompt, greedy).text();
    } catch (AlpacaException e) {
      throw new CheckpointException(
          model + " is recovered and complete, but its test inference failed: " + e.getMessage(),
          e);
    }
  }
}
