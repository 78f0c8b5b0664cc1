package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Mlp;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;

/** Qwen 1.5 and 2 with experts (Alibaba 2024): one of them serves every token. */
final class Qwen2Moe implements Family {
  @Override
  public Profile profile() {
    return Qwen3Moe.profile("Qwen2MoeForCausalLM")
        .or("intermediate_size", 5632)
        .or("num_attention_heads", 16)
        .or("num_key_value_heads", 16)
        .or("num_experts", 60)
        .or("num_experts_per_tok", 4)
        .or("moe_intermediate_size", 1408)
        .or("shared_expert_intermediate_size", 5632)
        .or("sliding_window", 0);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    boolean bias = config.flag("qkv_bias", true);
    Blueprint model = Blueprint.rms("qwen2_moe", config).rotary();
    boolean[] experts = Qwen3Moe.layersWithExperts(model);
    int[] windows = Windows.everySecondIfUsed(model);
    return model
        .layers(
            i ->
                model.llamaLayer(
                    i,
                    model
                        .attention(Blueprint.layer(i) + ".self_attn", bias, false)
                        .window(windows[i]),
                    mlp(model, i, experts[i])))
        .build();
  }

  private static Mlp mlp(Blueprint model, int i, boolean hasExperts) {
    String name = Blueprint.layer(i) + ".mlp";
    if (!hasExperts) {
      return model.gated(name, model.intermediate, false);
    }
    int width = model.config.size("moe_intermediate_size");
    int shared = model.config.size("shared_expert_intermediate_size");
    return model.experts(
        name + ".gate",
        j -> model.gated(name + ".experts." + j, width, false),
        model.config.flag("norm_topk_prob", false),
        model.gated(name + ".shared_expert", shared, false),
        Weight.of(name + ".shared_expert_gate.weight", 1, model.hidden));
  }
}
