package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;

/** ChatGLM2-6B, ChatGLM3-6B and GLM-4-9B as first uploaded (Tsinghua 2023, 2024). */
final class ChatGlm2 implements Family {
  @Override
  public Profile profile() {
    return Profile.of("ChatGLMForConditionalGeneration")
        .named("vocab_size", "padded_vocab_size")
        .named("num_hidden_layers", "num_layers")
        .named("num_key_value_heads", "multi_query_group_num")
        .named("head_dim", "kv_channels")
        .named("intermediate_size", "ffn_hidden_size")
        .named("max_position_embeddings", "seq_length")
        .named("rms_norm_eps", "layernorm_epsilon")
        .or("vocab_size", 65024)
        .or("hidden_size", 4096)
        .or("num_hidden_layers", 28)
        .or("num_attention_heads", 32)
        .or("num_key_value_heads", 1)
        .or("head_dim", 128)
        .or("intermediate_size", 13696)
        .or("max_position_embeddings", 2048)
        .or("rms_norm_eps", 1e-5)
        .ignore("transformer\\.rotary_pos_emb\\.inv_freq")
        .base("transformer.")
        .head("transformer.output_layer.weight");
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    config.refuse("original_rope", false);
    boolean rms = config.flag("rmsnorm", true);
    Norm.Kind kind = rms ? Norm.Kind.RMS : Norm.Kind.LAYER;
    Blueprint model = Blueprint.of("chatglm2", config, kind, !rms);
    Norm last = model.norm("transformer.encoder.final_layernorm", model.hidden);
    return model
        .rotary(rotary(config, model.headDim))
        .embedding("transformer.embedding.word_embeddings")
        .layers(i -> layer(model, "transformer.encoder.layers." + i))
        .finalNorm(config.flag("post_layer_norm", true) ? last : null)
        .build();
  }

  private static Rotary rotary(ConfigFields config, int headDim) {
    double ratio = config.positive("rope_ratio", 1);
    // ChatGLM2-6B-32K means something else by it, and its file lacks this field.
    if (ratio != 1 && !config.has("classifier_dropout")) {
      throw config.unsupported("rope_ratio", ratio, "1, and others where ChatGLM3 has them");
    }
    if (headDim % 4 != 0) {
      throw config.wrong("head_dim", headDim, "a multiple of 4, as half of it turns in pairs");
    }
    return new Rotary(0, headDim / 2, true, 10_000 * ratio, RopeScaling.DEFAULT, false, false);
  }

  private static Layer layer(Blueprint model, String name) {
    ConfigFields config = model.config;
    boolean bias = config.flag("add_bias_linear", false);
    int kvHeads = config.flag("multi_query_attention", false) ? model.kvHeads : model.heads;
    long rows = model.queryRows() + 2L * kvHeads * model.headDim;
    String attention = name + ".self_attention";
    return new Layer(
        model
            .attention(
                kvHeads,
                model.linear(
                    attention + ".query_key_value",
                    rows,
                    model.hidden,
                    bias || config.flag("add_qkv_bias", false)),
                model.linear(attention + ".dense", model.hidden, model.queryRows(), bias))
            .build(),
        branch(model, name + ".input_layernorm"),
        mlp(model, name + ".mlp", bias),
        branch(model, name + ".post_attention_layernorm"),
        false);
  }

  private static Dense mlp(Blueprint model, String name, boolean bias) {
    return model.fusedGated(
        name + ".dense_h_to_4h", name + ".dense_4h_to_h", model.intermediate, bias);
  }

  private static Residual branch(Blueprint model, String norm) {
    boolean ofNormed = model.config.flag("apply_residual_connection_post_layernorm", false);
    return new Residual(model.norm(norm, model.hidden), null, null, ofNormed, 1, 1);
  }
}
