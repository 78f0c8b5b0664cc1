package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Mlp;

/** Mixtral (Mistral AI 2023): Mistral with experts in place of the MLP. */
final class Mixtral implements Family {
  @Override
  public Profile profile() {
    return Llama.profile("MixtralForCausalLM")
        .or("vocab_size", 32000)
        .or("intermediate_size", 14336)
        .or("num_key_value_heads", 8)
        .or("max_position_embeddings", 131072)
        .or("rms_norm_eps", 1e-5)
        .or("rope_theta", 1e6)
        .or("num_experts", 8)
        .or("num_experts_per_tok", 2)
        .or("router_aux_loss_coef", 0.001)
        .named("num_experts", "num_local_experts", "num_experts")
        .tokens(1, 2);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.rms("mixtral", config).rotary();
    int[] windows = Windows.onEveryLayer(model);
    return model
        .layers(
            i ->
                model.llamaLayer(
                    i,
                    model
                        .attention(Blueprint.layer(i) + ".self_attn", false, false)
                        .window(windows[i]),
                    experts(model, Blueprint.layer(i) + ".block_sparse_moe")))
        .build();
  }

  private static Mlp experts(Blueprint model, String name) {
    return model.experts(
        name + ".gate",
        j -> {
          String expert = name + ".experts." + j;
          return model.gated(
              expert + ".w1", expert + ".w3", expert + ".w2", model.intermediate, false);
        },
        true,
        null,
        null);
  }
}
