package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;

/** GPT-J (EleutherAI 2021): attention and MLP side by side, the first rotary model. */
final class GptJ implements Family {
  @Override
  public Profile profile() {
    return Gpt2.profile("GPTJForCausalLM")
        .or("vocab_size", 50400)
        .or("hidden_size", 4096)
        .or("num_hidden_layers", 28)
        .or("num_attention_heads", 16)
        .or("max_position_embeddings", 2048)
        .or("rotary_dim", 64);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    config.refuse("rotary", false);
    Blueprint model = Blueprint.of("gptj", config, Norm.Kind.LAYER, true);
    int dims = config.size("rotary_dim");
    if (dims % 2 != 0 || dims > model.headDim) {
      throw config.wrong("rotary_dim", dims, "even and at most the head's " + model.headDim);
    }
    return model
        .rotary(new Rotary(0, dims, true, 10_000, RopeScaling.DEFAULT, false, false))
        .embedding("transformer.wte")
        .layers(
            i -> {
              String name = "transformer.h." + i;
              return Blueprint.parallel(
                  model.attention(
                      model.queryKeyValue(name + ".attn", false),
                      model.linear(
                          name + ".attn.out_proj", model.hidden, model.queryRows(), false)),
                  model.norm(name + ".ln_1", model.hidden),
                  model.plain(name + ".mlp.fc_in", name + ".mlp.fc_out", true),
                  null);
            })
        .finalNorm(model.norm("transformer.ln_f", model.hidden))
        .head(model.head(true))
        .build();
  }
}
