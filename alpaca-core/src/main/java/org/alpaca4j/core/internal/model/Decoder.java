package org.alpaca4j.core.internal.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import java.util.List;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.jspecify.annotations.Nullable;

/**
 * A family of decoder-only language models: how its parameters are laid out and what its layers
 * compute, forward and backward. Stateless: weights are arguments, so a caller may gather a layer's
 * weights, use them and free them.
 *
 * <p>All results are owned by the given scope. Shapes: hidden states [tokens, hidden] in the dtype
 * of the weights. Thread-safe.
 */
public interface Decoder extends AutoCloseable {
  /** Returns the configuration. */
  ModelConfig config();

  /** Returns the units in order: embedding, decoder layers, head. */
  List<UnitLayout> units();

  /**
   * Puts examples side by side, what they begin with alike once.
   *
   * @param ids token ids of all examples, one after the other
   * @param lengths tokens of each example
   * @param wanted places in {@code ids} at which the last layer's output will be read, at least
   *     one; null: all
   * @param dtype of the weights that will be used
   * @throws IllegalArgumentException if an example is empty, the lengths do not add up to the ids,
   *     or an id is not in the vocabulary
   */
  PackedInput pack(NDManager scope, int[] ids, int[] lengths, int @Nullable [] wanted, DType dtype);

  /** Returns the first layer's input. */
  NDArray embed(NDManager scope, PackedInput input, UnitTensors embedding);

  /** Adds the gradient of {@link #embed} to the embedding's gradient. */
  void embedBackward(PackedInput input, NDArray dx, UnitTensors gradient);

  /**
   * Returns a layer's output; the last one's has {@link PackedInput#outputs} rows.
   *
   * @param exact spend a few percent of the time on rounding as transformers does; false where
   *     {@link #layerBackward} will compute the same again
   */
  NDArray layer(
      NDManager scope, int layer, NDArray x, PackedInput input, UnitTensors weights, boolean exact);

  /** Returns the widths of the tensors [tokens, width] that {@link #layerKeeping} fills. */
  List<Long> roomWidths();

  /**
   * Returns the widths of the tensors [tokens, width] that {@link #layerKeeping} and {@link
   * #layerBackward} overwrite with what lives no longer than a call; one set serves all layers.
   */
  List<Long> scratchWidths();

  /**
   * Computes a layer and keeps what {@link #layerBackward} needs.
   *
   * @param room tensors of {@link #roomWidths}, overwritten
   * @param scratch tensors of {@link #scratchWidths}, overwritten
   * @return the output, which lies in {@code room}; then what else the backward pass needs, which
   *     is small
   */
  NDList layerKeeping(
      NDManager scope,
      int layer,
      NDArray x,
      PackedInput input,
      UnitTensors weights,
      NDArray[] room,
      NDArray[] scratch);

  /**
   * Returns the gradient of a layer's input and writes its weights' gradients.
   *
   * @param room as {@link #layerKeeping} left it; without {@code more} it is computed again, and
   *     overwritten
   * @param scratch tensors of {@link #scratchWidths}, overwritten
   * @param more what {@link #layerKeeping} returned after the output; null: compute the layer
   *     again, from x
   * @param accumulate add to the gradients, instead of overwriting them
   */
  NDArray layerBackward(
      NDManager scope,
      int layer,
      NDArray x,
      NDArray dz,
      NDArray[] room,
      NDArray[] scratch,
      NDArray @Nullable [] more,
      PackedInput input,
      UnitTensors weights,
      UnitTensors gradients,
      boolean accumulate);

  /** Returns the normed hidden states that the head multiplies: [tokens, hidden]. */
  NDArray finalNorm(NDManager scope, NDArray x, UnitTensors head);

  /** Returns fp32 logits [tokens, vocabulary] of {@link #finalNorm}'s result. */
  NDArray logits(NDManager scope, NDArray normed, UnitTensors embedding, UnitTensors head);

  /**
   * Returns the width of the tensor [positions, width], in the dtype of the hidden states, that
   * {@link #losses} and {@link #headBackward} overwrite; they work on so many positions at once.
   */
  long lossRoomWidth();

  /**
   * Returns the fp32 cross entropies [n] of the targets [n, 1] at the given rows [n] of the last
   * layer's output.
   *
   * @param room [positions, {@link #lossRoomWidth}]
   */
  NDArray losses(
      NDManager scope,
      NDArray x,
      NDArray rows,
      NDArray targets,
      NDArray room,
      UnitTensors embedding,
      UnitTensors head);

  /**
   * Returns {@link #losses} and the gradient of {@code scale} times their sum with respect to the
   * last layer's output; writes the head's gradients. Where head and embedding are tied, the head
   * part of the shared matrix's gradient is written to the embedding's.
   */
  NDList headBackward(
      NDManager scope,
      NDArray x,
      NDArray rows,
      NDArray targets,
      double scale,
      NDArray room,
      UnitTensors embedding,
      UnitTensors head,
      UnitTensors embeddingGradient,
      UnitTensors headGradient,
      boolean accumulate);

  /** Returns a reader of sequences token by token, which uses a model of this family's weights. */
  IncrementalDecoder incremental(LoadedModel model);

  @Override
  void close();
}
