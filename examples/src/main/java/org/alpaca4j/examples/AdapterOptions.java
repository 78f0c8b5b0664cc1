package org.alpaca4j.examples;

import java.util.List;
import java.util.Optional;
import org.alpaca4j.core.LoraConfig;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What of a model is trained; the names are those of LLaMA-Factory. */
final class AdapterOptions {
  private enum Type {
    FULL,
    LORA
  }

  @Option(
      names = "--finetuning_type",
      paramLabel = "full|lora",
      description = "all weights, or a low-rank adapter that is saved alone (default: full)")
  private Type type = Type.FULL;

  @Option(names = "--lora_rank", paramLabel = "N", description = "rank of the adapter (default: 8)")
  private @Nullable Integer rank;

  @Option(
      names = "--lora_alpha",
      paramLabel = "X",
      description = "its scale is this / rank (default: twice the rank)")
  private @Nullable Double alpha;

  @Option(
      names = "--lora_dropout",
      paramLabel = "R",
      description = "share of its input that is left out at random (default: 0)")
  private @Nullable Double dropout;

  @Option(
      names = "--lora_target",
      split = ",",
      paramLabel = "NAME",
      description = "modules, such as q_proj,v_proj, or all (default: all)")
  private @Nullable List<String> target;

  /** Returns the adapter to train; empty: all weights are trained. */
  Optional<LoraConfig> adapter() {
    if (type == Type.FULL) {
      if (rank != null || alpha != null || dropout != null || target != null) {
        throw ExampleCommand.refusal(
            "--lora_rank, --lora_alpha, --lora_dropout and --lora_target need"
                + " --finetuning_type lora; add it, or leave them out");
      }
      return Optional.empty();
    }
    try {
      LoraConfig.Builder config = LoraConfig.builder().r(rank != null ? rank : 8);
      config.alpha(alpha != null ? alpha : 2.0 * (rank != null ? rank : 8));
      if (dropout != null) {
        config.dropout(dropout);
      }
      if (target != null && !target.equals(List.of("all"))) {
        config.targetModules(target);
      }
      return Optional.of(config.build());
    } catch (IllegalArgumentException ex) {
      throw ExampleCommand.refusal("--finetuning_type lora: " + ex.getMessage());
    }
  }
}
