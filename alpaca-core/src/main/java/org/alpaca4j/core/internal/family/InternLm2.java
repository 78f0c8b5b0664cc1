package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;

/** InternLM 2 and 2.5 (Shanghai AI Laboratory 2024): Llama under other names. */
final class InternLm2 implements Family {
  @Override
  public Profile profile() {
    return Llama.profile("InternLM2ForCausalLM")
        .or("vocab_size", 103168)
        .or("intermediate_size", 11008)
        .or("max_position_embeddings", 2048)
        .or("pad_token_id", 2)
        .tokens(1, 2)
        .head("output.weight");
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.rms("internlm2", config).rotary();
    return model
        .embedding("model.tok_embeddings")
        .layers(i -> layer(model, Blueprint.layer(i), config.flag("bias", true)))
        .build();
  }

  private static Layer layer(Blueprint model, String name, boolean bias) {
    String mlp = name + ".feed_forward";
    long rows = model.queryRows() + 2 * model.keyRows();
    return Blueprint.preNorm(
        model.attention(
            model.linear(
                name + ".attention.wqkv", rows, model.hidden, bias, model.byGroups(model.kvHeads)),
            model.linear(name + ".attention.wo", model.hidden, model.queryRows(), bias)),
        model.norm(name + ".attention_norm", model.hidden),
        model.gated(mlp + ".w1", mlp + ".w3", mlp + ".w2", model.intermediate, false),
        model.norm(name + ".ffn_norm", model.hidden));
  }
}
