package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Embedding;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;

/** GPT-2 (OpenAI 2019) and Cerebras-GPT: learned positions, matrices lie [in, out]. */
final class Gpt2 implements Family {
  @Override
  public Profile profile() {
    return profile("GPT2LMHeadModel")
        .or("vocab_size", 50257)
        .or("hidden_size", 768)
        .or("num_hidden_layers", 12)
        .or("num_attention_heads", 12)
        .or("max_position_embeddings", 1024)
        .or("tie_word_embeddings", true);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    config.refuse("add_cross_attention", true);
    Blueprint model = Blueprint.of("gpt2", config, Norm.Kind.LAYER, true);
    return model
        .embedding(
            new Embedding(
                Weight.of("transformer.wte.weight", model.vocab, model.hidden),
                model.hidden,
                1,
                Weight.of("transformer.wpe.weight", model.maxPositions, model.hidden),
                0,
                null,
                null))
        .layers(i -> layer(model, i))
        .finalNorm(model.norm("transformer.ln_f", model.hidden))
        .build();
  }

  /** Starts the profile of a family that is spelled as GPT-2. */
  static Profile profile(String architecture) {
    return Profile.of(architecture)
        .named("hidden_size", "n_embd")
        .named("num_hidden_layers", "n_layer")
        .named("num_attention_heads", "n_head")
        .named("max_position_embeddings", "n_positions")
        .named("intermediate_size", "n_inner")
        .named("hidden_act", "activation_function")
        .named("rms_norm_eps", "layer_norm_epsilon")
        .or("hidden_act", "gelu_new")
        .or("rms_norm_eps", 1e-5)
        .tokens(50256, 50256)
        .ignore(".*\\.attn\\.(masked_)?bias")
        .base("transformer.");
  }

  private static Layer layer(Blueprint model, int i) {
    String name = "transformer.h." + i;
    double scale = model.config.flag("scale_attn_weights", true) ? 1 / Math.sqrt(model.headDim) : 1;
    boolean byLayer = model.config.flag("scale_attn_by_inverse_layer_idx", false);
    return Blueprint.preNorm(
        model
            .attention(
                model.heads,
                model.transposed(name + ".attn.c_attn", 3 * model.queryRows(), model.hidden),
                model.transposed(name + ".attn.c_proj", model.hidden, model.queryRows()))
            .scale(byLayer ? scale / (i + 1) : scale),
        model.norm(name + ".ln_1", model.hidden),
        model.plain(
            model.transposed(name + ".mlp.c_fc", model.intermediate, model.hidden),
            model.transposed(name + ".mlp.c_proj", model.hidden, model.intermediate)),
        model.norm(name + ".ln_2", model.hidden));
  }
}
