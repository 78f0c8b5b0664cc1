package org.alpaca4j.train;

import java.util.Objects;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.alpaca4j.core.Precision;
import org.alpaca4j.data.ExampleOrder;
import org.jspecify.annotations.Nullable;

/**
 * How to fine-tune: an immutable set of options. The defaults are those of Stanford Alpaca's
 * training program, where it has one.
 *
 * <pre>{@code
 * SftConfig config = SftConfig.builder().learningRate(2e-5).epochs(3).warmupRatio(0.03).build();
 * }</pre>
 */
public final class SftConfig {
  private final Builder values;

  private SftConfig(Builder values) {
    this.values = values;
  }

  /** Returns a builder with the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns a builder with these values. */
  public Builder toBuilder() {
    return new Builder(values);
  }

  /** Returns how often every example is visited; a fraction ends within an epoch. */
  public double epochs() {
    return values.epochs;
  }

  /** Returns the number of optimizer steps, if it is set; it overrides {@link #epochs}. */
  public OptionalInt maxSteps() {
    return values.maxSteps > 0 ? OptionalInt.of(values.maxSteps) : OptionalInt.empty();
  }

  /** Returns the number of examples in a micro-batch. */
  public int batchSize() {
    return values.batchSize;
  }

  /** Returns the number of micro-batches whose gradients one optimizer step adds up. */
  public int gradientAccumulationSteps() {
    return values.gradientAccumulationSteps;
  }

  /** Returns the number of examples in a micro-batch of evaluation. */
  public int evalBatchSize() {
    return values.evalBatchSize;
  }

  /** Returns the largest learning rate. */
  public double learningRate() {
    return values.learningRate;
  }

  /** Returns the course of the learning rate. */
  public LearningRateSchedule.Type schedule() {
    return values.schedule.type;
  }

  /**
   * Returns the learning rates of a run of so many steps.
   *
   * @throws IllegalArgumentException if an option of the schedule does not fit so many steps
   */
  public LearningRateSchedule schedule(int totalSteps) {
    return values
        .schedule
        .copy()
        .learningRate(values.learningRate)
        .warmupSteps(warmupSteps(totalSteps))
        .totalSteps(totalSteps)
        .build();
  }

  /** Returns the number of warm-up steps of a run of so many steps. */
  public int warmupSteps(int totalSteps) {
    return values.warmupSteps >= 0
        ? values.warmupSteps
        : LearningRateSchedule.warmupSteps(totalSteps, values.warmupRatio);
  }

  /** Returns the weight decay of matrices and embeddings; biases and norm weights have none. */
  public double weightDecay() {
    return values.weightDecay;
  }

  /** Returns AdamW's decay of the first moment. */
  public double adamBeta1() {
    return values.adamBeta1;
  }

  /** Returns AdamW's decay of the second moment. */
  public double adamBeta2() {
    return values.adamBeta2;
  }

  /** Returns AdamW's term in the denominator, added after the bias-corrected square root. */
  public double adamEpsilon() {
    return values.adamEpsilon;
  }

  /** Returns the L2 norm to which larger gradients are scaled down; infinite for no clipping. */
  public double maxGradientNorm() {
    return values.maxGradientNorm;
  }

  /**
   * Returns the precision of the layers' arithmetic. Weights, moments and the optimizer are fp32 in
   * any case; with {@link Precision#BFLOAT16} the layers compute with a bf16 copy of the weights.
   */
  public Precision precision() {
    return values.precision;
  }

  /** Returns whether activations are computed again in the backward pass, to save memory. */
  public boolean activationRecomputation() {
    return values.activationRecomputation;
  }

  /** Returns the order in which an epoch visits the examples. */
  public ExampleOrder order() {
    return values.order == null ? ExampleOrder.shuffled(values.seed) : values.order;
  }

  /** Returns the seed of all that is random. */
  public long seed() {
    return values.seed;
  }

  /** Returns after how many steps the model is evaluated; 0: never within an epoch. */
  public int evalSteps() {
    return values.evalSteps;
  }

  /** Returns whether the model is evaluated at the end of each epoch. */
  public boolean evalEachEpoch() {
    return values.evalEachEpoch;
  }

  /** Returns after how many steps a checkpoint is saved; 0: at the end only. */
  public int saveSteps() {
    return values.saveSteps;
  }

  /** Returns whether a checkpoint is saved at the end of each epoch. */
  public boolean saveEachEpoch() {
    return values.saveEachEpoch;
  }

  /** Returns how many of the newest step checkpoints are kept. */
  public int saveTotalLimit() {
    return values.saveTotalLimit;
  }

  /**
   * Returns the factor of the loss that spreads tokens over experts, if it is set; else the model's
   * configuration decides: {@link org.alpaca4j.core.ModelConfig#routerAuxLossCoef}.
   */
  public OptionalDouble routerAuxLossCoef() {
    return values.routerAuxLossCoef >= 0
        ? OptionalDouble.of(values.routerAuxLossCoef)
        : OptionalDouble.empty();
  }

  /** Returns at how many supervised positions the head's logits are computed at once. */
  public int lossChunkTokens() {
    return values.lossChunkTokens;
  }

