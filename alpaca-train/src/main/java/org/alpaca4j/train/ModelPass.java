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
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.data.PackedBatch;
import org.jspecify.annotations.Nullable;

/**
 * Runs batches through a model: for the losses alone, or forward and backward. With bf16 arithmetic
 * it holds a bf16 working copy of the fp32 weights. Not thread-safe.
 */
final class ModelPass implements AutoCloseable {
  private final NDManager manager;
  private final Decoder decoder;
  private final List<UnitTensors> parameters;
  private final List<UnitTensors> weights;
  private final DType compute;
  private final int lossChunkTokens;

  /**
   * Prepares passes over a model.
   *
   * @param compute dtype of the layers' arithmetic
   * @param lossChunkTokens supervised positions whose logits are in memory at once
   */
  ModelPass(LoadedModel model, DType compute, int lossChunkTokens) {
    this.manager = model.manager().newSubManager();
    this.decoder = model.decoder();
    this.parameters = model.units();
    this.compute = compute;
    this.lossChunkTokens = lossChunkTokens;
    if (compute == model.activations()) {
      weights = parameters;
    } else {
      weights = new ArrayList<>();
      for (int i = 0; i < parameters.size(); i++) {
        weights.add(UnitTensors.empty(manager, parameters.get(i).layout(), compute, compute));
        refresh(i);
      }
    }
  }

  /** Takes over a unit's parameters after they changed. */
  void refresh(int unit) {
    if (weights != parameters) {
      weights.get(unit).copyFrom(parameters.get(unit));
    }
  }

  private UnitTensors embedding() {
    return weights.get(0);
  }

  private UnitTensors head() {
    return weights.get(weights.size() - 1);
  }

  /** Returns the cross entropy of each supervised token of a batch. */
  float[] losses(PackedBatch batch, Supervision supervision) {
    try (NDManager scope = manager.newSubManager()) {
      PackedInput input = pack(scope, batch, supervision);
      NDArray x = decoder.embed(scope, input, embedding(), compute);
      for (int layer = 0; layer < layers(); layer++) {
        NDArray next = decoder.layer(scope, layer, x, input, weights.get(1 + layer), true);
        x.close();
        x = next;
      }
      return decoder
          .losses(
              scope,
              x,
              input.outputRows(),
              supervision.targets(scope),
              logitsBuffer(scope),
              embedding(),
              head())
          .toFloatArray();
    }
  }

  /**
   * Returns the summed cross entropy of a batch's supervised tokens, and writes the gradients of
   * {@code scale} times that sum.
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
    try (NDManager scope = manager.newSubManager()) {
      PackedInput input = pack(scope, batch, supervision);
      NDArray[] x = new NDArray[layers() + 1];
      NDArray[] kept = new NDArray[layers()];
      NDArray[] @Nullable [] extras = new NDArray[layers()][];
      NDArray scratch = workspace.scratch();
      x[0] = decoder.embed(scope, input, embedding(), compute);
      for (int layer = 0; layer < layers(); layer++) {
        UnitTensors unit = weights.get(1 + layer);
        kept[layer] = workspace.activations(layer);
        if (workspace.keepsActivations()) {
          NDList results =
              decoder.layerKeeping(scope, layer, x[layer], input, unit, kept[layer], scratch);
          x[layer + 1] = results.get(0);
          extras[layer] = results.subNDList(1).toArray(new NDArray[0]);
        } else {
          x[layer + 1] = decoder.layer(scope, layer, x[layer], input, unit, false);
        }
      }

      int last = weights.size() - 1;
      UnitTensors embeddingGradient = gradients.unit(0);
      NDList head =
          decoder.headBackward(
              scope,
              x[layers()],
              input.outputRows(),
              supervision.targets(scope),
              scale,
              workspace.logitsBuffer(scope),
              embedding(),
              head(),
              embeddingGradient,
              gradients.unit(last),
              accumulate);
      double loss = sum(head.get(0).toFloatArray());
      NDArray dx = head.get(1);
      for (int layer = layers() - 1; layer >= 0; layer--) {
        try (NDManager step = scope.newSubManager()) {
          NDArray next =
              decoder.layerBackward(
                  scope,
                  layer,
                  x[layer],
                  dx,
                  kept[layer],
                  scratch,
                  extras[layer],
                  input,
                  weights.get(1 + layer),
                  gradients.unit(1 + layer),
                  accumulate);
          x[layer + 1].close();
          dx.close();
          dx = next;
        }
      }
      decoder.embedBackward(input, dx, embedding(), embeddingGradient, accumulate);
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

  private int layers() {
    return weights.size() - 2;
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
