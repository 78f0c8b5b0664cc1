package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Activation;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;

/** Gemma (Google 2024): scaled embeddings, norms that add 1 to their weights. */
final class Gemma implements Family {
  @Override
  public Profile profile() {
    return profile("GemmaForCausalLM")
        .or("vocab_size", 256000)
        .or("hidden_size", 3072)
        .or("intermediate_size", 24576)
        .or("num_hidden_layers", 28)
        .or("num_attention_heads", 16)
        .or("num_key_value_heads", 16)
        .or("max_position_embeddings", 8192);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    boolean bias = config.flag("attention_bias", false);
    Blueprint model = blueprint("gemma", config).rotary();
    model.activation(Activation.GELU, Activation.GELU_TANH); // a slip of the first upload
    return model
        .layers(
            i ->
                model.llamaLayer(
                    i,
                    model.attention(Blueprint.layer(i) + ".self_attn", bias, bias),
                    model.gated(Blueprint.layer(i) + ".mlp", model.intermediate, false)))
        .build();
  }

  /** Starts the profile of a Gemma. */
  static Profile profile(String architecture) {
    return Llama.profile(architecture)
        .or("head_dim", 256)
        .or("hidden_act", "gelu_pytorch_tanh")
        .or("tie_word_embeddings", true)
        .or("pad_token_id", 0)
        .tokens(2, 1);
  }

  /** Starts the description of a Gemma. */
  static Blueprint blueprint(String family, ConfigFields config) {
    config.refuse("use_bidirectional_attention", true);
    Blueprint model = Blueprint.of(family, config, Norm.Kind.RMS_PLUS_ONE, false);
    return model.embeddingScale(Math.sqrt(model.hidden));
  }
}
