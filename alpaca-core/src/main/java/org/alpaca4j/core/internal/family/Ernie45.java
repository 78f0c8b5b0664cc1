package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;

/** ERNIE 4.5, the dense one (Baidu 2025): Llama with other rotary pairs. */
final class Ernie45 implements Family {
  @Override
  public Profile profile() {
    return Llama.profile("Ernie4_5ForCausalLM")
        .or("vocab_size", 103424)
        .or("hidden_size", 1024)
        .or("intermediate_size", 3072)
        .or("num_hidden_layers", 18)
        .or("num_attention_heads", 16)
        .or("num_key_value_heads", 2)
        .or("head_dim", 128)
        .or("max_position_embeddings", 131072)
        .or("rms_norm_eps", 1e-5)
        .or("rope_theta", 500_000)
        .or("tie_word_embeddings", true)
        .or("pad_token_id", 0)
        .tokens(1, 2);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    boolean bias = config.flag("use_bias", false);
    Blueprint model = Blueprint.rms("ernie4_5", config).interleavedRotary();
    return model
        .layers(
            i ->
                model.llamaLayer(
                    i,
                    model.attention(Blueprint.layer(i) + ".self_attn", bias, bias),
                    model.gated(Blueprint.layer(i) + ".mlp", model.intermediate, bias)))
        .build();
  }
}
