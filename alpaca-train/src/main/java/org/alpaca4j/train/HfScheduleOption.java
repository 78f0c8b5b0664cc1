package org.alpaca4j.train;

import java.util.List;
import org.alpaca4j.train.LearningRateSchedule.Curve;
import org.alpaca4j.train.LearningRateSchedule.Type;

/** The options of the schedules in optimization.py of transformers 5.23, by their names there. */
final class HfScheduleOption {
  private HfScheduleOption() {}

  /** Sets an option; refuses one that the schedule of transformers does not have. */
  static void set(LearningRateSchedule.Builder schedule, String name, Object value) {
    List<String> known = namesOf(schedule.type);
    if (!known.contains(name)) {
      throw new IllegalArgumentException(
          "schedule "
              + schedule.type.hfName()
              + " has no option '"
              + name
              + "'; "
              + (known.isEmpty() ? "it has none" : "choose of " + String.join(", ", known)));
    }
    switch (name) {
      case "num_cycles" -> schedule.numCycles(number(name, value));
      case "min_lr" -> schedule.minLearningRate(number(name, value));
      case "min_lr_rate", "min_lr_ratio" -> schedule.minLearningRateRatio(number(name, value));
      case "power" -> schedule.power(number(name, value));
      case "lr_end" -> schedule.endLearningRate(number(name, value));
      case "timescale" -> schedule.timescale(integer(name, value));
      case "num_decay_steps" -> schedule.decaySteps(integer(name, value));
      case "warmup_type" -> schedule.warmupCurve(curve(name, value));
      case "decay_type" -> schedule.decayCurve(curve(name, value));
      default -> throw new IllegalStateException(name);
    }
  }

  private static List<String> namesOf(Type type) {
    return switch (type) {
      case CONSTANT, CONSTANT_WITH_WARMUP, LINEAR -> List.of();
      case COSINE, COSINE_WITH_RESTARTS -> List.of("num_cycles");
      case COSINE_WITH_MIN_LR -> List.of("min_lr", "min_lr_rate", "num_cycles");
      case POLYNOMIAL -> List.of("lr_end", "power");
      case INVERSE_SQRT -> List.of("timescale");
      case WARMUP_STABLE_DECAY ->
          List.of("num_decay_steps", "min_lr_ratio", "num_cycles", "warmup_type", "decay_type");
    };
  }

  private static double number(String name, Object value) {
    if (value instanceof Number number) {
      return number.doubleValue();
    }
    throw wrong(name, value, "a number");
  }

  private static int integer(String name, Object value) {
    double number = number(name, value);
    if (number != Math.rint(number) || Math.abs(number) > Integer.MAX_VALUE) {
      throw wrong(name, value, "an integer");
    }
    return (int) number;
  }

  private static Curve curve(String name, Object value) {
    return switch (String.valueOf(value)) {
      case "linear" -> Curve.LINEAR;
      case "cosine" -> Curve.COSINE;
      case "1-sqrt" -> Curve.ONE_MINUS_SQRT;
      default -> throw wrong(name, value, "linear, cosine or 1-sqrt");
    };
  }

  private static IllegalArgumentException wrong(String name, Object value, String must) {
    return new IllegalArgumentException(name + " is " + value + "; it must be " + must);
  }
}
