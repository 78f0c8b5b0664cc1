package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;

/** Hunyuan, the dense one (Tencent 2025): head norms behind the rotary embedding. */
final class Hunyuan implements Family {
  @Override
  public Profile profile() {
    return Llama.profile("HunYuanDenseV1ForCausalLM")
        .or("vocab_size", 290943)
        .or("intermediate_size", 11008)
        .or("max_position_embeddings", 2048)
        .or("rms_norm_eps", 1e-5)
        .or("pad_token_id", 0)
        .tokens(1, 2);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    config.refuse("use_qk_norm", false);
    boolean bias = config.flag("attention_bias", false);
    Blueprint model = Blueprint.rms("hunyuan_v1_dense", config);
    model.rotary(
        RotaryFields.of(config).withAlpha().rotary(model.headDim, model.maxPositions, false));
    return model
        .layers(
            i -> {
              String name = Blueprint.layer(i) + ".self_attn";
              HeadNorm norms =
                  new HeadNorm(
                      model.norm(name + ".query_layernorm", model.headDim),
                      model.norm(name + ".key_layernorm", model.headDim),
                      HeadNorm.Span.HEAD,
                      true);
              return model.llamaLayer(
                  i,
                  model.attention(name, bias, bias).headNorm(norms),
                  model.gated(Blueprint.layer(i) + ".mlp", model.intermediate, false));
            })
        .build();
  }
}
