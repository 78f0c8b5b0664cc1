package org.alpaca4j.train;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.TrainedParameters;
import org.alpaca4j.core.internal.model.TrainedParameters.Run;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.UnitTensors;
import org.alpaca4j.core.internal.model.WeightStore;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;

/** AdamW over fp32 parameters, unit by unit; weight decay on matrices only. */
final class AdamW implements AutoCloseable {
  private final NDManager manager;
  private final NDManager cpu = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  private final SftConfig config;
  private final TrainedParameters trained;
  private final List<NDArray[]> parameters = new ArrayList<>();
  private final List<UnitTensors> firstMoments;
  private final List<UnitTensors> secondMoments;
  private final List<NDArray[]> firstRuns = new ArrayList<>();
  private final List<NDArray[]> secondRuns = new ArrayList<>();
  private final TorchProgram program;
  private NDArray step;
  private int steps;

  AdamW(NDManager parent, SftConfig config, WeightStore store, TorchProgram program) {
    this.manager = parent.newSubManager();
    this.config = config;
    this.program = program;
    trained = store.trained();
    firstMoments = zeros();
    secondMoments = zeros();
    step = manager.create(0f);
    for (int unit = 0; unit < trained.units(); unit++) {
      parameters.add(runs(unit, store.parameters(unit), Run::parameter));
      firstRuns.add(runs(unit, firstMoments.get(unit), Run::gradient));
      secondRuns.add(runs(unit, secondMoments.get(unit), Run::gradient));
    }
  }

  private List<UnitTensors> zeros() {
    return IntStream.range(0, trained.units())
        .mapToObj(unit -> UnitTensors.zeros(manager, trained.gradients(unit), DType.F32))
        .toList();
  }

  private NDArray[] runs(int unit, UnitTensors tensors, ToLongFunction<Run> offset) {
    return trained.runs(unit).stream()
        .map(run -> tensors.part(manager, run.flat(), offset.applyAsLong(run), run.elements()))
        .toArray(NDArray[]::new);
  }

  /** Begins a step; {@link #update} of every unit follows. */
  void begin() {
    steps++;
    step.close();
    step = manager.create((float) steps);
  }

  /**
   * Updates the parameters and moments of a unit of which something is trained.
   *
   * @param gradients as {@link TrainedParameters#runs} has them
   * @param gradientFactor what the gradients are multiplied by first, for clipping
   */
  void update(int unit, NDArray[] gradients, double learningRate, double gradientFactor) {
    double decayed =
        trained.runs(unit).stream().filter(run -> run.flat() != UnitLayout.PLAIN).count();
    double[] settings = {
      learningRate,
      config.adamBeta1(),
      config.adamBeta2(),
      config.adamEpsilon(),
      config.weightDecay(),
      gradientFactor,
      decayed
    };
    try (NDArray numbers = cpu.create(settings)) {
      program.run(
          "adamw",
          parameters.get(unit),
          gradients,
          firstRuns.get(unit),
          secondRuns.get(unit),
          step,
          numbers);
    }
  }

  /** Returns the number of steps taken. */
  int steps() {
    return steps;
  }

  /** Returns the first moments by unit. */
  List<UnitTensors> firstMoments() {
    return firstMoments;
  }

  /** Returns the second moments by unit. */
  List<UnitTensors> secondMoments() {
    return secondMoments;
  }

  @Override
  public void close() {
    cpu.close();
    manager.close();
  }
}
