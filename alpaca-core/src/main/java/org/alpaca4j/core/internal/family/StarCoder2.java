package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;

/** StarCoder 2 (BigCode 2024): Llama with LayerNorm and a plain MLP. */
final class StarCoder2 implements Family {
  @Override
  public Profile profile() {
    return Profile.of("Starcoder2ForCausalLM")
        .named("rms_norm_eps", "norm_epsilon")
        .or("vocab_size", 49152)
        .or("hidden_size", 3072)
        .or("intermediate_size", 12288)
        .or("num_hidden_layers", 30)
        .or("num_attention_heads", 24)
        .or("num_key_value_heads", 2)
        .or("hidden_act", "gelu_pytorch_tanh")
        .or("max_position_embeddings", 4096)
        .or("rms_norm_eps", 1e-5)
        .or("tie_word_embeddings", true)
        .tokens(50256, 50256)
        .ignore(Llama.ROTARY_BUFFER);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    boolean bias = config.flag("use_bias", true);
    Blueprint model = Blueprint.of("starcoder2", config, Norm.Kind.LAYER, true).rotary();
    int[] windows = Windows.onEveryLayer(model);
    return model
        .layers(
            i -> {
              String name = Blueprint.layer(i);
              return model.llamaLayer(
                  i,
                  model.attention(name + ".self_attn", bias, bias).window(windows[i]),
                  model.plain(name + ".mlp.c_fc", name + ".mlp.c_proj", bias));
            })
        .finalNorm(model.norm("model.norm", model.hidden))
        .build();
  }
}
