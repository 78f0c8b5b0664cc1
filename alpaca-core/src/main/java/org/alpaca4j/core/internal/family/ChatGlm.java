package org.alpaca4j.core.internal.family;

import com.fasterxml.jackson.databind.JsonNode;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Positions;
import org.alpaca4j.core.internal.model.DecoderDescription.Residual;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;

/** ChatGLM-6B (Tsinghua 2023): two positions, and residuals of what was normalised. */
final class ChatGlm implements Family {
  @Override
  public Profile profile() {
    return Profile.of("ChatGLMForConditionalGeneration")
        .named("num_hidden_layers", "num_layers")
        .named("intermediate_size", "inner_hidden_size")
        .named("max_position_embeddings", "max_sequence_length")
        .named("rms_norm_eps", "layernorm_epsilon")
        .or("vocab_size", 130528)
        .or("hidden_size", 4096)
        .or("num_hidden_layers", 28)
        .or("num_attention_heads", 32)
        .or("intermediate_size", 16384)
        .or("max_position_embeddings", 2048)
        .or("rms_norm_eps", 1e-5)
        .or("hidden_act", "gelu_new")
        .or("tie_word_embeddings", true)
        .or("mask_token_id", 130000)
        .or("gmask_token_id", 130001)
        .or("pad_token_id", 3)
        .tokens(130004, 130005)
        .ignore(".*\\.rotary_emb\\.inv_freq")
        .base("transformer.");
  }

  @Override
  public Family among(JsonNode config) {
    return config.has("padded_vocab_size") ? new ChatGlm2() : this;
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    config.refuse("position_encoding_2d", false);
    Blueprint model = Blueprint.of("chatglm", config, Norm.Kind.LAYER, true);
    int mask = config.size("mask_token_id");
    int gmask = config.size("gmask_token_id");
    int dims = model.headDim / 2;
    if (dims % 2 != 0 || dims == 0) {
      throw config.wrong("hidden_size", model.hidden, "4 times a number for each head");
    }
    return model
        .positions(new Positions.Glm(mask, gmask, config.size("bos_token_id")))
        .rotary(new Rotary(0, dims, false, 10_000, RopeScaling.DEFAULT, false, true))
        .rotary(new Rotary(dims, dims, false, 10_000, RopeScaling.DEFAULT, true, true))
        .embedding("transformer.word_embeddings")
        .layers(i -> layer(model, "transformer.layers." + i))
        .finalNorm(model.norm("transformer.final_layernorm", model.hidden))
        .build();
  }

  private static Layer layer(Blueprint model, String name) {
    return new Layer(
        model
            .attention(
                model.linear(
                    name + ".attention.query_key_value",
                    3 * model.queryRows(),
                    model.hidden,
                    true,
                    model.byGroups(model.heads)),
                model.linear(name + ".attention.dense", model.hidden, model.queryRows(), true))
            .rotaries(0, 1)
            .build(),
        branch(model, name + ".input_layernorm"),
        model.plain(name + ".mlp.dense_h_to_4h", name + ".mlp.dense_4h_to_h", true),
        branch(model, name + ".post_attention_layernorm"),
        false);
  }

  /** The factor counts 28 layers, whatever the configuration has: so the authors' code does. */
  private static Residual branch(Blueprint model, String norm) {
    return new Residual(model.norm(norm, model.hidden), null, null, true, Math.sqrt(2 * 28), 1);
  }
}
