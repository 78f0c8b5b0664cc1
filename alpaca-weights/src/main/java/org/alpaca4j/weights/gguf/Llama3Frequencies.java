package org.alpaca4j.weights.gguf;

import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;

/**
 * Llama 3's stretching of rotary embeddings in a GGUF file: not its parameters, but the tensor
 * {@code rope_freqs.weight}, by which llama.cpp divides the frequencies.
 */
final class Llama3Frequencies {
  private static final double LOW = 1;
  private static final double HIGH = 4;
  private static final float TOLERANCE = 1e-4f;

  private Llama3Frequencies() {}

  /** Returns whether the parameters are those that {@link #scaling} will find. */
  static boolean areUsual(RopeScaling scaling) {
    return scaling.lowFreqFactor() == LOW && scaling.highFreqFactor() == HIGH;
  }

  /**
   * Returns the divisors, one for each pair of a head's dimensions, as llama.cpp's conversion
   * computes them ({@code generate_extra_tensors}).
   */
  static float[] divisors(RopeScaling scaling, double theta, int dims) {
    float[] divisors = new float[dims / 2];
    double original = scaling.originalMaxPositionEmbeddings();
    double low = scaling.lowFreqFactor();
    double high = scaling.highFreqFactor();
    for (int i = 0; i < divisors.length; i++) {
      float frequency = 1f / (float) Math.pow(theta, (float) (2 * i) / dims);
      float wavelength = (float) (2 * Math.PI) / frequency;
      if (wavelength < (float) (original / high)) {
        divisors[i] = 1;
      } else if (wavelength > (float) (original / low)) {
        divisors[i] = (float) scaling.factor();
      } else {
        float smooth = ((float) original / wavelength - (float) low) / (float) (high - low);
        divisors[i] = 1f / ((1f - smooth) / (float) scaling.factor() + smooth);
      }
    }
    return divisors;
  }

  /**
   * Returns the parameters that divisors come from: those of all Llama 3 models, with the largest
   * divisor as factor.
   *
   * @throws UnsupportedModelException if these do not explain the divisors
   */
  static RopeScaling scaling(GgufFile file, float[] found, Rotary rotary, int original) {
    float factor = 0;
    for (float divisor : found) {
      factor = Math.max(factor, divisor);
    }
    if (factor == 1) {
      return RopeScaling.DEFAULT;
    }
    RopeScaling scaling = RopeScaling.llama3(factor, LOW, HIGH, original);
    boolean same = found.length == rotary.dims() / 2;
    float[] expected = same ? divisors(scaling, rotary.theta(), rotary.dims()) : found;
    for (int i = 0; same && i < found.length; i++) {
      same = Math.abs(expected[i] - found[i]) <= TOLERANCE * expected[i];
    }
    if (!same) {
      throw new UnsupportedModelException(
          file.file()
              + ": "
              + "rope_freqs.weight is not Llama 3's (low_freq_factor 1, high_freq_factor 4, original length "
              + original
              + "), and a config.json has no place for other divisors");
    }
    return scaling;
  }
}
