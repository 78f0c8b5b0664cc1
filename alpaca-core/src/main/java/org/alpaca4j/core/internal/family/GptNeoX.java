package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;

/** GPT-NeoX and Pythia (EleutherAI 2022, 2023), RedPajama. */
final class GptNeoX implements Family {
  @Override
  public Profile profile() {
    return Profile.of("GPTNeoXForCausalLM")
        .named("rms_norm_eps", "layer_norm_eps")
        .named("partial_rotary_factor", "rotary_pct", "partial_rotary_factor")
        .named("rope_theta", "rotary_emb_base", "rope_theta")
        .or("vocab_size", 50432)
        .or("hidden_size", 6144)
        .or("intermediate_size", 24576)
        .or("num_hidden_layers", 44)
        .or("num_attention_heads", 64)
        .or("hidden_act", "gelu")
        .or("max_position_embeddings", 2048)
        .or("rms_norm_eps", 1e-5)
        .or("partial_rotary_factor", 0.25)
        .tokens(0, 2)
        .ignore(".*\\.attention\\.(masked_bias|bias|rotary_emb\\.inv_freq)")
        .base("gpt_neox.")
        .head("embed_out.weight");
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.of("gpt_neox", config, Norm.Kind.LAYER, true).rotary();
    boolean parallel = config.flag("use_parallel_residual", true);
    return model
        .embedding("gpt_neox.embed_in")
        .layers(
            i -> {
              String name = "gpt_neox.layers." + i;
              AttentionBuilder attention = attention(model, name + ".attention");
              Norm first = model.norm(name + ".input_layernorm", model.hidden);
              Norm second = model.norm(name + ".post_attention_layernorm", model.hidden);
              Dense mlp =
                  model.plain(name + ".mlp.dense_h_to_4h", name + ".mlp.dense_4h_to_h", true);
              return parallel
                  ? Blueprint.parallel(attention, first, mlp, second)
                  : Blueprint.preNorm(attention, first, mlp, second);
            })
        .finalNorm(model.norm("gpt_neox.final_layer_norm", model.hidden))
        .build();
  }

  private static AttentionBuilder attention(Blueprint model, String name) {
    boolean bias = model.config.flag("attention_bias", true);
    return model.attention(
        model.linear(
            name + ".query_key_value",
            3 * model.queryRows(),
            model.hidden,
            bias,
            model.byGroups(model.heads)),
        model.linear(name + ".dense", model.hidden, model.queryRows(), bias));
  }
}
