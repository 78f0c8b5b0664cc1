package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;

/** Qwen 1.5 to 2.5 (Alibaba 2024): Llama with biases of queries, keys and values. */
final class Qwen2 implements Family {
  @Override
  public Profile profile() {
    return profile("Qwen2ForCausalLM");
  }

  /** Starts the profile of a family that is spelled as Qwen2. */
  static Profile profile(String architecture) {
    return Llama.profile(architecture)
        .or("vocab_size", 151936)
        .or("intermediate_size", 22016)
        .or("num_key_value_heads", 32)
        .or("max_position_embeddings", 32768)
        .or("sliding_window", 4096);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    config.refuse("use_mrope", true);
    Blueprint model = Blueprint.rms("qwen2", config).rotary();
    int[] windows = Windows.ifUsed(model);
    return model
        .layers(
            i ->
                model.llamaLayer(
                    i,
                    model
                        .attention(Blueprint.layer(i) + ".self_attn", true, false)
                        .window(windows[i]),
                    model.gated(Blueprint.layer(i) + ".mlp", model.intermediate, false)))
        .build();
  }
}
