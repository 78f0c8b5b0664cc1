package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;

/** Qwen 3 (Alibaba 2025): heads of queries and keys are normalised. */
final class Qwen3 implements Family {
  @Override
  public Profile profile() {
    return Qwen2.profile("Qwen3ForCausalLM").or("head_dim", 128);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    boolean bias = config.flag("attention_bias", false);
    Blueprint model = Blueprint.rms("qwen3", config).rotary();
    int[] windows = Windows.ifUsed(model);
    return model
        .layers(
            i ->
                model.llamaLayer(
                    i,
                    attention(model, i, bias).window(windows[i]),
                    model.gated(Blueprint.layer(i) + ".mlp", model.intermediate, false)))
        .build();
  }

  /** Returns attention with a norm of each head of queries and keys. */
  static AttentionBuilder attention(Blueprint model, int index, boolean bias) {
    String name = Blueprint.layer(index) + ".self_attn";
    return model
        .attention(name, bias, bias)
        .headNorm(
            new HeadNorm(
                model.norm(name + ".q_norm", model.headDim),
                model.norm(name + ".k_norm", model.headDim),
                HeadNorm.Span.HEAD,
                false));
  }
}
