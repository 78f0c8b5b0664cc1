package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;

/** Phi 3, 3.5 and 4 (Microsoft 2024): fused projections, LongRoPE. */
final class Phi3 implements Family {
  @Override
  public Profile profile() {
    return Llama.profile("Phi3ForCausalLM")
        .or("vocab_size", 32064)
        .or("hidden_size", 3072)
        .or("intermediate_size", 8192)
        .or("rms_norm_eps", 1e-5)
        .or("max_position_embeddings", 4096)
        .or("partial_rotary_factor", 1.0)
        .or("original_max_position_embeddings", 4096)
        .or("pad_token_id", 32000)
        .tokens(1, 32000);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.rms("phi3", config).rotary();
    int[] windows = Windows.onEveryLayer(model);
    return model
        .layers(
            i -> {
              String name = Blueprint.layer(i);
              long rows = model.queryRows() + 2 * model.keyRows();
              return model.llamaLayer(
                  i,
                  model
                      .attention(
                          model.linear(name + ".self_attn.qkv_proj", rows, model.hidden, false),
                          model.linear(
                              name + ".self_attn.o_proj", model.hidden, model.queryRows(), false))
                      .window(windows[i]),
                  model.fusedGated(
                      name + ".mlp.gate_up_proj",
                      name + ".mlp.down_proj",
                      model.intermediate,
                      false));
            })
        .build();
  }
}
