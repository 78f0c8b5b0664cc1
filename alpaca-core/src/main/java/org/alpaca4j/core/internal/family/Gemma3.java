package org.alpaca4j.core.internal.family;

import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;

/** Gemma 3, the text model (Google 2025): head norms, a base of its own for local layers. */
final class Gemma3 implements Family {
  @Override
  public Profile profile() {
    return Gemma2.profile("Gemma3ForCausalLM")
        .or("vocab_size", 262208)
        .or("num_hidden_layers", 26)
        .or("max_position_embeddings", 131072)
        .or("rope_theta", 1e6);
  }

  @Override
  public DecoderDescription describe(ConfigFields config) {
    Blueprint model = Gemma.blueprint("gemma3_text", config);
    int[] windows = Windows.alternating(model, config.size("sliding_window_pattern", 6));
    RotaryFields global = RotaryFields.ofLayers(config, Windows.FULL);
    model.rotary(
        (global == null ? RotaryFields.of(config) : global)
            .rotary(model.headDim, model.maxPositions, false));
    model.rotary(local(config, model));
    return Gemma2.softcapped(model)
        .layers(
            i ->
                Gemma2.layer(
                    model,
                    i,
                    Gemma2.attention(model, i)
                        .headNorm(headNorm(model, Blueprint.layer(i) + ".self_attn"))
                        .rotaries(windows[i] > 0 ? 1 : 0)
                        .window(windows[i])))
        .build();
  }

  private static HeadNorm headNorm(Blueprint model, String name) {
    return new HeadNorm(
        model.norm(name + ".q_norm", model.headDim),
        model.norm(name + ".k_norm", model.headDim),
        HeadNorm.Span.HEAD,
        false);
  }

  /** Returns the local layers' embedding, which no scaling stretches unless it is theirs. */
  private static Rotary local(ConfigFields config, Blueprint model) {
    RotaryFields own = RotaryFields.ofLayers(config, Windows.SLIDING);
    if (own != null) {
      return own.rotary(model.headDim, model.maxPositions, false);
    }
    double theta = config.positive("rope_local_base_freq", 10_000);
    return new Rotary(0, model.headDim, false, theta, RopeScaling.DEFAULT, false, false);
  }
}
