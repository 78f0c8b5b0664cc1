package org.alpaca4j.core.internal.family;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.jspecify.annotations.Nullable;

/**
 * The rotary position embedding in a {@code config.json}: {@code rope_theta} and {@code
 * rope_scaling} of transformers 4, {@code rope_parameters} of transformers 5, which may hold a set
 * of its own for each type of layers.
 */
public final class RotaryFields {
  private static final List<String> PLACES = List.of("rope_scaling", "rope_parameters");

  private final ConfigFields document;
  private final ConfigFields rope;
  private final boolean alpha;

  private RotaryFields(ConfigFields document, JsonNode rope, boolean alpha) {
    this.document = document;
    this.rope = new ConfigFields(rope, document.source(), Profile.NONE);
    this.alpha = alpha;
  }

  /** Reads the settings of a family whose layers all have the same. */
  static RotaryFields of(ConfigFields document) {
    JsonNode rope = settings(document);
    for (Map.Entry<String, JsonNode> entry : rope.properties()) {
      if (entry.getValue().isObject()) {
        String place = document.has("rope_scaling") ? PLACES.get(0) : PLACES.get(1);
        throw document.unsupported(
            place, "one set for " + entry.getKey(), "one set for all layers");
      }
    }
    return new RotaryFields(document, rope, false);
  }

  /** Returns these settings of a family where {@code alpha} fixes the base of dynamic scaling. */
  RotaryFields withAlpha() {
    return new RotaryFields(document, rope.node(), true);
  }

  /** Reads the settings of a type of layers, or null where there is one set for all types. */
  static @Nullable RotaryFields ofLayers(ConfigFields document, String type) {
    JsonNode own = settings(document).get(type);
    return own != null && own.isObject() ? new RotaryFields(document, own, false) : null;
  }

  /** Returns the rope settings: rope_scaling where it holds something, else rope_parameters. */
  private static JsonNode settings(ConfigFields document) {
    for (String field : PLACES) {
      JsonNode rope = document.get(field);
      if (rope == null) {
        continue;
      }
      if (!rope.isObject()) {
        throw document.wrong(field, rope, "a JSON object or null");
      }
      if (!rope.isEmpty()) {
        return rope;
      }
    }
    return JsonNodeFactory.instance.objectNode();
  }

  /** Returns the embedding of heads of a width, all or the first share of which turns. */
  Rotary rotary(int headDim, int maxPositions, boolean interleaved) {
    double share = number("partial_rotary_factor", 1.0);
    if (share != 1 && document.profile().defaultOf("partial_rotary_factor") == null) {
      throw document.unsupported("partial_rotary_factor", share, "1");
    }
    if (!(share > 0 && share <= 1)) {
      throw document.wrong("partial_rotary_factor", share, "above 0 and at most 1");
    }
    int dims = (int) (headDim * share);
    if (dims % 2 != 0 || dims == 0) {
      throw document.wrong(
          "head_dim", headDim, "such that an even number turns, as rotary positions turn pairs");
    }
    return new Rotary(0, dims, interleaved, theta(), scaling(maxPositions, dims), false, false);
  }

  private double theta() {
    double theta = number("rope_theta", 10_000);
    if (!(theta > 1) || Double.isInfinite(theta)) {
      throw document.wrong("rope_theta", theta, "a number above 1");
    }
    return theta;
  }

  /** A field among the rope settings comes before one beside them. */
  private double number(String field, double fallback) {
    Double among = rope.optionalNumber(field);
    return among != null ? among : document.number(field, fallback);
  }

  private RopeScaling scaling(int maxPositions, int dims) {
    RopeScaling.Type type = type();
    if (type == RopeScaling.Type.DEFAULT) {
      return RopeScaling.DEFAULT;
    }
    try {
      return switch (type) {
        case LLAMA3 ->
            RopeScaling.llama3(
                required("factor", type),
                required("low_freq_factor", type),
                required("high_freq_factor", type),
                originalLength(maxPositions));
        case YARN ->
            RopeScaling.yarn(
                stretch(maxPositions),
                originalLength(maxPositions),
                rope.optionalNumber("attention_factor"),
                zeroMeans(rope.number("beta_fast", 32), 32),
                zeroMeans(rope.number("beta_slow", 1), 1),
                rope.optionalNumber("mscale"),
                rope.optionalNumber("mscale_all_dim"),
                rope.flag("truncate", true));
        case LONGROPE ->
            RopeScaling.longrope(
                stretch(maxPositions),
                originalLength(maxPositions),
                rope.optionalNumber("attention_factor"),
                factors("short_factor", dims / 2),
                factors("long_factor", dims / 2));
        case DYNAMIC ->
            alpha && rope.number("alpha", 0) > 0
                ? RopeScaling.alpha(rope.number("alpha", 0))
                : RopeScaling.dynamic(required("factor", type));
        default -> RopeScaling.linear(required("factor", type));
      };
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(document.source() + ": " + e.getMessage(), e);
    }
  }

