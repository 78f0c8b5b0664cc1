package org.alpaca4j.data.gorilla;

import java.util.List;

/**
 * Which arguments of a call say which API it is. The arguments named here count, given by position
 * or by name; all others are free. A function that is not named here is compared on all arguments.
 */
public enum ApiHub {
  /** {@code torch.hub.load(repo_or_dir, model)}. */
  TORCH_HUB {
    @Override
    List<String> keyArguments(String function) {
      return function.equals("torch.hub.load") ? List.of("repo_or_dir", "model") : List.of();
    }
  },

  /** {@code hub.load(handle)} and {@code hub.KerasLayer(handle)}. */
  TENSORFLOW_HUB {
    @Override
    List<String> keyArguments(String function) {
      return switch (function) {
        case "hub.load", "hub.KerasLayer", "tensorflow_hub.load", "tensorflow_hub.KerasLayer" ->
            List.of("handle");
        default -> List.of();
      };
    }
  },

  /**
   * {@code pipeline(task, model)}, and {@code from_pretrained(pretrained_model_name_or_path)} of
   * any class; the class's name counts.
   */
  HUGGING_FACE {
    @Override
    List<String> keyArguments(String function) {
      if (function.equals("pipeline") || function.equals("transformers.pipeline")) {
        return List.of("task", "model");
      }
      return function.endsWith(".from_pretrained")
          ? List.of("pretrained_model_name_or_path")
          : List.of();
    }
  };

  /** Returns the names of the arguments that count, in the order of positions; none: all count. */
  abstract List<String> keyArguments(String function);
}
