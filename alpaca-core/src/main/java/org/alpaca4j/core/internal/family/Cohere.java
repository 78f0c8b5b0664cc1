package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Head;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;

/** Command R (Cohere 2024): attention and MLP side by side, scaled logits. */
final class Cohere implements Family {
  @Override
  public Profile profile() {
    return Profile.of("CohereForCausalLM")
        .named("rms_norm_eps", "layer_norm_eps")
        .or("vocab_size", 256000)
        .or("hidden_size", 8192)
        .or("intermediate_size", 22528)
        .or("num_hidden_layers", 40)
        .or("num_attention_heads", 64)
        .or("max_position_embeddings", 8192)
        .or("rms_norm_eps", 1e-5)
        .or("rope_theta", 500_000)
        .or("tie_word_embeddings", true)
        .or("pad_token_id", 0)
        .tokens(5, 255001)
        .ignore(Llama.ROTARY_BUFFER);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Blueprint.of("cohere", config, Norm.Kind.LAYER, false).interleavedRotary();
    Head head = model.head(false);
    double scale = config.number("logit_scale", 0.0625);
    return model
        .layers(
            i -> {
              String name = Blueprint.layer(i);
              return Blueprint.parallel(
                  attention(model, name + ".self_attn"),
                  model.norm(name + ".input_layernorm", model.hidden),
                  model.gated(name + ".mlp", model.intermediate, false),
                  null);
            })
        .head(new Head(null, head.weight(), null, scale, 0, false))
        .build();
  }

  private static AttentionBuilder attention(Blueprint model, String name) {
    boolean bias = model.config.flag("attention_bias", false);
    return model
        .attention(name, bias, bias)
        .headNorm(
            model.config.flag("use_qk_norm", false)
                ? new HeadNorm(
                    model.norm(name + ".q_norm", model.heads, model.headDim),
                    model.norm(name + ".k_norm", model.kvHeads, model.headDim),
                    HeadNorm.Span.HEAD_WITH_OWN_WEIGHTS,
                    false)
                : null);
  }
}
