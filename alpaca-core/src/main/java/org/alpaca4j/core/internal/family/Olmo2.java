package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;

/** OLMo 2 (Ai2 2024): norms behind the branches alone, and over all queries and keys. */
final class Olmo2 implements Family {
  @Override
  public Profile profile() {
    return Profile.of("Olmo2ForCausalLM")
        .or("vocab_size", 50304)
        .or("hidden_size", 4096)
        .or("intermediate_size", 11008)
        .or("num_hidden_layers", 32)
        .or("num_attention_heads", 32)
        .or("max_position_embeddings", 2048)
        .or("rms_norm_eps", 1e-5)
        .or("pad_token_id", 1)
        .or("eos_token_id", 50279)
        .ignore(Llama.ROTARY_BUFFER);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.rms("olmo2", config).rotary();
    return model.layers(i -> layer(model, Blueprint.layer(i))).build();
  }

  private static Layer layer(Blueprint model, String name) {
    String attention = name + ".self_attn";
    boolean bias = model.config.flag("attention_bias", false);
    return new Layer(
        model
            .attention(attention, bias, bias)
            .headNorm(
                new HeadNorm(
                    model.norm(attention + ".q_norm", model.queryRows()),
                    model.norm(attention + ".k_norm", model.keyRows()),
                    HeadNorm.Span.PROJECTION,
                    false))
            .build(),
        behind(model, name + ".post_attention_layernorm"),
        model.gated(name + ".mlp", model.intermediate, false),
        behind(model, name + ".post_feedforward_layernorm"),
        false);
  }

  private static Residual behind(Blueprint model, String norm) {
    return new Residual(null, model.norm(norm, model.hidden), null, false, 1, 1);
  }
}
