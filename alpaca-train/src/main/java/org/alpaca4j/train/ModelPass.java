package org.alpaca4j.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.Decoder;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.PackedInput;
import org.alpaca4j.core.internal.model.UnitTensors;
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
      PackedInput input = pack(scope, batch, supervision, false);
      NDArray x = embed(scope, input);
      for (int layer = 0; layer < layers(); layer++) {
        try (Lease weights = store.acquire(unit(layer))) {
          NDArray next = decoder.layer(scope, layer, x, input, weights.weights(), true);
          x.close();
          x = next;
        }
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

  /**
   * What a batch's loss consists of.
   *
   * @param crossEntropy sum over its supervised tokens, each times its weight
   * @param auxiliary {@link Decoder#balance}'s, not weighted; 0 where it has no weight
   */
  record Losses(double crossEntropy, double auxiliary) {}

  /**
   * Returns the losses of a batch, and writes the gradients of {@code scale * crossEntropy +
   * auxiliaryFactor * auxiliary} with respect to what is trained.
   *
   * @param dropoutSeed of what an adapter's dropout leaves out; 0 or more
   * @param accumulate add to the gradients, instead of overwriting them
   */
  Losses forwardBackward(
      PackedBatch batch,
      double scale,
      double auxiliaryFactor,
      long dropoutSeed,
      Workspace workspace,
      Gradients gradients,
      boolean accumulate) {
    Supervision supervision = Supervision.of(batch);
    boolean balanced = auxiliaryFactor != 0;
    try (NDManager scope = manager.newSubManager()) {
      PackedInput input = pack(scope, batch, supervision, balanced).withDropout(dropoutSeed);
      Trace trace = new Trace(layers());
      NDArray x = embed(scope, input);
      for (int layer = 0; layer < layers(); layer++) {
        x = forward(scope, layer, x, input, workspace, balanced, trace);
      }

      NDList head;
      try (Lease embedding = store.acquire(0);
          Lease weights = store.acquire(headUnit())) {
        head =
            decoder.headBackward(
                scope,
                x,
                input.outputRows(),
                supervision.targets(scope),
                supervision.scales(scope, scale),
                workspace.logitsBuffer(scope),
                embedding.weights(),
                weights.weights(),
                gradients.unit(0),
                gradients.unit(headUnit()),
                accumulate);
      }
      store.handOver(headUnit(), gradients.unit(headUnit()));
      double crossEntropy = supervision.sum(head.get(0).toFloatArray());
      x.close();
      NDList balance = balanced ? trace.balance(scope, input, auxiliaryFactor) : new NDList();

      NDArray dx = head.get(1);
      for (int layer = layers() - 1; layer >= workspace.firstLayer(); layer--) {
        dx = backward(scope, layer, dx, input, balance, workspace, gradients, accumulate, trace);
      }
      if (store.trained().first() == 0) {
        try (Lease embedding = store.acquire(0)) {
          decoder.embedBackward(input, dx, embedding.weights(), gradients.unit(0), accumulate);
        }
        store.handOver(0, gradients.unit(0));
      }
      return new Losses(crossEntropy, balanced ? balance.get(0).toDoubleArray()[0] : 0);
    }
  }

  /** What a forward pass leaves for the backward pass, beside the workspace. */
  private final class Trace {
    /** Inputs of the layers that run backward. */
    final NDArray[] x;

    /** What {@link Decoder#layerKeeping} returned behind the output; null: compute it again. */
    final NDArray[] @Nullable [] extras;

    /** Of layers of experts: probabilities, and choices. */
    final List<NDArray> probabilities = new ArrayList<>();

    final List<NDArray> choices = new ArrayList<>();

    Trace(int layers) {
      x = new NDArray[layers];
      extras = new NDArray[layers][];
    }

    void route(NDArray p, NDArray chosen) {
      probabilities.add(p);
      choices.add(chosen);
    }

    NDList balance(NDManager scope, PackedInput input, double factor) {
      return decoder.balance(
          scope,
          probabilities.toArray(new NDArray[0]),
          choices.toArray(new NDArray[0]),
          input,
          factor);
    }
  }

  private NDArray forward(
      NDManager scope,
      int layer,
      NDArray x,
      PackedInput input,
      Workspace workspace,
      boolean balanced,
      Trace trace) {
    boolean routes = balanced && decoder.hasExperts(layer);
    boolean runsBackward = layer >= workspace.firstLayer();
    try (Lease lease = store.acquire(unit(layer))) {
      UnitTensors weights = lease.weights();
      if (runsBackward) {
        trace.x[layer] = x;
      }
      NDArray next;
      if (runsBackward && workspace.keepsActivations()) {
        NDArray kept = workspace.activations(layer);
        NDList results =
            decoder.layerKeeping(scope, layer, x, input, weights, kept, workspace.scratch());
        next = results.get(0);
        NDArray[] extras = results.subNDList(1).toArray(new NDArray[0]);
        trace.extras[layer] = extras;
        if (routes) {
          trace.route(extras[0], extras[1]);
        }
      } else if (routes) {
        NDList results = decoder.layerRouting(scope, layer, x, input, weights);
        next = results.get(0);
        trace.route(results.get(1), results.get(2));
      } else {
        next = decoder.layer(scope, layer, x, input, weights, false);
      }
      if (!runsBackward) {
        x.close();
      }
      return next;
    }
  }

  /** Returns the gradient of a layer's input; closes that of its output, and its input. */
  private NDArray backward(
      NDManager scope,
      int layer,
      NDArray dz,
      PackedInput input,
      NDList balance,
      Workspace workspace,
      Gradients gradients,
      boolean accumulate,
      Trace trace) {
    NDArray dx;
    try (Lease lease = store.acquire(unit(layer))) {
      dx =
          decoder.layerBackward(
              scope,
              layer,
              trace.x[layer],
              dz,
              workspace.activations(layer),
              workspace.scratch(),
              trace.extras[layer],
              input,
              balance.isEmpty() ? null : balance.get(1),
              lease.weights(),
              gradients.unit(unit(layer)),
              accumulate);
    }
    trace.x[layer].close();
    dz.close();
    store.handOver(unit(layer), gradients.unit(unit(layer)));
    return dx;
  }

  private NDArray logitsBuffer(NDManager scope) {
    long width = decoder.logitsWidth();
    NDArray flat = Tensors.empty(scope, lossChunkTokens * width, compute);
    return Tensors.view(scope, flat, 0, lossChunkTokens, width);
  }

  private PackedInput pack(
      NDManager scope, PackedBatch batch, Supervision supervision, boolean balanced) {
    int[] starts = batch.cumulativeLengths();
    int[] lengths = new int[batch.size()];
    for (int i = 0; i < lengths.length; i++) {
      lengths[i] = starts[i + 1] - starts[i];
    }
    return balanced
        ? decoder.packForBalance(scope, batch.inputIds(), lengths, supervision.rows(), compute)
        : decoder.pack(scope, batch.inputIds(), lengths, supervision.rows(), compute);
  }

  @Override
  public void close() {
    manager.close();
  }
}