  private RopeScaling.Type type() {
    JsonNode name = rope.get("rope_type");
    if (name == null) {
      name = rope.get("type");
    }
    if (name == null) {
      return RopeScaling.Type.DEFAULT;
    }
    // Phi-3's first uploads call it so.
    if (name.asText().equals("su") || rope.has("short_factor")) {
      return RopeScaling.Type.LONGROPE;
    }
    RopeScaling.Type[] types = RopeScaling.Type.values();
    for (RopeScaling.Type candidate : types) {
      if (candidate.configName().equals(name.asText())) {
        return candidate;
      }
    }
    String supported = Arrays.stream(types).map(RopeScaling.Type::configName).toList().toString();
    throw document.unsupported("rope_type", name, supported);
  }

  private static double zeroMeans(double value, double fallback) {
    return value == 0 ? fallback : value;
  }

  /** Returns the factor, or else by how much the context is longer than the original. */
  private double stretch(int maxPositions) {
    Double factor = rope.optionalNumber("factor");
    return factor == null ? (double) maxPositions / originalLength(maxPositions) : factor;
  }

  /** A field beside the rope settings comes before one among them, as in transformers. */
  private int originalLength(int maxPositions) {
    String field = "original_max_position_embeddings";
    int among = rope.size(field, maxPositions);
    return document.size(field, among);
  }

  private double required(String field, RopeScaling.Type type) {
    Double value = rope.optionalNumber(field);
    if (value == null) {
      throw new CheckpointException(
          document.source() + ": rope type " + type.configName() + " needs the field " + field);
    }
    return value;
  }

  private List<Double> factors(String field, int count) {
    JsonNode value = rope.get(field);
    if (value == null || !value.isArray() || value.size() != count) {
      throw document.wrong(
          field,
          value == null ? "missing" : value.isArray() ? "a list of " + value.size() : value,
          "a list of " + count + " numbers, one for each pair of dimensions that turns");
    }
    List<Double> factors = new ArrayList<>(count);
    for (JsonNode factor : value) {
      if (!factor.isNumber()) {
        throw document.wrong(field, factor, "a list of numbers");
      }
      factors.add(factor.doubleValue());
    }
    return factors;
  }

  /** Writes a scaling into an object of its own. */
  public static void write(RopeScaling scaling, ObjectNode rope) {
    rope.put("rope_type", scaling.type().configName());
    if (scaling.type() == RopeScaling.Type.DEFAULT) {
      return;
    }
    rope.put("factor", scaling.factor());
    if (scaling.alpha() > 0) {
      rope.put("alpha", scaling.alpha());
    }
    if (scaling.originalMaxPositionEmbeddings() > 0) {
      rope.put("original_max_position_embeddings", scaling.originalMaxPositionEmbeddings());
    }
    if (scaling.attentionFactor() != null) {
      rope.put("attention_factor", scaling.attentionFactor());
    }
    if (scaling.type() == RopeScaling.Type.LLAMA3) {
      rope.put("low_freq_factor", scaling.lowFreqFactor());
      rope.put("high_freq_factor", scaling.highFreqFactor());
    }
    if (scaling.type() == RopeScaling.Type.YARN) {
      rope.put("beta_fast", scaling.betaFast());
      rope.put("beta_slow", scaling.betaSlow());
      if (scaling.mscale() != null) {
        rope.put("mscale", scaling.mscale());
      }
      if (scaling.mscaleAllDim() != null) {
        rope.put("mscale_all_dim", scaling.mscaleAllDim());
      }
      rope.put("truncate", scaling.truncate());
    }
    if (scaling.type() == RopeScaling.Type.LONGROPE) {
      scaling.shortFactors().forEach(rope.withArray("short_factor")::add);
      scaling.longFactors().forEach(rope.withArray("long_factor")::add);
    }
  }
}
