package org.alpaca4j.core;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.PackedInput;

/**
 * A decoder-only language model with its weights in memory, loaded from a Hugging Face folder.
 *
 * <p>Families: Llama 1 to 3, Mistral, Qwen2 and Qwen3; any other is refused by name. Native memory:
 * close it. Thread-safe while its weights are not being trained.
 */
public final class CausalLm implements AutoCloseable {
  private final Path folder;
  private final LoadedModel model;

  private CausalLm(Path folder, LoadedModel model) {
    this.folder = folder;
    this.model = model;
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
     * Loads the model.
     *
     * @throws CheckpointException if a file is missing, malformed or contradicts another
     * @throws UnsupportedModelException if the architecture or an option of it is not supported
     */
    public CausalLm load() {
      try (Checkpoint checkpoint = Checkpoint.open(folder)) {
        return new CausalLm(folder, LoadedModel.load(checkpoint, device, precision.dtype()));
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
   */
  public NDArray logits(NDManager scope, int[] ids) {
    try (NDManager step = scope.newSubManager(device())) {
      PackedInput input = model.decoder().pack(step, ids, new int[] {ids.length}, model.dtype());
      NDArray normed =
          model.decoder().finalNorm(step, model.hiddenStates(step, input), model.head());
      return model.decoder().logits(scope, normed, model.embedding(), model.head());
    }
  }

  /** Returns the weights and what computes with them, for the modules of this project. */
  public LoadedModel internals() {
    return model;
  }

  @Override
  public void close() {
    model.close();
  }
}
