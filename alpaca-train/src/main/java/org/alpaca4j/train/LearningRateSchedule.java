package org.alpaca4j.train;

import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The learning rate of every optimizer step: a pure function of the step.
 *
 * <pre>{@code
 * int warmup = LearningRateSchedule.warmupSteps(1218, 0.03);
 * LearningRateSchedule schedule = LearningRateSchedule.of(Type.COSINE, 2e-5, warmup, 1218);
 * double first = schedule.learningRate(0); // 0, since there is a warm-up
 * }</pre>
 *
 * <p>Rates are those of transformers' {@code get_scheduler} (optimization.py, 5.23), with two
 * exceptions, both at or past the end: {@link Type#COSINE} and {@link Type#COSINE_WITH_MIN_LR} keep
 * their last rate, where transformers' rise again, and {@link Type#POLYNOMIAL} with as many warm-up
 * steps as steps has its final rate there, where transformers divides by zero.
 *
 * <p>Immutable and thread-safe.
 */
public final class LearningRateSchedule {

  /** The shape of a schedule. Warm-up is a straight line from 0, where not said otherwise. */
  public enum Type {
    /** The same rate in every step; there is no warm-up. */
    CONSTANT,
    /** The same rate after the warm-up. */
    CONSTANT_WITH_WARMUP,
    /** A straight line down to 0. */
    LINEAR,
    /** {@code 0.5 × (1 + cos(2π × numCycles × progress))}: with half a cycle, down to 0. */
    COSINE,
    /** Several half cosines, each from the full rate down to 0. */
    COSINE_WITH_RESTARTS,
    /** As {@link #COSINE}, down to a rate that must be given. */
    COSINE_WITH_MIN_LR,
    /** {@code (1 − progress)^power} down to a final rate. */
    POLYNOMIAL,
    /** {@code 1 / sqrt((step − warmupSteps + timescale) / timescale)}. */
    INVERSE_SQRT,
    /** Warm-up, full rate, and a last part of given length that falls. */
    WARMUP_STABLE_DECAY;

    /** Returns the name that transformers gives it, as {@code cosine_with_restarts}. */
    public String hfName() {
      return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Returns the schedule that transformers calls so.
     *
     * @throws IllegalArgumentException if there is none here, listing those that there are
     */
    public static Type fromName(String name) {
      Objects.requireNonNull(name, "name is null");
      for (Type type : values()) {
        if (type.hfName().equals(name)) {
          return type;
        }
      }
      throw new IllegalArgumentException(
          "schedule '"
              + name
              + "' is not supported; choose one of "
              + Stream.of(values()).map(Type::hfName).collect(Collectors.joining(", ")));
    }
  }

  /** How {@link Type#WARMUP_STABLE_DECAY} rises and falls. */
  public enum Curve {
    /** A straight line. */
    LINEAR,
    /** A cosine. */
    COSINE,
    /** {@code 1 − sqrt(…)}: {@code 1-sqrt} in transformers. */
    ONE_MINUS_SQRT
  }

  static final double DEFAULT_POLYNOMIAL_END = 1e-7;
  private static final int DEFAULT_TIMESCALE = 10_000;

  private final Type type;
  private final double learningRate;
  private final int warmupSteps;
  private final int totalSteps;
  private final double numCycles;
  private final double minLearningRateRatio;
  private final double power;
  private final double endLearningRate;
  private final int timescale;
  private final int decaySteps;
  private final Curve warmupCurve;
  private final Curve decayCurve;

  private LearningRateSchedule(Builder builder) {
    type = builder.type;
    learningRate = builder.learningRate;
    warmupSteps = builder.warmupSteps;
    totalSteps = builder.totalSteps;
    numCycles =
        Objects.requireNonNullElse(
            builder.numCycles, type == Type.COSINE_WITH_RESTARTS ? 1.0 : 0.5);
    minLearningRateRatio =
        builder.minLearningRate != null
            ? builder.minLearningRate / builder.learningRate
            : Objects.requireNonNullElse(builder.minLearningRateRatio, 0.0);
    power = Objects.requireNonNullElse(builder.power, 1.0);
    endLearningRate = Objects.requireNonNullElse(builder.endLearningRate, DEFAULT_POLYNOMIAL_END);
    timescale =
        Objects.requireNonNullElse(
            builder.timescale, warmupSteps > 0 ? warmupSteps : DEFAULT_TIMESCALE);
    decaySteps = Objects.requireNonNullElse(builder.decaySteps, 0);
    warmupCurve = Objects.requireNonNullElse(builder.warmupCurve, Curve.LINEAR);
    decayCurve = Objects.requireNonNullElse(builder.decayCurve, Curve.COSINE);
  }

  /**
   * Returns a schedule with its type's default options.
   *
   * @param type the shape
   * @param learningRate the highest rate, not negative
   * @param warmupSteps steps in which the rate rises, not negative
   * @param totalSteps optimizer steps of the whole run, at least 1
   * @throws IllegalArgumentException if a value is out of range, or the type has an option without
   *     a default ({@link Type#COSINE_WITH_MIN_LR}, {@link Type#WARMUP_STABLE_DECAY})
   */
  public static LearningRateSchedule of(
      Type type, double learningRate, int warmupSteps, int totalSteps) {
    return builder(type)
        .learningRate(learningRate)
        .warmupSteps(warmupSteps)
        .totalSteps(totalSteps)
        .build();
  }

  /** Returns a builder; learningRate and totalSteps must be set. */
  public static Builder builder(Type type) {
    return new Builder(type);
  }

  /**
   * Returns the number of warm-up steps that a share of all steps makes: {@code ceil(totalSteps ×
   * ratio)} in double precision, as transformers' Trainer computes it.
   *
   * @param totalSteps optimizer steps of the whole run, not negative
   * @param ratio from 0 to 1
   */
  public static int warmupSteps(int totalSteps, double ratio) {
    if (totalSteps < 0) {
      throw new IllegalArgumentException("totalSteps must not be negative, found " + totalSteps);
    }
    if (!(ratio >= 0 && ratio <= 1)) {
      throw new IllegalArgumentException("warmupRatio must be from 0 to 1, found " + ratio);
    }
    return (int) Math.ceil(totalSteps * ratio);
  }

  /**
   * Returns the learning rate of an optimizer step.
   *
   * @param step from 0; steps past the end have a rate too
   */
  public double learningRate(int step) {
    if (step < 0) {
      throw new IllegalArgumentException("step must not be negative, found " + step);
    }
    return learningRate * factor(step);
  }

  /** Returns the shape. */
  public Type type() {
    return type;
  }

  /** Returns the number of steps in which the rate rises. */
  public int warmupSteps() {
    return warmupSteps;
  }

  /** Returns the number of optimizer steps of the whole run. */
  public int totalSteps() {
    return totalSteps;
  }

  private double factor(int step) {
    if (type == Type.CONSTANT) {
      return 1;
    }
    if (step < warmupSteps) {
      double progress = (double) step / warmupSteps;
      return type == Type.WARMUP_STABLE_DECAY
          ? aboveMinimum(rise(warmupCurve, progress))
          : progress;
    }
    return switch (type) {
      case CONSTANT, CONSTANT_WITH_WARMUP -> 1;
      case LINEAR -> Math.max(0, (double) (totalSteps - step) / stepsAfterWarmup());
      case COSINE -> Math.max(0, cosine(Math.min(1, progress(step))));
      case COSINE_WITH_MIN_LR -> Math.max(0, aboveMinimum(cosine(Math.min(1, progress(step)))));
      case COSINE_WITH_RESTARTS -> {
        double progress = progress(step);
        yield progress >= 1
            ? 0
            : Math.max(0, 0.5 * (1 + Math.cos(Math.PI * (numCycles * progress % 1))));
      }
      case POLYNOMIAL -> polynomial(step);
      case INVERSE_SQRT ->
          1 / Math.sqrt((double) ((long) step - warmupSteps + timescale) / timescale);
      case WARMUP_STABLE_DECAY -> decay(step);
    };
  }

  private int stepsAfterWarmup() {
    return Math.max(1, totalSteps - warmupSteps);
  }

  private double progress(int step) {
    return (double) (step - warmupSteps) / stepsAfterWarmup();
  }

  private double cosine(double progress) {
    return 0.5 * (1 + Math.cos(Math.PI * numCycles * 2 * progress));
  }

  private double aboveMinimum(double factor) {
    return factor * (1 - minLearningRateRatio) + minLearningRateRatio;
  }

  private double polynomial(int step) {
    double remaining = step >= totalSteps ? 0 : 1 - progress(step);
    double rate = (learningRate - endLearningRate) * Math.pow(remaining, power) + endLearningRate;
    return rate / learningRate;
  }

  private double decay(int step) {
    int decayStart = totalSteps - decaySteps;
    if (step < decayStart) {
      return 1;
    }
    if (step >= totalSteps) {
      return minLearningRateRatio;
    }
    double progress = (double) (step - decayStart) / decaySteps;
    double factor =
        switch (decayCurve) {
          case LINEAR -> 1 - progress;
          case COSINE -> cosine(progress);
          case ONE_MINUS_SQRT -> 1 - Math.sqrt(progress);
        };
    return Math.max(0, aboveMinimum(factor));
  }

  private static double rise(Curve curve, double progress) {
    return switch (curve) {
      case LINEAR -> progress;
      case COSINE -> 0.5 * (1 - Math.cos(Math.PI * progress));
      case ONE_MINUS_SQRT -> 1 - Math.sqrt(1 - progress);
    };
  }

  @Override
  public String toString() {
    return "LearningRateSchedule["
        + type.hfName()
        + ", learningRate="
        + learningRate
        + ", warmupSteps="
        + warmupSteps
        + ", totalSteps="
        + totalSteps
        + "]";
  }

  /**
   * Builds a schedule. An option that its type does not know is refused in {@link #build}. Not
   * thread-safe.
   */
  public static final class Builder {
    final Type type;
    double learningRate = Double.NaN;
    int warmupSteps;
    int totalSteps;
    @Nullable Double numCycles;
    @Nullable Double minLearningRate;
    @Nullable Double minLearningRateRatio;
    @Nullable Double power;
    @Nullable Double endLearningRate;
    @Nullable Integer timescale;
    @Nullable Integer decaySteps;
    @Nullable Curve warmupCurve;
    @Nullable Curve decayCurve;

    private Builder(Type type) {
      this.type = Objects.requireNonNull(type, "type is null");
    }

    private Builder(Builder other) {
      type = other.type;
      learningRate = other.learningRate;
      warmupSteps = other.warmupSteps;
      totalSteps = other.totalSteps;
      numCycles = other.numCycles;
      minLearningRate = other.minLearningRate;
      minLearningRateRatio = other.minLearningRateRatio;
      power = other.power;
      endLearningRate = other.endLearningRate;
      timescale = other.timescale;
      decaySteps = other.decaySteps;
      warmupCurve = other.warmupCurve;
      decayCurve = other.decayCurve;
    }

    /** Returns a builder of its own with these values. */
    Builder copy() {
      return new Builder(this);
    }

    /** Sets the highest rate, not negative; required. */
    public Builder learningRate(double value) {
      learningRate = value;
      return this;
    }

    /** Sets the number of steps in which the rate rises; 0 by default. */
    public Builder warmupSteps(int value) {
      warmupSteps = value;
      return this;
    }

    /** Sets the number of optimizer steps of the whole run, at least 1; required. */
    public Builder totalSteps(int value) {
      totalSteps = value;
      return this;
    }

    /**
     * Sets the number of waves of the cosine types, 0.5 by default; for {@link
     * Type#COSINE_WITH_RESTARTS} the number of half waves, 1 by default.
     */
    public Builder numCycles(double value) {
      numCycles = value;
      return this;
    }

    /** Sets the lowest rate of {@link Type#COSINE_WITH_MIN_LR}: {@code min_lr}. */
    public Builder minLearningRate(double value) {
      minLearningRate = value;
      return this;
    }

    /**
     * Sets the lowest rate as a share of the highest: {@code min_lr_rate} of {@link
     * Type#COSINE_WITH_MIN_LR}, or {@code min_lr_ratio} of {@link Type#WARMUP_STABLE_DECAY} (0 by
     * default), whose warm-up begins there too.
     */
    public Builder minLearningRateRatio(double value) {
      minLearningRateRatio = value;
      return this;
    }

    /** Sets the power of {@link Type#POLYNOMIAL}; 1 by default. */
    public Builder power(double value) {
      power = value;
      return this;
    }

    /**
     * Sets the final rate of {@link Type#POLYNOMIAL}, {@code lr_end}, less than the highest; 1e-7
     * by default.
     */
    public Builder endLearningRate(double value) {
      endLearningRate = value;
      return this;
    }

    /**
     * Sets the time scale of {@link Type#INVERSE_SQRT}, in steps; by default the warm-up steps, or
     * 10,000 without warm-up.
     */
    public Builder timescale(int steps) {
      timescale = steps;
      return this;
    }

    /**
     * Sets for how many steps {@link Type#WARMUP_STABLE_DECAY} falls at the end; it has no default.
     */
    public Builder decaySteps(int steps) {
      decaySteps = steps;
      return this;
    }

    /** Sets how {@link Type#WARMUP_STABLE_DECAY} rises; {@link Curve#LINEAR} by default. */
    public Builder warmupCurve(Curve value) {
      Objects.requireNonNull(value, "warmupCurve is null");
      warmupCurve = value;
      return this;
    }

    /** Sets how {@link Type#WARMUP_STABLE_DECAY} falls; {@link Curve#COSINE} by default. */
    public Builder decayCurve(Curve value) {
      Objects.requireNonNull(value, "decayCurve is null");
      decayCurve = value;
      return this;
    }

    /**
     * Sets options by the names that transformers' schedules give them, as in its {@code
     * lr_scheduler_kwargs}: {@code {"min_lr": 1e-6}}.
     *
     * @param options numbers, or texts for the curves
     * @throws IllegalArgumentException if the type has no option of a name, or a value is of the
     *     wrong kind
     */
    public Builder hfOptions(Map<String, ?> options) {
      Objects.requireNonNull(options, "options is null");
      options.forEach((name, value) -> HfScheduleOption.set(this, name, value));
      return this;
    }

    /**
     * Returns the schedule.
     *
     * @throws IllegalArgumentException if a value is missing or out of range, or an option does not
     *     belong to the type
     */
    public LearningRateSchedule build() {
      ScheduleRules.check(this);
      return new LearningRateSchedule(this);
    }
  }
}
