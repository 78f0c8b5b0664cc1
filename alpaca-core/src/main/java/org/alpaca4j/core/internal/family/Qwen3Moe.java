package org.alpaca4j.core.internal.family;

import java.util.HashSet;
import java.util.Set;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Mlp;

/** Qwen 3 with experts (Alibaba 2025). */
final class Qwen3Moe implements Family {
  @Override
  public Profile profile() {
    return profile("Qwen3MoeForCausalLM")
        .or("intermediate_size", 6144)
        .or("num_attention_heads", 32)
        .or("num_key_value_heads", 4)
        .or("num_experts", 128)
        .or("num_experts_per_tok", 8)
        .or("moe_intermediate_size", 768)
        .named("num_experts", "num_local_experts", "num_experts");
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    boolean bias = config.flag("attention_bias", false);
    Blueprint model = Blueprint.rms("qwen3_moe", config).rotary();
    boolean[] experts = layersWithExperts(model);
    int[] windows =
        config.flag("use_sliding_window", false)
            ? Windows.onEveryLayer(model)
            : new int[model.layers];
    return model
        .layers(
            i ->
                model.llamaLayer(
                    i,
                    Qwen3.attention(model, i, bias).window(windows[i]),
                    mlp(model, i, experts[i])))
        .build();
  }

  /** Starts the profile of a Qwen with experts. */
  static Profile profile(String architecture) {
    return Qwen2.profile(architecture)
        .or("hidden_size", 2048)
        .or("num_hidden_layers", 24)
        .or("router_aux_loss_coef", 0.001);
  }

  private static Mlp mlp(Blueprint model, int i, boolean hasExperts) {
    String name = Blueprint.layer(i) + ".mlp";
    if (!hasExperts) {
      return model.gated(name, model.intermediate, false);
    }
    int width = model.config.size("moe_intermediate_size");
    return model.experts(
        name + ".gate",
        j -> model.gated(name + ".experts." + j, width, false),
        model.config.flag("norm_topk_prob", false),
        null,
        null);
  }

  /** Returns which layers have experts: each so-manieth that is not listed as dense. */
  static boolean[] layersWithExperts(Blueprint model) {
    int step = model.config.size("decoder_sparse_step", 1);
    Set<Integer> dense = new HashSet<>(model.config.integers("mlp_only_layers"));
    boolean[] experts = new boolean[model.layers];
    for (int i = 0; i < experts.length; i++) {
      experts[i] = (i + 1) % step == 0 && !dense.contains(i);
    }
    return experts;
  }
}