  /** Collects options. Not thread-safe. */
  public static final class Builder {
    private double epochs = 3;
    private int maxSteps;
    private int batchSize = 4;
    private int gradientAccumulationSteps = 1;
    private int evalBatchSize = 4;
    private double learningRate = 2e-5;

    /** Never changed, so that configurations can share it. */
    private LearningRateSchedule.Builder schedule =
        LearningRateSchedule.builder(LearningRateSchedule.Type.COSINE);

    private double warmupRatio;
    private int warmupSteps = -1;
    private double weightDecay;
    private double adamBeta1 = 0.9;
    private double adamBeta2 = 0.999;
    private double adamEpsilon = 1e-8;
    private double maxGradientNorm = 1.0;
    private Precision precision = Precision.FLOAT32;
    private boolean activationRecomputation;
    private @Nullable ExampleOrder order;
    private long seed = 42;
    private int evalSteps;
    private boolean evalEachEpoch;
    private int saveSteps;
    private boolean saveEachEpoch;
    private int saveTotalLimit = 1;
    private double routerAuxLossCoef = -1;
    private int lossChunkTokens = 256;

    private Builder() {}

    private Builder(Builder other) {
      epochs = other.epochs;
      maxSteps = other.maxSteps;
      batchSize = other.batchSize;
      gradientAccumulationSteps = other.gradientAccumulationSteps;
      evalBatchSize = other.evalBatchSize;
      learningRate = other.learningRate;
      schedule = other.schedule;
      warmupRatio = other.warmupRatio;
      warmupSteps = other.warmupSteps;
      weightDecay = other.weightDecay;
      adamBeta1 = other.adamBeta1;
      adamBeta2 = other.adamBeta2;
      adamEpsilon = other.adamEpsilon;
      maxGradientNorm = other.maxGradientNorm;
      precision = other.precision;
      activationRecomputation = other.activationRecomputation;
      order = other.order;
      seed = other.seed;
      evalSteps = other.evalSteps;
      evalEachEpoch = other.evalEachEpoch;
      saveSteps = other.saveSteps;
      saveEachEpoch = other.saveEachEpoch;
      saveTotalLimit = other.saveTotalLimit;
      routerAuxLossCoef = other.routerAuxLossCoef;
      lossChunkTokens = other.lossChunkTokens;
    }

    /** Sets how often every example is visited; default 3. */
    public Builder epochs(double value) {
      epochs = value;
      return this;
    }

    /** Sets the number of optimizer steps, overriding the epochs; default: as the epochs need. */
    public Builder maxSteps(int value) {
      require(value >= 1, "maxSteps", value, "at least 1; leave it out to count epochs");
      maxSteps = value;
      return this;
    }

    /** Sets the number of examples in a micro-batch; default 4. */
    public Builder batchSize(int value) {
      batchSize = value;
      return this;
    }

    /** Sets the number of micro-batches of one optimizer step; default 1. */
    public Builder gradientAccumulationSteps(int value) {
      gradientAccumulationSteps = value;
      return this;
    }

    /** Sets the number of examples in a micro-batch of evaluation; default 4. */
    public Builder evalBatchSize(int value) {
      evalBatchSize = value;
      return this;
    }

    /** Sets the largest learning rate; default 2e-5. */
    public Builder learningRate(double value) {
      learningRate = value;
      return this;
    }

    /** Sets the course of the learning rate; default: cosine. */
    public Builder schedule(LearningRateSchedule.Type value) {
      Objects.requireNonNull(value, "schedule is null");
      return schedule(LearningRateSchedule.builder(value));
    }

    /**
     * Sets the course of the learning rate with options of its own, as {@code
     * schedule(LearningRateSchedule.builder(Type.COSINE_WITH_MIN_LR).minLearningRate(1e-6))}.
     *
     * @param value type and options, copied; learning rate, warm-up and number of steps are left
     *     unset, since they come from this configuration
     * @throws IllegalArgumentException if they are set
     */
    public Builder schedule(LearningRateSchedule.Builder value) {
      Objects.requireNonNull(value, "schedule is null");
      ScheduleRules.checkNoRun(value);
      schedule = value.copy();
      return this;
    }

    /** Sets the share of steps with rising learning rate; default 0. */
    public Builder warmupRatio(double value) {
      require(warmupSteps < 0, "warmupRatio", value, "unset, since warmupSteps is set");
      warmupRatio = value;
      return this;
    }

    /** Sets the number of steps with rising learning rate; default: as the ratio says. */
    public Builder warmupSteps(int value) {
      require(warmupRatio == 0, "warmupSteps", value, "unset, since warmupRatio is set");
      require(value >= 0, "warmupSteps", value, "0 or more");
      warmupSteps = value;
      return this;
    }

    /** Sets the weight decay of matrices and embeddings; default 0. */
    public Builder weightDecay(double value) {
      weightDecay = value;
      return this;
    }

    /** Sets AdamW's decays of the moments; default 0.9 and 0.999. */
    public Builder adamBetas(double beta1, double beta2) {
      adamBeta1 = beta1;
      adamBeta2 = beta2;
      return this;
    }

