package org.alpaca4j.core;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Map;

/**
 * The rotary position embedding in a {@code config.json}: {@code rope_theta} and {@code
 * rope_scaling} of transformers 4, {@code rope_parameters} of transformers 5.
 */
final class RopeScalingFields {
  private final ConfigFields document;
  private final ConfigFields rope;

  RopeScalingFields(ConfigFields document) {
    this.document = document;
    this.rope = new ConfigFields(settings(document), document.source());
  }

  /** Returns the rope settings: rope_scaling where it holds something, else rope_parameters. */
  private static JsonNode settings(ConfigFields document) {
    for (String field : List.of("rope_scaling", "rope_parameters")) {
      JsonNode rope = document.get(field);
      if (rope == null) {
        continue;
      }
      if (!rope.isObject()) {
        throw document.wrong(field, rope, "a JSON object or null");
      }
      for (Map.Entry<String, JsonNode> entry : rope.properties()) {
        if (entry.getValue().isObject()) {
          throw document.unsupported(
              field, "one set for " + entry.getKey(), "one set for all layers");
        }
      }
      if (!rope.isEmpty()) {
        return rope;
      }
    }
    return JsonNodeFactory.instance.objectNode();
  }

  double theta() {
    double theta =
        rope.has("rope_theta")
            ? rope.number("rope_theta", 10_000)
            : document.number("rope_theta", 10_000);
    if (!(theta > 1) || Double.isInfinite(theta)) {
      throw document.wrong("rope_theta", theta, "a number above 1");
    }
    for (ConfigFields place : List.of(rope, document)) {
      double share = place.number("partial_rotary_factor", 1.0);
      if (share != 1.0) {
        throw document.unsupported("partial_rotary_factor", share, "1");
      }
    }
    return theta;
  }

  RopeScaling scaling(int maxPositions) {
    JsonNode name = rope.get("rope_type");
    if (name == null) {
      name = rope.get("type");
    }
    RopeScaling.Type type = null;
    for (RopeScaling.Type candidate : RopeScaling.Type.values()) {
      if (name == null || candidate.configName().equals(name.asText())) {
        type = candidate;
        break;
      }
    }
    if (type == null) {
      throw document.unsupported("rope_type", name, RopeScaling.supported());
    }
    if (type == RopeScaling.Type.DEFAULT) {
      return RopeScaling.DEFAULT;
    }
    boolean needsOriginal = type == RopeScaling.Type.LLAMA3 || type == RopeScaling.Type.YARN;
    int original = needsOriginal ? originalLength(maxPositions) : 0;
    Double given = rope.optionalNumber("factor");
    if (given == null && type != RopeScaling.Type.YARN) {
      throw new CheckpointException(
          document.source() + ": rope type " + type.configName() + " needs the field factor");
    }
    double factor = given == null ? (double) maxPositions / original : given;
    try {
      return switch (type) {
        case LLAMA3 ->
            RopeScaling.llama3(
                factor, required("low_freq_factor"), required("high_freq_factor"), original);
        case YARN ->
            new RopeScaling(
                type,
                factor,
                original,
                rope.optionalNumber("attention_factor"),
                zeroMeans(rope.number("beta_fast", 32), 32),
                zeroMeans(rope.number("beta_slow", 1), 1),
                rope.optionalNumber("mscale"),
                rope.optionalNumber("mscale_all_dim"),
                rope.flag("truncate", true),
                0,
                0);
        case LINEAR -> RopeScaling.linear(factor);
        default -> RopeScaling.dynamic(factor);
      };
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(document.source() + ": " + e.getMessage(), e);
    }
  }

  private static double zeroMeans(double value, double fallback) {
    return value == 0 ? fallback : value;
  }

  /** A field beside the rope settings comes before one among them, as in transformers. */
  private int originalLength(int maxPositions) {
    String field = "original_max_position_embeddings";
    return document.get(field) != null
        ? document.size(field, maxPositions)
        : rope.size(field, maxPositions);
  }

  private double required(String field) {
    Double value = rope.optionalNumber(field);
    if (value == null) {
      throw new CheckpointException(
          document.source() + ": rope type llama3 needs the field " + field);
    }
    return value;
  }

  /** Writes a scaling into an object of its own. */
  static void write(RopeScaling scaling, ObjectNode rope) {
    rope.put("rope_type", scaling.type().configName());
    if (scaling.type() == RopeScaling.Type.DEFAULT) {
      return;
    }
    rope.put("factor", scaling.factor());
    if (scaling.originalMaxPositionEmbeddings() > 0) {
      rope.put("original_max_position_embeddings", scaling.originalMaxPositionEmbeddings());
    }
    if (scaling.type() == RopeScaling.Type.LLAMA3) {
      rope.put("low_freq_factor", scaling.lowFreqFactor());
      rope.put("high_freq_factor", scaling.highFreqFactor());
    }
    if (scaling.type() == RopeScaling.Type.YARN) {
      rope.put("beta_fast", scaling.betaFast());
      rope.put("beta_slow", scaling.betaSlow());
      if (scaling.attentionFactor() != null) {
        rope.put("attention_factor", scaling.attentionFactor());
      }
      if (scaling.mscale() != null) {
        rope.put("mscale", scaling.mscale());
      }
      if (scaling.mscaleAllDim() != null) {
        rope.put("mscale_all_dim", scaling.mscaleAllDim());
      }
      rope.put("truncate", scaling.truncate());
    }
  }
}
