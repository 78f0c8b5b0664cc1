package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;

/** Qwen, the first generation (Alibaba 2023); alike up to {@code seq_length} tokens. */
final class Qwen1 implements Family {
  @Override
  public Profile profile() {
    return Profile.of("QWenLMHeadModel")
        .named("rms_norm_eps", "layer_norm_epsilon")
        .named("head_dim", "kv_channels")
        .named("max_position_embeddings", "seq_length", "max_position_embeddings")
        .named("rope_theta", "rotary_emb_base")
        .named("partial_rotary_factor", "rotary_pct")
        .or("vocab_size", 151936)
        .or("hidden_size", 4096)
        .or("intermediate_size", 22016)
        .or("num_hidden_layers", 32)
        .or("num_attention_heads", 32)
        .or("head_dim", 128)
        .or("partial_rotary_factor", 1.0)
        .or("max_position_embeddings", 8192)
        .or("rms_norm_eps", 1e-6)
        .ignore("transformer\\.(h\\.\\d+\\.attn\\.)?rotary_emb\\.inv_freq")
        .ignore("transformer\\.h\\.\\d+\\.attn\\.(logn_tensor|masked_bias|bias)")
        .base("transformer.");
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.rms("qwen", config).rotary();
    if (model.intermediate % 2 != 0) {
      throw config.wrong("intermediate_size", model.intermediate, "even: twice the MLP's width");
    }
    return model
        .embedding("transformer.wte")
        .layers(i -> layer(model, "transformer.h." + i, !config.flag("no_bias", true)))
        .finalNorm(model.norm("transformer.ln_f", model.hidden))
        .build();
  }

  private static Layer layer(Blueprint model, String name, boolean bias) {
    String mlp = name + ".mlp";
    return Blueprint.preNorm(
        model.attention(
            model.linear(name + ".attn.c_attn", 3 * model.queryRows(), model.hidden, true),
            model.linear(name + ".attn.c_proj", model.hidden, model.queryRows(), bias)),
        model.norm(name + ".ln_1", model.hidden),
        model.gated(mlp + ".w2", mlp + ".w1", mlp + ".c_proj", model.intermediate / 2, bias),
        model.norm(name + ".ln_2", model.hidden));
  }
}
