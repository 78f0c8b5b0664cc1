package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Head;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;

/** Gemma 2 (Google 2024): norms around each branch, soft caps, every second layer a window. */
final class Gemma2 implements Family {
  @Override
  public Profile profile() {
    return profile("Gemma2ForCausalLM")
        .or("vocab_size", 256000)
        .or("num_hidden_layers", 26)
        .or("max_position_embeddings", 8192)
        .or("attn_logit_softcapping", 50.0)
        .or("final_logit_softcapping", 30.0);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Gemma.blueprint("gemma2", config).rotary();
    int[] windows = Windows.alternating(model, 2);
    return softcapped(model)
        .layers(i -> layer(model, i, attention(model, i).window(windows[i])))
        .build();
  }

  /** Starts the profile of a Gemma 2 or 3. */
  static Profile profile(String architecture) {
    return Gemma.profile(architecture)
        .named("hidden_act", "hidden_activation")
        .or("hidden_size", 2304)
        .or("intermediate_size", 9216)
        .or("num_attention_heads", 8)
        .or("num_key_value_heads", 4)
        .or("query_pre_attn_scalar", 256)
        .or("sliding_window", 4096);
  }

  static AttentionBuilder attention(Blueprint model, int i) {
    boolean bias = model.config.flag("attention_bias", false);
    return model
        .attention(Blueprint.layer(i) + ".self_attn", bias, bias)
        .scale(1 / Math.sqrt(model.config.positive("query_pre_attn_scalar", 256)))
        .softcap(model.config.cap("attn_logit_softcapping"));
  }

  static Layer layer(Blueprint model, int i, AttentionBuilder attention) {
    String name = Blueprint.layer(i);
    return new Layer(
        attention.build(),
        model.sandwich(name + ".input_layernorm", name + ".post_attention_layernorm"),
        model.gated(name + ".mlp", model.intermediate, false),
        model.sandwich(name + ".pre_feedforward_layernorm", name + ".post_feedforward_layernorm"),
        false);
  }

  static Blueprint softcapped(Blueprint model) {
    Head head = model.head(false);
    double cap = model.config.cap("final_logit_softcapping");
    return model.head(new Head(null, head.weight(), null, 1, cap, false));
  }
}
