package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;

/** Phi 1, 1.5 and 2 (Microsoft 2023): attention and MLP side by side, biases everywhere. */
final class Phi implements Family {
  @Override
  public Profile profile() {
    return Llama.profile("PhiForCausalLM")
        .named("rms_norm_eps", "layer_norm_eps")
        .or("vocab_size", 51200)
        .or("hidden_size", 2048)
        .or("intermediate_size", 8192)
        .or("num_hidden_layers", 24)
        .or("hidden_act", "gelu_new")
        .or("rms_norm_eps", 1e-5)
        .or("max_position_embeddings", 2048)
        .or("partial_rotary_factor", 0.5)
        .tokens(1, 2);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.of("phi", config, Norm.Kind.LAYER, true).rotary();
    return model
        .layers(
            i -> {
              String name = Blueprint.layer(i);
              return Blueprint.parallel(
                  attention(model, name + ".self_attn"),
                  model.norm(name + ".input_layernorm", model.hidden),
                  model.plain(name + ".mlp.fc1", name + ".mlp.fc2", true),
                  null);
            })
        .finalNorm(model.norm("model.final_layernorm", model.hidden))
        .head(model.head(true))
        .build();
  }

  private static AttentionBuilder attention(Blueprint model, String name) {
    return model
        .attention(
            model.queryKeyValue(name, true),
            model.linear(name + ".dense", model.hidden, model.queryRows(), true))
        .headNorm(
            model.config.flag("qk_layernorm", false)
                ? new HeadNorm(
                    model.norm(name + ".q_layernorm", model.headDim),
                    model.norm(name + ".k_layernorm", model.headDim),
                    HeadNorm.Span.HEAD,
                    false)
                : null);
  }
}
