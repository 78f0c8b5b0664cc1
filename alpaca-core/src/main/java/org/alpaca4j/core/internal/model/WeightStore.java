package org.alpaca4j.core.internal.model;

import java.util.function.Predicate;
import org.alpaca4j.core.DType;

/**
 * Where the weights of a model are while layers compute with them, and what of them is trained.
 *
 * <p>A pass acquires one unit after the other, uses its weights and releases them, and hands over
 * each unit's gradients as soon as they are complete. So it is the store's alone to know whether
 * weights are in memory all the time, in which format, on which device or on how many.
 *
 * <p>Not thread-safe.
 */
public interface WeightStore extends AutoCloseable {
  /** A unit's weights while they are used; closing it releases them. */
  interface Lease extends AutoCloseable {
    /** Returns the weights, in the dtype that the pass computes in; valid until {@link #close}. */
    UnitTensors weights();

    @Override
    void close();
  }

  /**
   * Returns a store over a model in memory: the weights themselves where they are in the dtype to
   * compute in, else a working copy of them.
   *
   * @param compute dtype of the activations
   * @param trained whether the parameter of a name is trained
   */
  static WeightStore of(LoadedModel model, DType compute, Predicate<String> trained) {
    TrainedParameters parameters = TrainedParameters.of(model.decoder().units(), trained);
    return compute == model.activations()
        ? new ResidentWeights(model.units(), parameters)
        : new WorkingCopy(model, compute, parameters);
  }

  /** As {@link #of(LoadedModel, DType, Predicate)}, for passes that train nothing. */
  static WeightStore untrained(LoadedModel model, DType compute) {
    return of(model, compute, name -> false);
  }

  /** Returns the dtype of the activations. */
  DType compute();

  /** Returns what is trained. */
  TrainedParameters trained();

  /** Returns a unit's weights to compute with, until the lease is closed. */
  Lease acquire(int unit);

  /**
   * Takes the gradients of a unit, once a pass has added to them for the last time. They stay the
   * caller's, in memory that the store may change: where several devices have a part of a batch
   * each, it adds theirs up.
   */
  void handOver(int unit, UnitTensors gradients);

  /** Returns what an optimizer changes: a unit's parameters, of which the trained ones are fp32. */
  UnitTensors parameters(int unit);

  /** Takes over a unit's {@link #parameters} after they were changed. */
  void changed(int unit);

  @Override
  void close();
}
