package org.alpaca4j.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.Decoder;
import org.alpaca4j.core.internal.model.TrainedParameters;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.UnitTensors;
import org.alpaca4j.core.internal.model.WeightStore;
import org.alpaca4j.core.internal.torch.Tensors;

/**
 * The memory in which a training step computes, allocated once, so that no step allocates or
 * returns large blocks: one slab for each layer's activations, and one for what lives no longer
 * than the call of a layer or of the head. Slab {@code i + 1} is free again when layer i runs
 * backward, and then takes layer i's gradients: so activations and gradients are never both whole
 * in memory. Where activations are computed again instead of kept, one slab of them serves all
 * layers. Layers before the first that is trained run forward alone, and have no slab.
 */
final class Workspace implements AutoCloseable {
  private final NDManager manager;
  private final Decoder decoder;
  private final DType dtype;
  private final int firstLayer;
  private final boolean keeps;
  private final List<NDArray> slabs = new ArrayList<>();
  private final NDArray scratch;
  private final int lossPositions;

  /**
   * Allocates the memory.
   *
   * @param maxTokens tokens of the largest micro-batch
   * @param lossPositions supervised positions whose logits are in memory at once
   * @param store says what is trained, and the dtype of the activations
   * @param keep one slab per layer, or one for all
   */
  Workspace(
      NDManager parent,
      Decoder decoder,
      int maxTokens,
      int lossPositions,
      WeightStore store,
      boolean keep) {
    this.manager = parent.newSubManager();
    this.decoder = decoder;
    this.keeps = keep;
    this.lossPositions = lossPositions;
    dtype = store.compute();
    TrainedParameters trained = store.trained();
    firstLayer = firstLayer(trained);
    long activations = Math.multiplyExact(decoder.keptWidth(), (long) maxTokens);
    int layers = decoder.layers();
    if (keep) {
      long gradients =
          IntStream.range(1, 1 + layers)
              .mapToLong(unit -> trained.gradients(unit).elements().get(UnitLayout.DECAYED))
              .max()
              .orElse(0);
      for (int i = firstLayer; i < layers; i++) {
        slabs.add(Tensors.empty(manager, Math.max(activations, gradients), dtype));
      }
      slabs.add(Tensors.empty(manager, gradients, dtype));
    } else {
      slabs.add(Tensors.empty(manager, activations, dtype));
    }
    long logits = Math.multiplyExact(decoder.logitsWidth(), (long) lossPositions);
    long others = Math.multiplyExact(decoder.scratchWidth(), (long) maxTokens);
    scratch = Tensors.empty(manager, Math.max(others, logits), dtype);
  }

  /** The first layer that runs backward; all do where the embedding is trained. */
  private static int firstLayer(TrainedParameters trained) {
    return Math.min(Math.max(0, trained.first() - 1), trained.units() - 2);
  }

  /**
   * Returns the first layer of which the backward pass wants anything; the number of layers: none.
   */
  int firstLayer() {
    return firstLayer;
  }

  /** Returns whether each layer's activations are kept for its backward pass. */
  boolean keepsActivations() {
    return keeps;
  }

  /** Returns the memory of a layer's activations. */
  NDArray activations(int layer) {
    return slabs.get(keeps ? layer - firstLayer : 0);
  }

  /** Returns the memory for what a layer's call needs meanwhile. */
  NDArray scratch() {
    return scratch;
  }

  /** Returns the head's memory for logits; the same as {@link #scratch}. */
  NDArray logitsBuffer(NDManager scope) {
    return Tensors.view(scope, scratch, 0, lossPositions, decoder.logitsWidth());
  }

  /**
   * Lays a layer's gradients out in memory that is free while the layer runs backward; only where
   * activations are kept.
   */
  UnitTensors gradients(NDManager parent, int layer, UnitLayout layout) {
    return UnitTensors.over(parent, layout, slabs.get(layer - firstLayer + 1), dtype);
  }

  @Override
  public void close() {
    manager.close();
  }
}
