package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;

/** GLM-4-9B as transformers has it (Zhipu 2024). */
final class Glm implements Family {
  @Override
  public Profile profile() {
    return profile("GlmForCausalLM");
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.rms("glm", config).interleavedRotary();
    return model.layers(i -> model.llamaLayer(i, attention(model, i), mlp(model, i))).build();
  }

  /** Starts the profile of a GLM. */
  static Profile profile(String architecture) {
    return Llama.profile(architecture)
        .or("vocab_size", 151552)
        .or("intermediate_size", 13696)
        .or("num_hidden_layers", 40)
        .or("num_key_value_heads", 2)
        .or("head_dim", 128)
        .or("max_position_embeddings", 131072)
        .or("rms_norm_eps", 1.5625e-7)
        .or("partial_rotary_factor", 0.5)
        .or("attention_bias", true)
        .or("pad_token_id", 151329)
        .orIfNull("eos_token_id", new int[] {151329, 151336, 151338});
  }

  static AttentionBuilder attention(Blueprint model, int i) {
    boolean bias = model.config.flag("attention_bias", true);
    return model.attention(Blueprint.layer(i) + ".self_attn", bias, false);
  }

  static Dense mlp(Blueprint model, int i) {
    String name = Blueprint.layer(i) + ".mlp";
    return model.fusedGated(name + ".gate_up_proj", name + ".down_proj", model.intermediate, false);
  }
}
