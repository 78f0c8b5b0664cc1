package org.alpaca4j.core.internal.model;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.core.DType;

/**
 * A copy of weights in the dtype that layers compute in, beside the fp32 parameters that an
 * optimizer changes. Matrices that are stored in that dtype already are not copied.
 */
final class WorkingCopy implements WeightStore {
  private final NDManager manager;
  private final DType compute;
  private final List<UnitTensors> parameters;
  private final List<ResidentWeights.Resident> copies = new ArrayList<>();
  private final TrainedParameters trained;

  WorkingCopy(LoadedModel model, DType compute, TrainedParameters trained) {
    this.compute = compute;
    this.trained = trained;
    parameters = model.units();
    manager = model.manager().newSubManager();
    try {
      for (int unit = 0; unit < parameters.size(); unit++) {
        UnitTensors copy = UnitTensors.forComputing(manager, parameters.get(unit), compute);
        copies.add(new ResidentWeights.Resident(copy));
        changed(unit);
      }
    } catch (RuntimeException | Error e) {
      manager.close();
      throw e;
    }
  }

  @Override
  public DType compute() {
    return compute;
  }

  @Override
  public TrainedParameters trained() {
    return trained;
  }

  @Override
  public Lease acquire(int unit) {
    return copies.get(unit);
  }

  @Override
  public void handOver(int unit, UnitTensors gradients) {}

  @Override
  public UnitTensors parameters(int unit) {
    return parameters.get(unit);
  }

  @Override
  public void changed(int unit) {
    copies.get(unit).weights().copyFrom(parameters.get(unit));
  }

  @Override
  public void close() {
    manager.close();
  }
}
