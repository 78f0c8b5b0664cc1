package org.alpaca4j.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.Decoder;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.PackedInput;
import org.alpaca4j.core.internal.model.WeightStore;
import org.alpaca4j.core.internal.model.WeightStore.Lease;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.data.PackedBatch;
import org.jspecify.annotations.Nullable;

/**
 * Runs batches through a model: for the losses alone, or forward and backward. What of the weights
 * is in memory, and in which form, is the store's affair. Not thread-safe.
 */
final class ModelPass implements AutoCloseable {
  private final NDManager manager;
  private final Decoder decoder;
  private final WeightStore store;
  private final DType compute;
  private final int lossChunkTokens;

  /**
   * Prepares passes over a model.
   *
   * @param store of the model's weights; stays the caller's
   * @param lossChunkTokens supervised positions whose logits are in memory at once
   */
  ModelPass(LoadedModel model, WeightStore store, int lossChunkTokens) {
    this.manager = model.manager().newSubManager();
    this.decoder = model.decoder();
    this.store = store;
    this.compute = store.compute();
    this.lossChunkTokens = lossChunkTokens;
  }

  private int layers() {
    return decoder.layers();
  }

  private static int unit(int layer) {
    return 1 + layer;
  }

  private int headUnit() {
    return 1 + layers();
  }

  /** Returns the cross entropy of each supervised token of a batch. */
  float[] losses(PackedBatch batch, Supervision supervision) {
    try (NDManager scope = manager.newSubManager()) {
      PackedInput input = pack(scope, batch, supervision);
      NDArray x = embed(scope, input);
      for (int layer = 0; layer < layers(); layer++) {
        x = onlyForward(scope, layer, x, input, true);
      }
      try (Lease embedding = store.acquire(0);
          Lease head = store.acquire(headUnit())) {
        return decoder
            .losses(
                scope,
                x,
                input.outputRows(),
                supervision.targets(scope),
                logitsBuffer(scope),
                embedding.weights(),
                head.weights())
            .toFloatArray();
      }
    }
  }

  private NDArray embed(NDManager scope, PackedInput input) {
    try (Lease embedding = store.acquire(0)) {
      return decoder.embed(scope, input, embedding.weights(), compute);
    }
  }

  /** Runs a layer of which nothing is kept; closes its input. */
  private NDArray onlyForward(
      NDManager scope, int layer, NDArray x, PackedInput input, boolean exact) {
    try (Lease weights = store.acquire(unit(layer))) {
      NDArray next = decoder.layer(scope, layer, x, input, weights.weights(), exact);
      x.close();
      return next;
    }
  }

  /**
   * Returns the summed cross entropy of a batch's supervised tokens, and writes the gradients of
   * {@code scale} times that sum with respect to what is trained.
   *
   * @param accumulate add to the gradients, instead of overwriting them
   */
  double forwardBackward(
      PackedBatch batch,
      double scale,
      Workspace workspace,
      Gradients gradients,
      boolean accumulate) {
    Supervision supervision = Supervision.of(batch);
    int first = workspace.firstLayer();
    try (NDManager scope = manager.newSubManager()) {
      PackedInput input = pack(scope, batch, supervision);
      NDArray[] x = new NDArray[layers() + 1];
      NDArray[] @Nullable [] extras = new NDArray[layers()][];
      NDArray scratch = workspace.scratch();
      x[first] = embed(scope, input);
      for (int layer = 0; layer < first; layer++) {
        x[first] = onlyForward(scope, layer, x[first], input, false);
      }
      for (int layer = first; layer < layers(); layer++) {
        try (Lease weights = store.acquire(unit(layer))) {
          if (workspace.keepsActivations()) {
            NDArray kept = workspace.activations(layer);
            NDList results =
                decoder.layerKeeping(
                    scope, layer, x[layer], input, weights.weights(), kept, scratch);
            x[layer + 1] = results.get(0);
            extras[layer] = results.subNDList(1).toArray(new NDArray[0]);
          } else {
            x[layer + 1] = decoder.layer(scope, layer, x[layer], input, weights.weights(), false);
          }
        }
      }

      NDList head;
      try (Lease embedding = store.acquire(0);
          Lease weights = store.acquire(headUnit())) {
        head =
            decoder.headBackward(
                scope,
                x[layers()],
                input.outputRows(),
                supervision.targets(scope),
                scale,
                workspace.logitsBuffer(scope),
                embedding.weights(),
                weights.weights(),
                gradients.unit(0),
                gradients.unit(headUnit()),
                accumulate);
      }
      store.handOver(headUnit(), gradients.unit(headUnit()));
      double loss = sum(head.get(0).toFloatArray());
      NDArray dx = head.get(1);
      for (int layer = layers() - 1; layer >= first; layer--) {
        try (NDManager step = scope.newSubManager();
            Lease weights = store.acquire(unit(layer))) {
          NDArray next =
              decoder.layerBackward(
                  scope,
                  layer,
                  x[layer],
                  dx,
                  workspace.activations(layer),
                  scratch,
                  extras[layer],
                  input,
                  weights.weights(),
                  gradients.unit(unit(layer)),
                  accumulate);
          x[layer + 1].close();
          dx.close();
          dx = next;
        }
        store.handOver(unit(layer), gradients.unit(unit(layer)));
      }
      if (store.trained().first() == 0) {
        try (Lease embedding = store.acquire(0)) {
          decoder.embedBackward(input, dx, embedding.weights(), gradients.unit(0), accumulate);
        }
        store.handOver(0, gradients.unit(0));
      }
      return loss;
    }
  }

  private NDArray logitsBuffer(NDManager scope) {
    long width = decoder.logitsWidth();
    NDArray flat = Tensors.empty(scope, lossChunkTokens * width, compute);
    return Tensors.view(scope, flat, 0, lossChunkTokens, width);
  }

  private static double sum(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += value;
    }
    return sum;
  }

  private PackedInput pack(NDManager scope, PackedBatch batch, Supervision supervision) {
    int[] starts = batch.cumulativeLengths();
    int[] lengths = new int[batch.size()];
    for (int i = 0; i < lengths.length; i++) {
      lengths[i] = starts[i + 1] - starts[i];
    }
    return decoder.pack(scope, batch.inputIds(), lengths, supervision.rows(), compute);
  }

  @Override
  public void close() {
    manager.close();
  }
}
