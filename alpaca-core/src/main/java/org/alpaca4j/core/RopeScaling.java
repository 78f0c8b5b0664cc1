package org.alpaca4j.core;

import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * How a model stretches its rotary position embedding beyond the length it was pretrained on, and
 * the frequencies that follow. Immutable. The formulas are those of transformers 5 ({@code
 * modeling_rope_utils.py}), in its single precision, operation by operation.
 *
 * @param type the method
 * @param factor by how much the context is stretched; 1 for {@link Type#DEFAULT}
 * @param originalMaxPositionEmbeddings the pretraining length in tokens ({@link Type#LLAMA3},
 *     {@link Type#YARN}); 0 for other types
 * @param attentionFactor YaRN: what cosines and sines are multiplied by; null infers it from the
 *     factor and {@code mscale}
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
    double highFreqFactor) {

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
    YARN;

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
    if (type == Type.LLAMA3 || type == Type.YARN) {
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
  }

  private static void require(boolean ok, String field, Number value, String must) {
    if (!ok) {
      throw new IllegalArgumentException(field + " is " + value + ", but must be " + must);
    }
  }

  private static RopeScaling simple(Type type, double factor) {
    return new RopeScaling(type, factor, 0, null, 32, 1, null, null, true, 0, 0);
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
        highFreqFactor);
  }

  /**
   * Returns {@link Type#YARN} scaling with the defaults of the paper.
   *
   * @param factor by how much the context is stretched
   * @param originalMaxPositionEmbeddings the pretraining length in tokens
   */
  public static RopeScaling yarn(double factor, int originalMaxPositionEmbeddings) {
    return new RopeScaling(
        Type.YARN, factor, originalMaxPositionEmbeddings, null, 32, 1, null, null, true, 0, 0);
  }

  /**
   * Returns the angle per position of each pair of dimensions, {@code [headDim / 2]}.
   *
   * @param config gives {@code ropeTheta}, {@code headDim} and {@code maxPositionEmbeddings}
   * @param sequenceLength the positions in use, highest + 1; only {@link Type#DYNAMIC} depends on
   *     it, and only beyond {@code maxPositionEmbeddings}
   */
  public float[] inverseFrequencies(ModelConfig config, int sequenceLength) {
    return inverseFrequencies(
        config.ropeTheta(), config.headDim(), config.maxPositionEmbeddings(), sequenceLength);
  }

  /**
   * Returns the number that cosines and sines are multiplied by: 1 unless {@link Type#YARN}, which
   * so makes attention sharper.
   */
  public double attentionScaling() {
    if (type != Type.YARN) {
      return 1.0;
    }
    if (attentionFactor != null) {
      return attentionFactor;
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

  float[] inverseFrequencies(
      double theta, int headDim, int maxPositionEmbeddings, int sequenceLength) {
    return switch (type) {
      case DEFAULT -> plain((float) theta, headDim);
      case LINEAR -> divided(plain((float) theta, headDim));
      case DYNAMIC ->
          plain(dynamicBase(theta, headDim, maxPositionEmbeddings, sequenceLength), headDim);
      case LLAMA3 -> smoothed(plain((float) theta, headDim));
      case YARN -> byParts(theta, headDim);
    };
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

  /** Returns the names of the supported methods, for messages. */
  static String supported() {
    return Arrays.stream(Type.values()).map(Type::configName).toList().toString();
  }
}
