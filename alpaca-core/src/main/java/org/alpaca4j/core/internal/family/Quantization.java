package org.alpaca4j.core.internal.family;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a folder's weights are quantised: {@code quantization_config}, and {@code quantization_bit}
 * of ChatGLM. Fields that a method does not use are null.
 *
 * @param method such as {@code bitsandbytes} or {@code gptq}
 * @param bits of a weight; 0 if not said
 * @param type of four bits, such as {@code nf4}
 * @param nested whether scales are quantised, too
 * @param computeDtype what products are computed in
 * @param threshold above which bitsandbytes keeps a column of the input in 16 bits
 * @param skip modules that are not quantised
 */
public record Quantization(
    String method,
    int bits,
    @Nullable String type,
    @Nullable Boolean nested,
    @Nullable String computeDtype,
    @Nullable Double threshold,
    @Nullable List<String> skip) {

  /** Reads a configuration's, or returns null if it has none. */
  public static @Nullable Quantization of(ConfigFields config) {
    JsonNode node = config.get("quantization_config");
    if (node == null) {
      int bits = config.count("quantization_bit", 0);
      return bits == 0
          ? null
          : new Quantization("quantization_bit", bits, null, null, null, null, null);
    }
    if (!node.isObject()) {
      throw config.wrong("quantization_config", node, "a JSON object or null");
    }
    ConfigFields fields = new ConfigFields(node, config.source(), Profile.NONE);
    boolean four = fields.flag("load_in_4bit", false);
    boolean eight = fields.flag("load_in_8bit", false);
    boolean bytes = four || eight;
    String method = fields.text("quant_method", bytes ? "bitsandbytes" : "of an unknown kind");
    if (four && eight) {
      throw config.wrong("quantization_config", "4 and 8 bits at once", "one of the two");
    }
    return new Quantization(
        method,
        four ? 4 : eight ? 8 : fields.count("bits", 0),
        four ? fields.text("bnb_4bit_quant_type", "fp4") : null,
        four ? (Boolean) fields.flag("bnb_4bit_use_double_quant", false) : null,
        four ? fields.text("bnb_4bit_compute_dtype", "float32") : null,
        eight ? (Double) fields.number("llm_int8_threshold", 6.0) : null,
        skipped(fields));
  }

  private static @Nullable List<String> skipped(ConfigFields fields) {
    JsonNode modules = fields.get("llm_int8_skip_modules");
    modules = modules == null ? fields.get("modules_to_not_convert") : modules;
    if (modules == null) {
      return null;
    }
    List<String> names = new ArrayList<>();
    modules.forEach(module -> names.add(module.asText()));
    return List.copyOf(names);
  }
}
