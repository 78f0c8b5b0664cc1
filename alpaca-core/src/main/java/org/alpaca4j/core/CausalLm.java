package org.alpaca4j.core;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.PackedInput;
import org.jspecify.annotations.Nullable;

/**
 * A decoder-only language model with its weights in memory, loaded from a Hugging Face folder.
 *
 * <p>Families: Llama 1 to 3, Mistral, Qwen2 and Qwen3; any other is refused by name. Native memory:
 * close it. Thread-safe while its weights are not being trained.
 */
public final class CausalLm implements AutoCloseable {
  /** Files that belong to a checkpoint beside its weights, configuration and tokenizer. */
  private static final List<String> COMPANIONS = List.of("generation_config.json");

  private final Path folder;
  private final LoadedModel model;
  private @Nullable Tokenizer tokenizer;

  private CausalLm(Path folder, LoadedModel model, @Nullable Tokenizer tokenizer) {
    this.folder = folder;
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /**
   * Loads a checkpoint on the CPU with fp32 weights.
   *
   * @param folder with config.json and safetensors weights
   * @throws CheckpointException if a file is missing, malformed or contradicts another
   * @throws UnsupportedModelException if the architecture or an option of it is not supported
   */
  public static CausalLm load(Path folder) {
    return builder(folder).load();
  }

  /** Returns a builder with which device and precision are chosen. */
  public static Builder builder(Path folder) {
    return new Builder(folder);
  }

  /** How to load a model; not thread-safe. */
  public static final class Builder {
    private final Path folder;
    private Device device = Device.cpu();
    private Precision precision = Precision.FLOAT32;
    private @Nullable Tokenizer tokenizer;

    private Builder(Path folder) {
      this.folder = folder;
    }

    /** Sets where the weights are and the model computes; default: the CPU. */
    public Builder device(Device value) {
      device = value;
      return this;
    }

    /** Sets the format of weights and hidden states; default: {@link Precision#FLOAT32}. */
    public Builder precision(Precision value) {
      precision = value;
      return this;
    }

    /**
     * Sets a tokenizer to use in place of the folder's, such as one with added tokens. Where it has
     * more tokens than the embedding has rows, the embedding and the head grow, each new row being
     * the mean of the old ones; they never shrink. The model takes the tokenizer over and closes
     * it; where loading fails, it stays the caller's.
     */
    public Builder tokenizer(Tokenizer value) {
      tokenizer = value;
      return this;
    }

    /**
     * Loads the model.
     *
     * @throws CheckpointException if a file is missing, malformed or contradicts another
     * @throws UnsupportedModelException if the architecture or an option of it is not supported
     */
    public CausalLm load() {
      try (Checkpoint checkpoint = Checkpoint.open(folder)) {
        ModelConfig config = checkpoint.config();
        if (tokenizer != null && tokenizer.requiredEmbeddingRows() > config.vocabSize()) {
          config = config.toBuilder().vocabSize(tokenizer.requiredEmbeddingRows()).build();
        }
        return new CausalLm(
            folder, LoadedModel.load(checkpoint, config, device, precision.dtype()), tokenizer);
      }
    }
  }

  /** Returns the folder that this model was loaded from. */
  public Path folder() {
    return folder;
  }

  /** Returns the configuration. */
  public ModelConfig config() {
    return model.decoder().config();
  }

  /**
   * Returns the tokenizer, reading it from the folder on the first call; closed with the model.
   *
   * @throws TokenizerException if the folder has none, or one that cannot be read
   */
  public synchronized Tokenizer tokenizer() {
    if (tokenizer == null) {
      tokenizer = Tokenizer.load(folder);
    }
    return tokenizer;
  }

  /** Returns where the weights are. */
  public Device device() {
    return model.manager().getDevice();
  }

  /**
   * Returns the logits of one sequence.
   *
   * @param scope owner of the result
   * @param ids token ids, from the first position on
   * @return [ids.length, vocabSize] fp32: row t scores the token after {@code ids[t]}
   * @throws IllegalArgumentException if there are no ids, or one is not in the vocabulary
   */
  public NDArray logits(NDManager scope, int[] ids) {
    try (NDManager step = scope.newSubManager(device())) {
      PackedInput input = model.decoder().pack(step, ids, new int[] {ids.length}, model.dtype());
      NDArray normed =
          model.decoder().finalNorm(step, model.hiddenStates(step, input), model.head());
      return model.decoder().logits(scope, normed, model.embedding(), model.head());
    }
  }

  /**
   * Writes a Hugging Face folder in the precision of the weights: weights, configuration,
   * generation configuration and tokenizer. Whole or not at all.
   *
   * @param target the folder to make; an existing checkpoint there is refused
   * @throws CheckpointException if that fails; nothing half-written remains
   */
  public void save(Path target) {
    save(CheckpointWriter.builder(target), model.dtype());
  }

  /**
   * As {@link #save(Path)}, with options.
   *
   * @param writer where and how to write, and further files to add
   * @param dtype of the weights in the files: F32, BF16 or F16
   * @throws IllegalArgumentException if weights are not stored in that type
   */
  public synchronized void save(CheckpointWriter.Builder writer, DType dtype) {
    if (!dtype.isWeight()) {
      throw new IllegalArgumentException("dtype is " + dtype + ", but must be F32, BF16 or F16");
    }
    model.declare(writer, dtype);
    writer.config(config().toBuilder().dtype(dtype).build());
    for (String name : COMPANIONS) {
      Path file = folder.resolve(name);
      if (Files.exists(file)) {
        writer.copy(file);
      }
    }
    if (tokenizer != null || Files.exists(folder.resolve("tokenizer.json"))) {
      writer.files(tokenizer()::save);
    }
    writer.build().write((name, out) -> model.write(name, dtype, out));
  }

  /** Returns the weights and what computes with them, for the modules of this project. */
  public LoadedModel internals() {
    return model;
  }

  @Override
  public synchronized void close() {
    if (tokenizer != null) {
      tokenizer.close();
    }
    model.close();
  }
}
