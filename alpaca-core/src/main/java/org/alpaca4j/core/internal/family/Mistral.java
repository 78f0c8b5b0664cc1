package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;

/** Mistral (Mistral AI 2023): Llama with a sliding window. */
final class Mistral implements Family {
  @Override
  public Profile profile() {
    return Llama.profile("MistralForCausalLM")
        .or("vocab_size", 32000)
        .or("intermediate_size", 14336)
        .or("num_key_value_heads", 8)
        .or("max_position_embeddings", 131072)
        .or("sliding_window", 4096)
        .tokens(1, 2);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.rms("mistral", config).rotary();
    int[] windows = Windows.onEveryLayer(model);
    return model
        .layers(
            i ->
                model.llamaLayer(
                    i,
                    model
                        .attention(Blueprint.layer(i) + ".self_attn", false, false)
                        .window(windows[i]),
                    model.gated(Blueprint.layer(i) + ".mlp", model.intermediate, false)))
        .build();
  }
}
