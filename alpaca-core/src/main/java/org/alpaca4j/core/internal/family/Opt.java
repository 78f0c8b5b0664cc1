package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Embedding;
import org.alpaca4j.core.internal.model.DecoderDescription.Head;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Linear;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;

/** OPT (Meta 2022) and Galactica: norms before or behind the branches. */
final class Opt implements Family {
  @Override
  public Profile profile() {
    return Profile.of("OPTForCausalLM")
        .named("intermediate_size", "ffn_dim")
        .named("hidden_act", "activation_function")
        .named("initializer_range", "init_std")
        .or("vocab_size", 50272)
        .or("hidden_size", 768)
        .or("intermediate_size", 3072)
        .or("num_hidden_layers", 12)
        .or("num_attention_heads", 12)
        .or("max_position_embeddings", 2048)
        .or("rms_norm_eps", 1e-5)
        .or("hidden_act", "relu")
        .or("tie_word_embeddings", true)
        .or("pad_token_id", 1)
        .tokens(2, 2);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    config.refuse("scale_embeddings", true);
    config.refuse("learned_embeddings", false);
    Blueprint model = Blueprint.of("opt", config, Norm.Kind.LAYER, true);
    int width = config.sizeUnlessNull("word_embed_proj_dim", model.hidden);
    boolean projected = width != model.hidden;
    String name = "model.decoder";
    Linear out = projected ? model.linear(name + ".project_out", width, model.hidden, false) : null;
    Linear in = projected ? model.linear(name + ".project_in", model.hidden, width, false) : null;
    boolean before = config.flag("do_layer_norm_before", true);
    boolean hasFinal = before && !config.flag("_remove_final_layer_norm", false);
    boolean tied = model.head(false).tied();
    return model
        .embedding(
            new Embedding(
                Weight.of(name + ".embed_tokens.weight", model.vocab, width),
                width,
                1,
                Weight.of(name + ".embed_positions.weight", model.maxPositions + 2L, model.hidden),
                2,
                null,
                in))
        .layers(i -> layer(model, name + ".layers." + i, before))
        .finalNorm(hasFinal ? norm(model, name + ".final_layer_norm") : null)
        .head(
            new Head(
                out,
                tied ? null : Weight.of("lm_head.weight", model.vocab, width),
                null,
                1,
                0,
                false))
        .build();
  }

  private static Layer layer(Blueprint model, String name, boolean before) {
    boolean bias = model.config.flag("enable_bias", true);
    String attention = name + ".self_attn";
    return new Layer(
        model
            .attention(
                model.queryKeyValue(attention, bias),
                model.linear(attention + ".out_proj", model.hidden, model.queryRows(), bias))
            .build(),
        residual(norm(model, name + ".self_attn_layer_norm"), before),
        model.plain(name + ".fc1", name + ".fc2", bias),
        residual(norm(model, name + ".final_layer_norm"), before),
        false);
  }

  private static Residual residual(Norm norm, boolean before) {
    return before ? Residual.preNorm(norm) : new Residual(null, null, norm, false, 1, 1);
  }

  private static Norm norm(Blueprint model, String name) {
    boolean affine = model.config.flag("layer_norm_elementwise_affine", true);
    return affine
        ? model.norm(name, model.hidden)
        : new Norm(Norm.Kind.LAYER, model.eps, null, null);
  }
}
