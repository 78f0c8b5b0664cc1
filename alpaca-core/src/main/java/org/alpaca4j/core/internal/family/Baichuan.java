package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Alibi;
import org.alpaca4j.core.internal.model.DecoderDescription.Head;

/** Baichuan 1 and 2 (Baichuan 2023): 7B with rotary positions, 13B with ALiBi. */
final class Baichuan implements Family {
  @Override
  public Profile profile() {
    return Llama.profile("BaichuanForCausalLM")
        .named("max_position_embeddings", "max_position_embeddings", "model_max_length")
        .or("vocab_size", 64000)
        .or("intermediate_size", 11008)
        .or("max_position_embeddings", 4096)
        .or("pad_token_id", 0)
        .ignore(".*\\.(future_mask|alibi_mask)")
        .tokens(1, 2);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    boolean alibi = config.name("max_position_embeddings").equals("model_max_length");
    Blueprint model = Blueprint.rms("baichuan", config);
    Head head = model.head(false);
    return (alibi ? model : model.rotary())
        .layers(
            i -> {
              String name = Blueprint.layer(i) + ".self_attn";
              return model.llamaLayer(
                  i,
                  model
                      .attention(
                          model.linear(
                              name + ".W_pack", 3 * model.queryRows(), model.hidden, false),
                          model.linear(name + ".o_proj", model.hidden, model.queryRows(), false))
                      .alibi(alibi ? new Alibi(false, false) : null),
                  model.gated(Blueprint.layer(i) + ".mlp", model.intermediate, false));
            })
        .head(new Head(null, head.weight(), null, 1, 0, isSecond(config, model.vocab)))
        .build();
  }

  /** Baichuan 2 has a larger vocabulary, and this field, whatever its value. */
  private static boolean isSecond(ConfigFields config, int vocab) {
    return vocab >= 125_696 || config.has("z_loss_weight");
  }
}
