package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Alibi;
import org.alpaca4j.core.internal.model.DecoderDescription.Embedding;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;

/** BLOOM (BigScience 2022): ALiBi, a norm behind the embedding. */
final class Bloom implements Family {
  @Override
  public Profile profile() {
    return Profile.of("BloomForCausalLM")
        .named("hidden_size", "n_embed", "hidden_size")
        .named("num_hidden_layers", "n_layer", "num_hidden_layers")
        .named("num_attention_heads", "n_head", "num_attention_heads")
        .named("intermediate_size", "n_inner")
        .named("max_position_embeddings", "seq_length")
        .named("rms_norm_eps", "layer_norm_epsilon")
        .or("vocab_size", 250880)
        .or("hidden_size", 64)
        .or("num_hidden_layers", 2)
        .or("num_attention_heads", 8)
        .or("max_position_embeddings", 2048)
        .or("rms_norm_eps", 1e-5)
        .or("hidden_act", "gelu_new")
        .or("tie_word_embeddings", true)
        .tokens(1, 2)
        .base("transformer.");
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.of("bloom", config, Norm.Kind.LAYER, true);
    return model
        .embedding(
            new Embedding(
                Weight.of("transformer.word_embeddings.weight", model.vocab, model.hidden),
                model.hidden,
                1,
                null,
                0,
                model.norm("transformer.word_embeddings_layernorm", model.hidden),
                null))
        .layers(i -> layer(model, "transformer.h." + i))
        .finalNorm(model.norm("transformer.ln_f", model.hidden))
        .build();
  }

  private static Layer layer(Blueprint model, String name) {
    return new Layer(
        model
            .attention(
                model.heads,
                model.linear(
                    name + ".self_attention.query_key_value",
                    3 * model.queryRows(),
                    model.hidden,
                    true,
                    model.byGroups(model.heads)),
                model.linear(name + ".self_attention.dense", model.hidden, model.queryRows(), true))
            .alibi(new Alibi(false, false))
            .build(),
        branch(model, name + ".input_layernorm"),
        model.plain(name + ".mlp.dense_h_to_4h", name + ".mlp.dense_4h_to_h", true),
        branch(model, name + ".post_attention_layernorm"),
        false);
  }

  private static Residual branch(Blueprint model, String norm) {
    boolean ofNormed = model.config.flag("apply_residual_connection_post_layernorm", false);
    return new Residual(model.norm(norm, model.hidden), null, null, ofNormed, 1, 1);
  }
}
