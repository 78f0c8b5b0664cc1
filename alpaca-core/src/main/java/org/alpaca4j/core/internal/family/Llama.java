package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;

/** Llama 1 to 3 (Meta 2023, 2024) and the many models that call themselves so. */
final class Llama implements Family {
  static final String ROTARY_BUFFER = ".*\\.rotary_emb\\.inv_freq";

  @Override
  public Profile profile() {
    return profile("LlamaForCausalLM")
        .or("vocab_size", 32000)
        .or("intermediate_size", 11008)
        .or("max_position_embeddings", 2048)
        .tokens(1, 2);
  }

  /** Starts the profile of a family that is spelled as Llama. */
  static Profile profile(String architecture) {
    return Profile.of(architecture)
        .or("hidden_size", 4096)
        .or("num_hidden_layers", 32)
        .or("num_attention_heads", 32)
        .or("rms_norm_eps", 1e-6)
        .ignore(ROTARY_BUFFER);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    boolean bias = config.flag("attention_bias", false);
    boolean mlpBias = config.flag("mlp_bias", false);
    Blueprint model = Blueprint.rms("llama", config).rotary();
    return model
        .layers(
            i ->
                model.llamaLayer(
                    i,
                    model.attention(Blueprint.layer(i) + ".self_attn", bias, bias),
                    model.gated(Blueprint.layer(i) + ".mlp", model.intermediate, mlpBias)))
        .build();
  }
}
