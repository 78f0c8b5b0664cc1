package org.alpaca4j.train;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.List;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.UnitTensors;
import org.alpaca4j.core.internal.torch.TorchProgram;

/** AdamW over fp32 parameters, unit by unit; weight decay on matrices only. */
final class AdamW implements AutoCloseable {
  private final NDManager manager;
  private final SftConfig config;
  private final List<UnitTensors> parameters;
  private final List<UnitTensors> firstMoments;
  private final List<UnitTensors> secondMoments;
  private final TorchProgram program;
  private int steps;

  AdamW(NDManager parent, SftConfig config, List<UnitTensors> parameters, TorchProgram program) {
    this.manager = parent.newSubManager();
    this.config = config;
    this.parameters = parameters;
    this.program = program;
    firstMoments = zeros();
    secondMoments = zeros();
  }

  private List<UnitTensors> zeros() {
    return parameters.stream()
        .map(unit -> UnitTensors.zeros(manager, unit.layout(), DType.F32))
        .toList();
  }

  /** Begins a step; {@link #update} of every unit follows. */
  void begin() {
    steps++;
  }

  /**
   * Updates one unit's parameters and moments.
   *
   * @param gradientFactor what the gradients are multiplied by first, for clipping
   */
  void update(int unit, UnitTensors gradients, double learningRate, double gradientFactor) {
    try (NDManager scope = manager.newSubManager()) {
      NDArray step = scope.create((float) steps);
      for (int flat = 0; flat < UnitLayout.FLATS; flat++) {
        if (gradients.layout().elements().get(flat) == 0) {
          continue;
        }
        double weightDecay = flat == UnitLayout.DECAYED ? config.weightDecay() : 0;
        double[] settings = {
          learningRate,
          config.adamBeta1(),
          config.adamBeta2(),
          config.adamEpsilon(),
          weightDecay,
          gradientFactor
        };
        program.run(
            "adamw",
            parameters.get(unit).flat(flat),
            gradients.flat(flat),
            firstMoments.get(unit).flat(flat),
            secondMoments.get(unit).flat(flat),
            step,
            scope.create(settings, new Shape(settings.length)).toDevice(Device.cpu(), false));
      }
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
    manager.close();
  }
}
