package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Alibi;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Linear;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Order;
import org.jspecify.annotations.Nullable;

/** Falcon (TII 2023) in its three layouts of queries, keys and values. */
final class Falcon implements Family {
  @Override
  public Profile profile() {
    return Profile.of("FalconForCausalLM")
        .named("hidden_size", "n_embed", "hidden_size")
        .named("num_hidden_layers", "num_hidden_layers", "n_layer")
        .named("num_attention_heads", "num_attention_heads", "n_head")
        .named("num_key_value_heads", "num_kv_heads", "n_head_kv")
        .named("intermediate_size", "ffn_hidden_size")
        .named("hidden_act", "activation")
        .named("rms_norm_eps", "layer_norm_epsilon")
        .or("vocab_size", 65024)
        .or("hidden_size", 4544)
        .or("num_hidden_layers", 32)
        .or("num_attention_heads", 71)
        .or("max_position_embeddings", 2048)
        .or("rms_norm_eps", 1e-5)
        .or("hidden_act", "gelu")
        .or("tie_word_embeddings", true)
        .tokens(11, 11)
        .ignore(".*\\.self_attention\\.rotary(_emb)?\\.inv_freq")
        .base("transformer.");
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    config.refuse("apply_residual_connection_post_layernorm", true);
    Blueprint model = Blueprint.of("falcon", config, Norm.Kind.LAYER, true);
    boolean alibi = config.flag("alibi", false);
    return (alibi ? model : model.rotary())
        .embedding("transformer.word_embeddings")
        .layers(i -> layer(model, "transformer.h." + i, alibi ? new Alibi(true, true) : null))
        .finalNorm(model.norm("transformer.ln_f", model.hidden))
        .build();
  }

  private static Layer layer(Blueprint model, String name, @Nullable Alibi alibi) {
    boolean grouped = isGrouped(model.config);
    boolean bias = model.config.flag("bias", false);
    AttentionBuilder attention = attention(model, name + ".self_attention", bias).alibi(alibi);
    Dense mlp = model.plain(name + ".mlp.dense_h_to_4h", name + ".mlp.dense_4h_to_h", bias);
    if (!model.config.flag("parallel_attn", true)) {
      return Blueprint.preNorm(
          attention,
          model.norm(name + ".input_layernorm", model.hidden),
          mlp,
          model.norm(name + ".post_attention_layernorm", model.hidden));
    }
    if (grouped && model.config.size("num_ln_in_parallel_attn", 2) == 2) {
      return Blueprint.parallel(
          attention,
          model.norm(name + ".ln_attn", model.hidden),
          mlp,
          model.norm(name + ".ln_mlp", model.hidden));
    }
    return Blueprint.parallel(
        attention, model.norm(name + ".input_layernorm", model.hidden), mlp, null);
  }

  /** The first upload of the 40B model has no flag, but a number of kv heads. */
  private static boolean isGrouped(ConfigFields config) {
    return config.flag("new_decoder_architecture", config.get("n_head_kv") != null);
  }

  private static AttentionBuilder attention(Blueprint model, String name, boolean bias) {
    boolean grouped = isGrouped(model.config);
    boolean one = !grouped && model.config.flag("multi_query", true);
    int kvHeads = one ? 1 : grouped ? model.kvHeads : model.heads;
    long rows = model.queryRows() + 2L * kvHeads * model.headDim;
    Order order = one ? new Order.Same() : model.byGroups(kvHeads);
    Linear queryKeyValue = model.linear(name + ".query_key_value", rows, model.hidden, bias, order);
    Linear output = model.linear(name + ".dense", model.hidden, model.queryRows(), bias);
    return model.attention(kvHeads, queryKeyValue, output);
  }
}