    /** Sets AdamW's term in the denominator; default 1e-8. */
    public Builder adamEpsilon(double value) {
      adamEpsilon = value;
      return this;
    }

    /** Sets the norm to which larger gradients are scaled down; default 1; infinite: never. */
    public Builder maxGradientNorm(double value) {
      maxGradientNorm = value;
      return this;
    }

    /**
     * Sets the precision of the layers' arithmetic; default fp32.
     *
     * @throws IllegalArgumentException if it is {@link Precision#FLOAT16}
     */
    public Builder precision(Precision value) {
      Objects.requireNonNull(value, "precision is null");
      require(value != Precision.FLOAT16, "precision", value, "FLOAT32 or BFLOAT16");
      precision = value;
      return this;
    }

    /** Sets whether activations are computed again in the backward pass; default false. */
    public Builder activationRecomputation(boolean value) {
      activationRecomputation = value;
      return this;
    }

    /** Sets the order of the examples; default: shuffled anew in each epoch, by the seed. */
    public Builder order(ExampleOrder value) {
      Objects.requireNonNull(value, "order is null");
      order = value;
      return this;
    }

    /** Sets the seed; default 42. */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /** Sets after how many steps the model is evaluated; default 0, never within an epoch. */
    public Builder evalSteps(int value) {
      evalSteps = value;
      return this;
    }

    /** Sets whether the model is evaluated at the end of each epoch; default false. */
    public Builder evalEachEpoch(boolean value) {
      evalEachEpoch = value;
      return this;
    }

    /** Sets after how many steps a checkpoint is saved; default 0, at the end only. */
    public Builder saveSteps(int value) {
      saveSteps = value;
      return this;
    }

    /** Sets whether a checkpoint is saved at the end of each epoch; default false. */
    public Builder saveEachEpoch(boolean value) {
      saveEachEpoch = value;
      return this;
    }

    /** Sets how many of the newest step checkpoints are kept; default 1. */
    public Builder saveTotalLimit(int value) {
      saveTotalLimit = value;
      return this;
    }

    /**
     * Sets the factor of the auxiliary loss that spreads tokens over a model's experts: experts *
     * sum of f_e P_e over all layers together, as in transformers. Default: as transformers does,
     * {@code router_aux_loss_coef} where config.json has {@code output_router_logits} true, else 0.
     *
     * <p>The loss of each micro-batch counts by its share of the step's tokens, where transformers
     * adds up those of all micro-batches. All tokens count alike, whatever they weigh in the cross
     * entropy.
     */
    public Builder routerAuxLossCoef(double value) {
      require(
          value >= 0 && Double.isFinite(value), "routerAuxLossCoef", value, "0 or more and finite");
      routerAuxLossCoef = value;
      return this;
    }

    /**
     * Sets at how many supervised positions the head's logits are computed at once; default 256.
     * More is faster and takes vocabulary × 4 bytes of memory each, in bf16 half of that.
     */
    public Builder lossChunkTokens(int value) {
      lossChunkTokens = value;
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws IllegalArgumentException if one is out of its range
     */
    public SftConfig build() {
      require(epochs > 0, "epochs", epochs, "above 0");
      require(batchSize >= 1, "batchSize", batchSize, "at least 1");
      require(evalBatchSize >= 1, "evalBatchSize", evalBatchSize, "at least 1");
      require(
          gradientAccumulationSteps >= 1,
          "gradientAccumulationSteps",
          gradientAccumulationSteps,
          "at least 1");
      require(
          learningRate >= 0 && Double.isFinite(learningRate),
          "learningRate",
          learningRate,
          "0 or more and finite");
      ScheduleRules.checkOptions(schedule.copy().learningRate(learningRate));
      require(warmupRatio >= 0 && warmupRatio <= 1, "warmupRatio", warmupRatio, "from 0 to 1");
      require(
          weightDecay >= 0 && Double.isFinite(weightDecay),
          "weightDecay",
          weightDecay,
          "0 or more and finite");
      require(adamBeta1 >= 0 && adamBeta1 < 1, "adamBeta1", adamBeta1, "from 0 to below 1");
      require(adamBeta2 >= 0 && adamBeta2 < 1, "adamBeta2", adamBeta2, "from 0 to below 1");
      require(adamEpsilon > 0, "adamEpsilon", adamEpsilon, "above 0");
      require(
          maxGradientNorm > 0,
          "maxGradientNorm",
          maxGradientNorm,
          "above 0; use Double.POSITIVE_INFINITY for no clipping");
      require(evalSteps >= 0, "evalSteps", evalSteps, "0 or more");
      require(saveSteps >= 0, "saveSteps", saveSteps, "0 or more");
      require(saveTotalLimit >= 1, "saveTotalLimit", saveTotalLimit, "at least 1");
      require(lossChunkTokens >= 1, "lossChunkTokens", lossChunkTokens, "at least 1");
      return new SftConfig(new Builder(this));
    }

    private static void require(boolean fine, String field, Object value, String expected) {
      if (!fine) {
        throw new IllegalArgumentException(field + " is " + value + "; it must be " + expected);
      }
    }
  }
}
