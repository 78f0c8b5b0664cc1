package org.alpaca4j.core.internal.family;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import org.alpaca4j.core.internal.model.DecoderDescription;

/** SmolLM3 (Hugging Face 2025): Llama with layers without positions. */
final class SmolLm3 implements Family {
  @Override
  public Profile profile() {
    return Llama.profile("SmolLM3ForCausalLM")
        .or("vocab_size", 128256)
        .or("hidden_size", 2048)
        .or("intermediate_size", 11008)
        .or("num_hidden_layers", 36)
        .or("num_attention_heads", 16)
        .or("num_key_value_heads", 4)
        .or("max_position_embeddings", 32768)
        .or("rope_theta", 2e6)
        .or("tie_word_embeddings", true)
        .or("pad_token_id", 128004)
        .tokens(128000, 128001);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    boolean bias = config.flag("attention_bias", false);
    boolean mlpBias = config.flag("mlp_bias", false);
    Blueprint model = Blueprint.rms("smollm3", config).rotary();
    boolean[] rotary = layersWithPositions(model);
    int[] windows = Windows.ifUsedWhere(model, i -> !rotary[i]);
    return model
        .layers(
            i -> {
              AttentionBuilder attention =
                  model.attention(Blueprint.layer(i) + ".self_attn", bias, bias);
              return model.llamaLayer(
                  i,
                  (rotary[i] ? attention : attention.rotaries()).window(windows[i]),
                  model.gated(Blueprint.layer(i) + ".mlp", model.intermediate, mlpBias));
            })
        .build();
  }

  /** The list has 1 for a layer with positions; without it, each so-manieth has none. */
  private static boolean[] layersWithPositions(Blueprint model) {
    boolean[] rotary = new boolean[model.layers];
    List<JsonNode> listed = model.config.perLayer("no_rope_layers", model.layers);
    int interval = model.config.size("no_rope_layer_interval", 4);
    for (int i = 0; i < rotary.length; i++) {
      rotary[i] =
          listed == null
              ? (i + 1) % interval != 0
              : model.config.integer("no_rope_layers", listed.get(i)) != 0;
    }
    return rotary;
  }
}
