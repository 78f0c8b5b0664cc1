package org.alpaca4j.weights.gguf;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.DecoderDescription;

/** Which tensors a model has, under their names in a Hugging Face folder and in a GGUF file. */
final class GgufLayout {
  static final String HEAD = "lm_head.weight";
  static final String ROPE_FREQS = "rope_freqs.weight";

  private GgufLayout() {}

  /**
   * A tensor under both names.
   *
   * @param checkpointName such as {@code model.layers.0.self_attn.q_proj.weight}
   * @param ggufName such as {@code blk.0.attn_q.weight}
   * @param shape its dimensions, the same on both sides
   * @param turned whether rotary embeddings turn its rows, which the llama architecture reorders
   */
  record Entry(String checkpointName, String ggufName, List<Long> shape, boolean turned) {}

  /** Returns the tensors of a model in the order of its computation; a tied head is not one. */
  static List<Entry> of(ModelConfig config) {
    boolean llama = architecture(config).equals("llama");
    long hidden = config.hiddenSize();
    long intermediate = config.intermediateSize();
    long headDim = config.headDim();
    long queries = headDim * config.numAttentionHeads();
    long keys = headDim * config.numKeyValueHeads();
    List<Entry> entries = new ArrayList<>();
    add(entries, "model.embed_tokens", "token_embd", config.vocabSize(), hidden);
    for (int layer = 0; layer < config.numHiddenLayers(); layer++) {
      String from = "model.layers." + layer + ".";
      String to = "blk." + layer + ".";
      add(entries, from + "input_layernorm", to + "attn_norm", hidden);
      Block block = new Block(entries, from, to);
      DecoderDescription.Layer described = Internals.description(config).layers().get(layer);
      boolean bias = described.attention().queryKeyValue().bias() != null;
      boolean outputBias = described.attention().output().bias() != null;
      boolean mlpBias =
          described.mlp() instanceof DecoderDescription.Dense mlp && mlp.out().bias() != null;
      block.linear("self_attn.q_proj", "attn_q", queries, hidden, bias, llama);
      block.linear("self_attn.k_proj", "attn_k", keys, hidden, bias, llama);
      block.linear("self_attn.v_proj", "attn_v", keys, hidden, bias, false);
      if (described.attention().headNorm() != null) {
        add(entries, from + "self_attn.q_norm", to + "attn_q_norm", headDim);
        add(entries, from + "self_attn.k_norm", to + "attn_k_norm", headDim);
      }
      block.linear("self_attn.o_proj", "attn_output", hidden, queries, outputBias, false);
      add(entries, from + "post_attention_layernorm", to + "ffn_norm", hidden);
      block.linear("mlp.gate_proj", "ffn_gate", intermediate, hidden, mlpBias, false);
      block.linear("mlp.up_proj", "ffn_up", intermediate, hidden, mlpBias, false);
      block.linear("mlp.down_proj", "ffn_down", hidden, intermediate, mlpBias, false);
    }
    add(entries, "model.norm", "output_norm", hidden);
    if (!config.tieWordEmbeddings()) {
      entries.add(
          new Entry(HEAD, "output.weight", List.of((long) config.vocabSize(), hidden), false));
    }
    return entries;
  }

  /** Returns the name of the architecture; llama.cpp runs Mistral models as llama. */
  static String architecture(ModelConfig config) {
    return config.modelType().equals("mistral") ? "llama" : config.modelType();
  }

  private static void add(List<Entry> entries, String from, String to, long... shape) {
    List<Long> sizes = Arrays.stream(shape).boxed().toList();
    entries.add(new Entry(from + ".weight", to + ".weight", sizes, false));
  }

  /** One layer's linear projections. */
  private record Block(List<Entry> entries, String from, String to) {
    void linear(String fromName, String toName, long out, long in, boolean bias, boolean turned) {
      String source = from + fromName;
      String target = to + toName;
      entries.add(new Entry(source + ".weight", target + ".weight", List.of(out, in), turned));
      if (bias) {
        entries.add(new Entry(source + ".bias", target + ".bias", List.of(out), turned));
      }
    }
  }
}
