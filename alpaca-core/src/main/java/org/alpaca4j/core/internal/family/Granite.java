package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Head;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;

/** Granite 3 (IBM 2024): Llama with four multipliers. */
final class Granite implements Family {
  @Override
  public Profile profile() {
    return Llama.profile("GraniteForCausalLM")
        .or("vocab_size", 32000)
        .or("intermediate_size", 11008)
        .or("max_position_embeddings", 2048)
        .tokens(1, 2);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.rms("granite", config).rotary();
    Head head = model.head(false);
    double multiplier = 1 / config.positive("logits_scaling", 1);
    return model
        .embeddingScale(config.number("embedding_multiplier", 1))
        .layers(i -> layer(model, Blueprint.layer(i)))
        .head(new Head(null, head.weight(), null, multiplier, 0, false))
        .build();
  }

  private static Layer layer(Blueprint model, String name) {
    ConfigFields config = model.config;
    boolean bias = config.flag("attention_bias", false);
    return new Layer(
        model
            .attention(name + ".self_attn", bias, bias)
            .scale(config.number("attention_multiplier", 1))
            .build(),
        branch(config, model.norm(name + ".input_layernorm", model.hidden)),
        model.gated(name + ".mlp", model.intermediate, config.flag("mlp_bias", false)),
        branch(config, model.norm(name + ".post_attention_layernorm", model.hidden)),
        false);
  }

  private static Residual branch(ConfigFields config, Norm norm) {
    return new Residual(norm, null, null, false, 1, config.number("residual_multiplier", 1));
  }
}
