package org.alpaca4j.core.internal.model;

import java.util.List;
import org.alpaca4j.core.DType;

/** Weights that are in memory all the time, in the form in which they are computed with. */
final class ResidentWeights implements WeightStore {
  private final List<Resident> units;
  private final TrainedParameters trained;

  /** A unit that stays where it is. */
  record Resident(UnitTensors weights) implements Lease {
    @Override
    public void close() {}
  }

  ResidentWeights(List<UnitTensors> units, TrainedParameters trained) {
    this.units = units.stream().map(Resident::new).toList();
    this.trained = trained;
  }

  @Override
  public DType compute() {
    return units.get(0).weights().activations();
  }

  @Override
  public TrainedParameters trained() {
    return trained;
  }

  @Override
  public Lease acquire(int unit) {
    return units.get(unit);
  }

  @Override
  public void handOver(int unit, UnitTensors gradients) {}

  @Override
  public UnitTensors parameters(int unit) {
    return units.get(unit).weights();
  }

  @Override
  public void changed(int unit) {}

  @Override
  public void close() {}
}
