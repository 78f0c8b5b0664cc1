package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;

/** GLM-4-0414 (Zhipu 2025): GLM with norms behind the branches, too. */
final class Glm4 implements Family {
  @Override
  public Profile profile() {
    return Glm.profile("Glm4ForCausalLM");
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.rms("glm4", config).interleavedRotary();
    return model
        .layers(
            i -> {
              String name = Blueprint.layer(i);
              return new Layer(
                  Glm.attention(model, i).build(),
                  model.sandwich(name + ".input_layernorm", name + ".post_self_attn_layernorm"),
                  Glm.mlp(model, i),
                  model.sandwich(name + ".post_attention_layernorm", name + ".post_mlp_layernorm"),
                  false);
            })
        .build();
  }
}
