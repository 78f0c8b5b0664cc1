package org.alpaca4j.weights.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Rotary embeddings in a GGUF file: metadata, and for Llama 3's and LongRoPE's stretching tensors
 * of their own, by which llama.cpp divides the frequencies.
 */
final class GgufRope {
  private static final Logger LOG = LoggerFactory.getLogger(GgufRope.class);
  private static final String SCALING = "rope.scaling.";
  private static final String FREQS = "rope_freqs.weight";
  private static final String SHORT = "rope_factors_short.weight";
  private static final String LONG = "rope_factors_long.weight";

  /** The names of tensors that no checkpoint has. */
  static final Set<String> TENSORS = Set.of(FREQS, SHORT, LONG);

  private static final int ORIGINAL = 8192; // Llama 3's, where a file names none
  private static final double TOLERANCE = 1e-6;

  private GgufRope() {}

  /**
   * Writes the metadata.
   *
   * @throws UnsupportedModelException if llama.cpp does not stretch so
   */
  static void write(GgufArchitecture architecture, DecoderDescription model, GgufKeys keys) {
    if (model.rotaries().isEmpty()) {
      return;
    }
    Rotary rotary = model.rotaries().get(0);
    RopeScaling scaling = rotary.scaling();
    double theta = rotary.theta();
    if (scaling.alpha() > 0) {
      // Such an alpha means another base, whatever the length.
      theta *= Math.pow(scaling.alpha(), rotary.dims() / (rotary.dims() - 2.0));
    }
    keys.number("rope.freq_base", theta);
    keys.size("rope.dimension_count", rotary.dims());
    if (!architecture.turnsParts()
        && rotary.dims() != model.layers().get(0).attention().headDim()) {
      throw unsupported(architecture, "a partial_rotary_factor below 1");
    }
    boolean several = model.rotaries().size() > 1;
    if (several && !model.rotaries().get(1).scaling().equals(RopeScaling.DEFAULT)) {
      throw architecture.refusal("stretched local rotary embeddings, which llama.cpp does not do");
    }
    String unsupported = "rope type " + scaling.type().configName();
    switch (scaling.type()) {
      case DEFAULT -> {}
      case LINEAR -> {
        keys.text(SCALING + "type", "linear");
        keys.number(SCALING + "factor", scaling.factor());
      }
      case LLAMA3 -> {
        if (!architecture.readsRopeFactors() || architecture == GgufArchitecture.PHI3) {
          throw unsupported(architecture, unsupported);
        }
        if (!Llama3Frequencies.areUsual(scaling)) {
          LOG.warn(
              "GGUF has no place for low_freq_factor and high_freq_factor: an import of the"
                  + " exported file will not find {} and {} again",
              scaling.lowFreqFactor(),
              scaling.highFreqFactor());
        }
        keys.size(SCALING + "original_context_length", scaling.originalMaxPositionEmbeddings());
      }
      case YARN -> {
        if (!scaling.truncate() || several) {
          throw unsupported(
              architecture, unsupported + (several ? " on some layers" : " with truncate false"));
        }
        writeYarn(scaling, keys);
      }
      case LONGROPE -> {
        if (!architecture.readsRopeFactors()) {
          throw unsupported(architecture, unsupported);
        }
        // No factor: llama.cpp would divide positions by it, too.
        keys.text(SCALING + "type", "longrope");
        keys.size(SCALING + "original_context_length", scaling.originalMaxPositionEmbeddings());
        keys.number(SCALING + "attn_factor", scaling.attentionScaling());
      }
      case DYNAMIC -> {
        if (scaling.dependsOnLength()) {
          throw unsupported(architecture, unsupported);
        }
      }
    }
  }

  private static UnsupportedModelException unsupported(GgufArchitecture architecture, String what) {
    return architecture.refusal(
        what
            + ", which llama.cpp does not compute for it. Export a model without, or keep the folder");
  }

  private static void writeYarn(RopeScaling scaling, GgufKeys keys) {
    keys.text(SCALING + "type", "yarn");
    keys.number(SCALING + "factor", scaling.factor());
    keys.size(SCALING + "original_context_length", scaling.originalMaxPositionEmbeddings());
    double attention = scaling.attentionScaling() / yarnAttention(scaling.factor());
    if (attention != 1) {
      keys.number(SCALING + "attn_factor", attention);
    }
    if (scaling.betaFast() != 32 || scaling.betaSlow() != 1) {
      keys.number(SCALING + "yarn_beta_fast", scaling.betaFast());
      keys.number(SCALING + "yarn_beta_slow", scaling.betaSlow());
    }
  }

  /** What llama.cpp multiplies cosines and sines by; attn_factor comes on top. */
  private static double yarnAttention(double factor) {
    return factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1;
  }

