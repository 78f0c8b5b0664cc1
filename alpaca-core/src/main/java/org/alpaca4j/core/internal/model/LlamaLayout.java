package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ModelConfig;

/**
 * The parameters of the Llama-like families: names, shapes, and their order in a torch program.
 *
 * @param units in order: embedding, decoder layers, head
 * @param places constants of the torch programs: which of a layer's arguments an optional one is,
 *     or -1 where the model has none
 */
public record LlamaLayout(List<UnitLayout> units, Map<String, Long> places) {
  private static final long ABSENT = -1;

  /** Lays out the parameters of a model. */
  public static LlamaLayout of(ModelConfig config) {
    long hidden = config.hiddenSize();
    List<UnitLayout> units = new ArrayList<>();
    Map<String, Long> places = new HashMap<>();

    UnitLayout.Builder embedding = new UnitLayout.Builder("embedding");
    embedding.matrix("model.embed_tokens.weight", config.vocabSize(), hidden);
    units.add(embedding.build());

    for (int i = 0; i < config.numHiddenLayers(); i++) {
      UnitLayout.Builder layer = new UnitLayout.Builder("layer " + i);
      String prefix = "model.layers." + i + ".";
      addWeights(layer, prefix, config);
      places.putAll(addOptional(layer, prefix, config)); // the same in every layer
      units.add(layer.build());
    }

    UnitLayout.Builder head = new UnitLayout.Builder("head");
    head.vector("model.norm.weight", hidden);
    if (!config.tieWordEmbeddings()) {
      head.matrix("lm_head.weight", config.vocabSize(), hidden);
    }
    units.add(head.build());
    return new LlamaLayout(List.copyOf(units), Map.copyOf(places));
  }

  /** Adds what every layer has: the programs know these arguments by their order. */
  private static void addWeights(UnitLayout.Builder layer, String prefix, ModelConfig config) {
    String attention = prefix + "self_attn.";
    String mlp = prefix + "mlp.";
    long hidden = config.hiddenSize();
    long intermediate = config.intermediateSize();
    layer.vector(prefix + "input_layernorm.weight", hidden);
    layer.stacked(
        List.of(
            attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"),
        List.of(queryRows(config), keyRows(config), keyRows(config)),
        hidden);
    layer.matrix(attention + "o_proj.weight", hidden, queryRows(config));
    layer.vector(prefix + "post_attention_layernorm.weight", hidden);
    layer.stacked(
        List.of(mlp + "gate_proj.weight", mlp + "up_proj.weight"),
        List.of(intermediate, intermediate),
        hidden);
    layer.matrix(mlp + "down_proj.weight", hidden, intermediate);
  }

  /** Adds biases and head norms, and returns where they are. */
  private static Map<String, Long> addOptional(
      UnitLayout.Builder layer, String prefix, ModelConfig config) {
    String attention = prefix + "self_attn.";
    String mlp = prefix + "mlp.";
    long hidden = config.hiddenSize();
    long intermediate = config.intermediateSize();
    long qkvBias = ABSENT;
    if (config.attentionBias()) {
      qkvBias =
          layer.concatenated(
              List.of(
                  attention + "q_proj.bias", attention + "k_proj.bias", attention + "v_proj.bias"),
              List.of(queryRows(config), keyRows(config), keyRows(config)));
    }
    long oBias = config.outputBias() ? layer.vector(attention + "o_proj.bias", hidden) : ABSENT;
    long gateUpBias = ABSENT;
    long downBias = ABSENT;
    if (config.mlpBias()) {
      gateUpBias =
          layer.concatenated(
              List.of(mlp + "gate_proj.bias", mlp + "up_proj.bias"),
              List.of(intermediate, intermediate));
      downBias = layer.vector(mlp + "down_proj.bias", hidden);
    }
    long headNorms = ABSENT;
    if (config.qkNorm()) {
      headNorms = layer.vector(attention + "q_norm.weight", config.headDim());
      layer.vector(attention + "k_norm.weight", config.headDim());
    }
    return Map.of(
        "at_qkv_bias", qkvBias,
        "at_o_bias", oBias,
        "at_gate_up_bias", gateUpBias,
        "at_down_bias", downBias,
        "at_head_norms", headNorms);
  }

  private static long queryRows(ModelConfig config) {
    return (long) config.numAttentionHeads() * config.headDim();
  }

  private static long keyRows(ModelConfig config) {
    return (long) config.numKeyValueHeads() * config.headDim();
  }
}
