package org.alpaca4j.train;

import java.util.EnumSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.alpaca4j.train.LearningRateSchedule.Builder;
import org.alpaca4j.train.LearningRateSchedule.Type;
import org.jspecify.annotations.Nullable;

/** Which values a {@link LearningRateSchedule} can be built of. */
final class ScheduleRules {
  private ScheduleRules() {}

  /** Checks everything. */
  static void check(Builder given) {
    require(
        given.learningRate >= 0 && given.learningRate < Double.POSITIVE_INFINITY,
        "learningRate must be set, finite and not negative, found " + given.learningRate);
    require(given.warmupSteps >= 0, "warmupSteps must not be negative, found " + given.warmupSteps);
    require(given.totalSteps >= 1, "totalSteps must be at least 1, found " + given.totalSteps);
    checkOptions(given);
    requireDecaySteps(given);
  }

  /** Checks all that can be checked before the number of steps is known. */
  static void checkOptions(Builder given) {
    belongs(given, "numCycles", given.numCycles, cosines());
    belongs(given, "minLearningRate", given.minLearningRate, EnumSet.of(Type.COSINE_WITH_MIN_LR));
    belongs(
        given,
        "minLearningRateRatio",
        given.minLearningRateRatio,
        EnumSet.of(Type.COSINE_WITH_MIN_LR, Type.WARMUP_STABLE_DECAY));
    belongs(given, "power", given.power, EnumSet.of(Type.POLYNOMIAL));
    belongs(given, "endLearningRate", given.endLearningRate, EnumSet.of(Type.POLYNOMIAL));
    belongs(given, "timescale", given.timescale, EnumSet.of(Type.INVERSE_SQRT));
    belongs(given, "decaySteps", given.decaySteps, EnumSet.of(Type.WARMUP_STABLE_DECAY));
    belongs(given, "warmupCurve", given.warmupCurve, EnumSet.of(Type.WARMUP_STABLE_DECAY));
    belongs(given, "decayCurve", given.decayCurve, EnumSet.of(Type.WARMUP_STABLE_DECAY));
    require(
        given.numCycles == null
            || (given.numCycles > 0 && given.numCycles < Double.POSITIVE_INFINITY),
        "numCycles must be greater than 0, found " + given.numCycles);
    require(
        given.power == null || given.power > 0,
        "power must be greater than 0, found " + given.power);
    require(
        given.timescale == null || given.timescale >= 1,
        "timescale must be at least 1, found " + given.timescale);
    requireMinimum(given);
    requirePolynomialEnd(given);
    if (given.type == Type.WARMUP_STABLE_DECAY && given.decaySteps == null) {
      throw new IllegalArgumentException(
          "warmup_stable_decay needs decaySteps (num_decay_steps); set it");
    }
  }

  /** Checks that the values are left unset which {@link SftConfig} sets for each run. */
  static void checkNoRun(Builder given) {
    require(
        Double.isNaN(given.learningRate) && given.warmupSteps == 0 && given.totalSteps == 0,
        "learningRate, warmupSteps and totalSteps of the schedule come from the configuration;"
            + " set them there");
  }

  private static void requireMinimum(Builder given) {
    require(
        given.minLearningRate == null || given.minLearningRateRatio == null,
        "minLearningRate and minLearningRateRatio exclude each other; set one");
    require(
        given.type != Type.COSINE_WITH_MIN_LR
            || given.minLearningRate != null
            || given.minLearningRateRatio != null,
        "cosine_with_min_lr needs minLearningRate (min_lr) or minLearningRateRatio"
            + " (min_lr_rate); set one");
    require(
        given.minLearningRate == null
            || (given.minLearningRate >= 0 && given.minLearningRate < given.learningRate),
        "minLearningRate must be from 0 to below learningRate "
            + given.learningRate
            + ", found "
            + given.minLearningRate);
    require(
        given.minLearningRateRatio == null
            || (given.minLearningRateRatio >= 0 && given.minLearningRateRatio <= 1),
        "minLearningRateRatio must be from 0 to 1, found " + given.minLearningRateRatio);
  }

  private static void requirePolynomialEnd(Builder given) {
    double end =
        given.endLearningRate != null
            ? given.endLearningRate
            : LearningRateSchedule.DEFAULT_POLYNOMIAL_END;
    require(
        given.type != Type.POLYNOMIAL || (end >= 0 && end < given.learningRate),
        "endLearningRate must be from 0 to below learningRate "
            + given.learningRate
            + ", found "
            + end);
  }

  private static void requireDecaySteps(Builder given) {
    require(
        given.decaySteps == null
            || (given.decaySteps >= 0
                && (long) given.warmupSteps + given.decaySteps <= given.totalSteps),
        "decaySteps must be from 0 to the "
            + (given.totalSteps - given.warmupSteps)
            + " steps after the warm-up, found "
            + given.decaySteps);
  }

  private static Set<Type> cosines() {
    return EnumSet.of(
        Type.COSINE, Type.COSINE_WITH_RESTARTS, Type.COSINE_WITH_MIN_LR, Type.WARMUP_STABLE_DECAY);
  }

  private static void belongs(
      Builder given, String option, @Nullable Object value, Set<Type> types) {
    require(
        value == null || types.contains(given.type),
        option
            + " does not belong to schedule "
            + given.type.hfName()
            + "; leave it out, or choose "
            + types.stream().map(Type::hfName).collect(Collectors.joining(" or ")));
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new IllegalArgumentException(message);
    }
  }
}