  /** Returns the tensors that a file has besides the model's. */
  static Map<String, float[]> tensors(ModelConfig config) {
    Map<String, float[]> tensors = new LinkedHashMap<>();
    List<Rotary> rotaries = Internals.description(config).rotaries();
    if (rotaries.isEmpty()) {
      return tensors;
    }
    Rotary rotary = rotaries.get(0);
    RopeScaling scaling = rotary.scaling();
    if (scaling.type() == RopeScaling.Type.LLAMA3) {
      tensors.put(FREQS, Llama3Frequencies.divisors(scaling, rotary.theta(), rotary.dims()));
    } else if (scaling.type() == RopeScaling.Type.LONGROPE) {
      tensors.put(LONG, floats(scaling.longFactors()));
      tensors.put(SHORT, floats(scaling.shortFactors()));
    }
    return tensors;
  }

  private static float[] floats(List<Double> numbers) {
    float[] floats = new float[numbers.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = numbers.get(i).floatValue();
    }
    return floats;
  }

  /**
   * Reads how the embedding is stretched.
   *
   * @param rotary it, as the rest of the metadata describes it
   * @throws UnsupportedModelException if this library does not stretch so
   */
  static RopeScaling read(GgufFile file, GgufReading in, Rotary rotary) {
    String type = in.text(SCALING + "type", "none");
    if (in.has(LONG)) {
      type = "longrope";
    }
    try {
      if (in.has(FREQS) && (type.equals("none") || type.equals("linear"))) {
        float[] divisors = floats(file, in.tensor(FREQS), rotary);
        int original = in.count(SCALING + "original_context_length", ORIGINAL);
        return Llama3Frequencies.scaling(file, divisors, rotary, original);
      }
      double factor = in.number(SCALING + "factor", in.number("rope.scale_linear", 1));
      return switch (type) {
        case "none" -> RopeScaling.DEFAULT;
        case "linear" -> factor == 1 ? RopeScaling.DEFAULT : RopeScaling.linear(factor);
        case "yarn" -> yarn(in, factor);
        case "longrope" -> longrope(file, in, rotary);
        default ->
            throw new UnsupportedModelException(
                file.file()
                    + ": rope scaling "
                    + type
                    + " is not supported; supported: none,"
                    + " linear, yarn, longrope, llama3");
      };
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(file.file() + ": " + in.full(SCALING) + e.getMessage(), e);
    }
  }

  private static RopeScaling yarn(GgufReading in, double factor) {
    Double attention = null;
    if (in.hasKey(SCALING + "attn_factor")) {
      attention = in.number(SCALING + "attn_factor", 1) * yarnAttention(factor);
    } else if (in.hasKey(SCALING + "yarn_attn_factor")) {
      attention = in.number(SCALING + "yarn_attn_factor", 1);
    }
    return RopeScaling.yarn(
        factor,
        in.count(SCALING + "original_context_length", in.size("context_length")),
        attention,
        in.number(SCALING + "yarn_beta_fast", 32),
        in.number(SCALING + "yarn_beta_slow", 1),
        null,
        null,
        true);
  }

  private static RopeScaling longrope(GgufFile file, GgufReading in, Rotary rotary) {
    int context = in.size("context_length");
    int original = in.count(SCALING + "original_context_length", context);
    List<Double> shorter = doubles(floats(file, in.tensor(SHORT), rotary));
    List<Double> longer = doubles(floats(file, in.tensor(LONG), rotary));
    double factor = (double) context / original;
    RopeScaling usual = RopeScaling.longrope(factor, original, null, shorter, longer);
    double attention = in.number(SCALING + "attn_factor", 1);
    boolean same = Math.abs(attention - usual.attentionScaling()) <= TOLERANCE * attention;
    return same ? usual : RopeScaling.longrope(factor, original, attention, shorter, longer);
  }

  private static List<Double> doubles(float[] numbers) {
    List<Double> doubles = new ArrayList<>();
    for (float number : numbers) {
      doubles.add(GgufReading.shortest(number));
    }
    return doubles;
  }

  private static float[] floats(GgufFile file, GgufTensor tensor, Rotary rotary) {
    if (tensor.type() != GgufType.F32 || tensor.elements() != rotary.dims() / 2) {
      throw new CheckpointException(
          file.file()
              + ": "
              + tensor.name()
              + " is "
              + tensor.type()
              + tensor.shape()
              + ", but must be one F32 for each of "
              + rotary.dims() / 2
              + " pairs of a head's dimensions");
    }
    ByteBuffer bytes =
        ByteBuffer.allocate((int) tensor.byteLength()).order(ByteOrder.LITTLE_ENDIAN);
    try {
      file.read(tensor, 0, bytes);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + tensor.name() + " of " + file.file(), e);
    }
    float[] numbers = new float[(int) tensor.elements()];
    bytes.flip().asFloatBuffer().get(numbers);
    return numbers;
  }
}
