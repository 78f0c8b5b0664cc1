package org.alpaca4j.core;

import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * How a model stretches its rotary position embedding beyond the length it was pretrained on, and
 * the frequencies that follow. Immutable. The formulas are those of transformers 5 ({@code
 * modeling_rope_utils.py}), in its single precision, operation by operation.
 *
 * @param type the method
 * @param factor by how much the context is stretched; 1 for {@link Type#DEFAULT}
 * @param originalMaxPositionEmbeddings the pretraining length in tokens ({@link Type#LLAMA3},
 *     {@link Type#YARN}, {@link Type#LONGROPE}); 0 for other types
 * @param attentionFactor YaRN, LongRoPE: what cosines and sines are multiplied by; null infers it
 *     from the factor, YaRN's also from {@code mscale}
 * @param betaFast YaRN: rotations above which a frequency is kept; default 32
 * @param betaSlow YaRN: rotations below which a frequency is divided by the factor; default 1
 * @param mscale YaRN: scale of the inferred attention factor, or null
 * @param mscaleAllDim YaRN: its divisor, used together with {@code mscale}, or null
 * @param truncate YaRN: whether the range of interpolated dimensions is rounded to whole ones;
 *     default true
 * @param lowFreqFactor Llama 3: wavelengths longer than the original length divided by this are
 *     stretched; 0 for other types
 * @param highFreqFactor Llama 3: wavelengths shorter than the original length divided by this are
 *     kept; 0 for other types
 * @param alpha dynamic NTK with a base that does not depend on the length: what stretches it
 *     (Hunyuan); 0: none
 * @param shortFactors LongRoPE: what each frequency is divided by up to the original length; empty
 *     for other types
 * @param longFactors LongRoPE: the same beyond the original length
 */
public record RopeScaling(
    Type type,
    double factor,
    int originalMaxPositionEmbeddings,
    @Nullable Double attentionFactor,
    double betaFast,
    double betaSlow,
    @Nullable Double mscale,
    @Nullable Double mscaleAllDim,
    boolean truncate,
    double lowFreqFactor,
    double highFreqFactor,
    double alpha,
    List<Double> shortFactors,
    List<Double> longFactors) {

  /** The plain rotary embedding, not stretched. */
  public static final RopeScaling DEFAULT = simple(Type.DEFAULT, 1.0);

  /** The methods, under the names that {@code rope_type} has in a {@code config.json}. */
  public enum Type {
    /** No stretching. */
    DEFAULT,
    /** All frequencies divided by the factor (position interpolation). */
    LINEAR,
    /** The base grows with the length of the sequence (dynamic NTK). */
    DYNAMIC,
    /** Low frequencies divided by the factor, high ones kept, smooth between (Llama 3.1). */
    LLAMA3,
    /** Interpolation by parts, with warmer attention. See <i>YaRN</i>, arXiv:2309.00071. */
    YARN,
    /** Each frequency divided by a searched factor of its own (Phi-3). See arXiv:2402.13753. */
    LONGROPE;

    /** Returns the name in a {@code config.json}, such as {@code llama3}. */
    public String configName() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if the factor or a length is not positive, or Llama 3's two
   *     frequency factors are equal
   */
  public RopeScaling {
    require(factor > 0 && Double.isFinite(factor), "factor", factor, "a positive number");
    shortFactors = List.copyOf(shortFactors);
    longFactors = List.copyOf(longFactors);
    require(alpha >= 0 && Double.isFinite(alpha), "alpha", alpha, "0 or a positive number");
    if (type == Type.LLAMA3 || type == Type.YARN || type == Type.LONGROPE) {
      require(
          originalMaxPositionEmbeddings > 0,
          "original_max_position_embeddings",
          originalMaxPositionEmbeddings,
          "a positive number of tokens");
    }
    if (type == Type.LLAMA3) {
      require(lowFreqFactor > 0, "low_freq_factor", lowFreqFactor, "a positive number");
      require(
          highFreqFactor > lowFreqFactor,
          "high_freq_factor",
          highFreqFactor,
          "greater than low_freq_factor " + lowFreqFactor);
    }
    if (type == Type.YARN) {
      require(betaFast > 0, "beta_fast", betaFast, "a positive number");
      require(betaSlow > 0, "beta_slow", betaSlow, "a positive number");
    }
    if (type == Type.LONGROPE) {
      require(!shortFactors.isEmpty(), "short_factor", 0, "one number for each frequency");
      require(
          longFactors.size() == shortFactors.size(),
          "the length of long_factor",
          longFactors.size(),
          "that of short_factor, " + shortFactors.size());
      for (double value : shortFactors) {
        require(value > 0, "short_factor", value, "positive numbers");
      }
      for (double value : longFactors) {
        require(value > 0, "long_factor", value, "positive numbers");
      }
    }
  }

  private static void require(boolean ok, String field, Number value, String must) {
    if (!ok) {
      throw new IllegalArgumentException(field + " is " + value + ", but must be " + must);
    }
  }

  private static RopeScaling simple(Type type, double factor) {
    return new RopeScaling(
        type, factor, 0, null, 32, 1, null, null, true, 0, 0, 0, List.of(), List.of());
  }

  /**
   * Returns {@link Type#LINEAR} scaling.
   *
   * @param factor by how much the context is stretched
   */
  public static RopeScaling linear(double factor) {
    return simple(Type.LINEAR, factor);
  }

  /**
   * Returns {@link Type#DYNAMIC} scaling.
   *
   * @param factor by how much the context is stretched
   */
  public static RopeScaling dynamic(double factor) {
    return simple(Type.DYNAMIC, factor);
  }

  /**
   * Returns {@link Type#DYNAMIC} scaling with a base that does not depend on the length.
   *
   * @param alpha stretches the base: by its power {@code dims / (dims - 2)}
   */
  public static RopeScaling alpha(double alpha) {
    return new RopeScaling(
        Type.DYNAMIC, 1, 0, null, 32, 1, null, null, true, 0, 0, alpha, List.of(), List.of());
  }

  /**
   * Returns {@link Type#LONGROPE} scaling.
   *
   * @param factor by how much the context is stretched
   * @param originalMaxPositionEmbeddings the pretraining length in tokens
   * @param attentionFactor what cosines and sines are multiplied by, or null
   * @param shortFactors one for each frequency, up to the original length
   * @param longFactors one for each frequency, beyond it
   */
  public static RopeScaling longrope(
      double factor,
      int originalMaxPositionEmbeddings,
      @Nullable Double attentionFactor,
      List<Double> shortFactors,
      List<Double> longFactors) {
    Objects.requireNonNull(shortFactors, "shortFactors is null");
    Objects.requireNonNull(longFactors, "longFactors is null");
    return new RopeScaling(
        Type.LONGROPE,
        factor,
        originalMaxPositionEmbeddings,
        attentionFactor,
        32,
        1,
        null,
        null,
        true,
        0,
        0,
        0,
        shortFactors,
        longFactors);
  }

  /**
   * Returns {@link Type#YARN} scaling.
   *
   * @param factor by how much the context is stretched
   * @param originalMaxPositionEmbeddings the pretraining length in tokens
   * @param attentionFactor see the component
   * @param betaFast see the component
   * @param betaSlow see the component
   * @param mscale see the component
   * @param mscaleAllDim see the component
   * @param truncate see the component
   */
  public static RopeScaling yarn(
      double factor,
      int originalMaxPositionEmbeddings,
      @Nullable Double attentionFactor,
      double betaFast,
      double betaSlow,
      @Nullable Double mscale,
      @Nullable Double mscaleAllDim,
      boolean truncate) {
    return new RopeScaling(
        Type.YARN,
        factor,
        originalMaxPositionEmbeddings,
        attentionFactor,
        betaFast,
        betaSlow,
        mscale,
        mscaleAllDim,
        truncate,
        0,
        0,
        0,
        List.of(),
        List.of());
  }

  /**
   * Returns {@link Type#LLAMA3} scaling.
   *
   * @param factor by how much low frequencies are divided
   * @param lowFreqFactor see the component
   * @param highFreqFactor see the component
   * @param originalMaxPositionEmbeddings the pretraining length in tokens
   */
  public static RopeScaling llama3(
      double factor,
      double lowFreqFactor,
      double highFreqFactor,
      int originalMaxPositionEmbeddings) {
    return new RopeScaling(
        Type.LLAMA3,
        factor,
        originalMaxPositionEmbeddings,
        null,
        32,
        1,
        null,
        null,
        true,
        lowFreqFactor,
        highFreqFactor,
        0,
        List.of(),
        List.of());
  }

  /**
   * Returns {@link Type#YARN} scaling with the defaults of the paper.
   *
   * @param factor by how much the context is stretched
   * @param originalMaxPositionEmbeddings the pretraining length in tokens
   */
  public static RopeScaling yarn(double factor, int originalMaxPositionEmbeddings) {
    return yarn(factor, originalMaxPositionEmbeddings, null, 32, 1, null, null, true);
  }

  /** Returns whether frequencies depend on the length of the sequence. */
  public boolean dependsOnLength() {
    return type == Type.LONGROPE || (type == Type.DYNAMIC && alpha == 0);
  }

  /**
   * Returns the number that cosines and sines are multiplied by: 1 unless {@link Type#YARN} or
   * {@link Type#LONGROPE}, which so make attention sharper.
   */
  public double attentionScaling() {
    if (type != Type.YARN && type != Type.LONGROPE) {
      return 1.0;
    }
    if (attentionFactor != null) {
      return attentionFactor;
    }
    if (type == Type.LONGROPE) {
      return factor <= 1
          ? 1.0
          : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositionEmbeddings));
    }
    if (mscale != null && mscaleAllDim != null && mscale != 0 && mscaleAllDim != 0) {
      return yarnScale(mscale) / yarnScale(mscaleAllDim);
    }
    return yarnScale(1);
  }

  private double yarnScale(double scale) {
    return factor <= 1 ? 1.0 : 0.1 * scale * Math.log(factor) + 1.0;
  }

  // What follows mirrors torch: a Python number that meets a float32 tensor becomes a float first,
  // and `number / tensor` is `number * reciprocal(tensor)`.

  /**
   * Returns the angle per position of each pair of dimensions, {@code [dims / 2]}.
   *
   * @param theta base of the wavelengths
   * @param dims how many dimensions of a head turn
   * @param maxPositionEmbeddings the context length in tokens
   * @param sequenceLength the positions in use, highest + 1; matters only if {@link
   *     #dependsOnLength}, {@link Type#DYNAMIC} beyond {@code maxPositionEmbeddings}, {@link
   *     Type#LONGROPE} beyond the original length
   */
  public float[] inverseFrequencies(
      double theta, int dims, int maxPositionEmbeddings, int sequenceLength) {
    return switch (type) {
      case DEFAULT -> plain((float) theta, dims);
      case LINEAR -> divided(plain((float) theta, dims));
      case DYNAMIC -> plain(dynamicBase(theta, dims, maxPositionEmbeddings, sequenceLength), dims);
      case LLAMA3 -> smoothed(plain((float) theta, dims));
      case YARN -> byParts(theta, dims);
      case LONGROPE ->
          searched(
              (float) theta,
              dims,
              sequenceLength > originalMaxPositionEmbeddings ? longFactors : shortFactors);
    };
  }

  private static float[] searched(float base, int dims, List<Double> factors) {
    float[] frequencies = new float[dims / 2];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = 1f / (factors.get(i).floatValue() * wavelengthFactor(base, i, dims));
    }
    return frequencies;
  }

  private static float[] plain(float base, int headDim) {
    float[] frequencies = new float[headDim / 2];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = 1f / wavelengthFactor(base, i, headDim);
    }
    return frequencies;
  }

  private static float wavelengthFactor(float base, int pair, int headDim) {
    float exponent = (float) (2 * pair) / headDim;
    return (float) Math.pow(base, exponent);
  }

  private float[] divided(float[] frequencies) {
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] /= (float) factor;
    }
    return frequencies;
  }

  private float dynamicBase(
      double theta, int headDim, int maxPositionEmbeddings, int sequenceLength) {
    double exponent = (double) headDim / (headDim - 2);
    if (alpha > 0) {
      return (float) (theta * Math.pow(alpha, exponent));
    }
    if (sequenceLength <= maxPositionEmbeddings) {
      return (float) (theta * Math.pow(factor - (factor - 1), exponent));
    }
    float stretch = (float) factor * sequenceLength / maxPositionEmbeddings - (float) (factor - 1);
    return (float) theta * (float) Math.pow(stretch, exponent);
  }

  private float[] smoothed(float[] frequencies) {
    float longest = (float) (originalMaxPositionEmbeddings / lowFreqFactor);
    float shortest = (float) (originalMaxPositionEmbeddings / highFreqFactor);
    for (int i = 0; i < frequencies.length; i++) {
      float frequency = frequencies[i];
      float wavelength = (1f / frequency) * (float) (2 * Math.PI);
      if (wavelength > longest) {
        frequencies[i] = frequency / (float) factor;
      } else if (!(wavelength < shortest)) {
        float smooth =
            ((1f / wavelength) * originalMaxPositionEmbeddings - (float) lowFreqFactor)
                / (float) (highFreqFactor - lowFreqFactor);
        frequencies[i] = (1f - smooth) * frequency / (float) factor + smooth * frequency;
      }
    }
    return frequencies;
  }

  private float[] byParts(double theta, int headDim) {
    double low = dimensionOfRotations(betaFast, theta, headDim);
    double high = dimensionOfRotations(betaSlow, theta, headDim);
    if (truncate) {
      low = Math.floor(low);
      high = Math.ceil(high);
    }
    low = Math.max(low, 0);
    high = Math.min(high, headDim - 1);
    if (low == high) {
      high += 0.001;
    }
    float[] frequencies = new float[headDim / 2];
    for (int i = 0; i < frequencies.length; i++) {
      float wavelength = wavelengthFactor((float) theta, i, headDim);
      float extrapolated = 1f / wavelength;
      float interpolated = 1f / ((float) factor * wavelength);
      float ramp = Math.min(Math.max((i - (float) low) / (float) (high - low), 0f), 1f);
      float kept = 1f - ramp;
      frequencies[i] = interpolated * (1f - kept) + extrapolated * kept;
    }
    return frequencies;
  }

  /** Returns the dimension that makes so many rotations within the pretraining length. */
  private double dimensionOfRotations(double rotations, double theta, int headDim) {
    return headDim
        * Math.log(originalMaxPositionEmbeddings / (rotations * 2 * Math.PI))
        / (2 * Math.log(theta));
  }
}
