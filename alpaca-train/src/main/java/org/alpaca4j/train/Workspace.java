package org.alpaca4j.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.torch.Tensors;

/**
 * The memory in which a training step keeps what its backward pass needs, allocated once: one slab
 * for each layer's activations. Slab {@code i + 1} is free again when layer i runs backward, and
 * then takes layer i's gradients: so activations and gradients are never both whole in memory, and
 * no step allocates or returns large blocks.
 */
final class Workspace implements AutoCloseable {
  private final NDManager manager;
  private final List<Long> widths;
  private final List<NDArray> slabs = new ArrayList<>();

  /**
   * Allocates the slabs.
   *
   * @param layers the decoder layers' layouts
   * @param widths of a layer's activations [tokens, width]
   * @param maxTokens tokens of the largest micro-batch
   * @param dtype of the activations
   */
  Workspace(
      NDManager parent, List<UnitLayout> layers, List<Long> widths, int maxTokens, DType dtype) {
    this.manager = parent.newSubManager();
    this.widths = widths;
    long activations =
        Math.multiplyExact(widths.stream().mapToLong(Long::longValue).sum(), (long) maxTokens);
    long gradients =
        layers.stream().mapToLong(l -> l.elements().get(UnitLayout.DECAYED)).max().orElse(0);
    for (int i = 0; i < layers.size(); i++) {
      slabs.add(Tensors.empty(manager, Math.max(activations, gradients), dtype));
    }
    slabs.add(Tensors.empty(manager, gradients, dtype));
  }

  /** Returns a layer's activation tensors [tokens, width], owned by {@code scope}. */
  NDArray[] activations(NDManager scope, int layer, int tokens) {
    NDArray[] room = new NDArray[widths.size()];
    long offset = 0;
    for (int i = 0; i < room.length; i++) {
      room[i] = Tensors.view(scope, slabs.get(layer), offset, tokens, widths.get(i));
      offset += tokens * widths.get(i);
    }
    return room;
  }

  /** Returns the memory that is free for a layer's gradients while the layer runs backward. */
  NDArray gradients(int layer) {
    return slabs.get(layer + 1);
  }

  @Override
  public void close() {
    manager.close();
  }
}
