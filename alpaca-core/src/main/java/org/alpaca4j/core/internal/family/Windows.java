package org.alpaca4j.core.internal.family;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntPredicate;

/** The sliding windows of the layers, in tokens, 0 for none: each family says them in its way. */
final class Windows {
  static final String SLIDING = "sliding_attention";
  static final String FULL = "full_attention";

  private Windows() {}

  /** Mistral's way: {@code sliding_window} is on every layer; null is none. */
  static int[] onEveryLayer(Blueprint blueprint) {
    int[] windows = new int[blueprint.layers];
    Arrays.fill(windows, window(blueprint.config));
    List<JsonNode> types = blueprint.config.perLayer("layer_types", blueprint.layers);
    for (int layer = 0; types != null && layer < windows.length; layer++) {
      String type = types.get(layer).asText();
      if (isSliding(blueprint.config, type) != windows[layer] > 0) {
        throw blueprint.config.unsupported(
            "layer_types",
            type + " for layer " + layer,
            "what sliding_window says, as transformers ignores layer_types here");
      }
    }
    return windows;
  }

  /**
   * Qwen's way: a window only with {@code use_sliding_window}, on the layers from {@code
   * max_window_layers} on, unless {@code layer_types} says which.
   */
  static int[] ifUsed(Blueprint blueprint) {
    int first = blueprint.config.count("max_window_layers", 28);
    return ifUsedWhere(blueprint, layer -> layer >= first);
  }

  /**
   * A window only with {@code use_sliding_window}, on the layers that {@code layer_types} names, or
   * else on certain ones.
   */
  static int[] ifUsedWhere(Blueprint blueprint, IntPredicate byDefault) {
    ConfigFields config = blueprint.config;
    int[] windows = new int[blueprint.layers];
    int window = config.flag("use_sliding_window", false) ? window(config) : 0;
    List<JsonNode> types = config.perLayer("layer_types", blueprint.layers);
    for (int layer = 0; layer < windows.length; layer++) {
      boolean sliding =
          types == null ? byDefault.test(layer) : isSliding(config, types.get(layer).asText());
      if (types != null && sliding && window == 0) {
        throw config.wrong(
            "layer_types",
            SLIDING,
            FULL + ", as use_sliding_window and sliding_window set no window");
      }
      windows[layer] = sliding ? window : 0;
    }
    return windows;
  }

  /**
   * Qwen2-MoE's way: as {@link #ifUsed}, but without {@code layer_types} on every second layer
   * below {@code max_window_layers}.
   */
  static int[] everySecondIfUsed(Blueprint blueprint) {
    int end = blueprint.config.count("max_window_layers", 28);
    return ifUsedWhere(blueprint, layer -> layer % 2 == 0 && layer < end);
  }

  /** Gemma's way: {@code layer_types}, or else all but every so-manieth layer. */
  static int[] alternating(Blueprint blueprint, int pattern) {
    ConfigFields config = blueprint.config;
    int[] windows = new int[blueprint.layers];
    List<JsonNode> types = config.perLayer("layer_types", blueprint.layers);
    for (int layer = 0; layer < windows.length; layer++) {
      boolean sliding =
          types == null ? (layer + 1) % pattern != 0 : isSliding(config, types.get(layer).asText());
      windows[layer] = sliding ? config.size("sliding_window") : 0;
    }
    return windows;
  }

  private static int window(ConfigFields config) {
    boolean none = config.has("sliding_window") && config.get("sliding_window") == null;
    return none ? 0 : config.count("sliding_window", 0);
  }

  private static boolean isSliding(ConfigFields config, String type) {
    if (!type.equals(SLIDING) && !type.equals(FULL)) {
      throw config.unsupported("layer_types", type, FULL + ", " + SLIDING);
    }
    return type.equals(SLIDING);
  }
}
