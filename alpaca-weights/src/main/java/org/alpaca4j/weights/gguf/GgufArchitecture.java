package org.alpaca4j.weights.gguf;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Embedding;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Mlp;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.jspecify.annotations.Nullable;

/**
 * The architectures of llama.cpp that this library's families become: what llama.cpp's program for
 * each takes and computes ({@code src/models/*.cpp} there), as far as it differs from one to the
 * next. What is common is in {@link GgufHyperparameters} and {@link GgufLayout}.
 *
 * <p>{@link #read} is what makes an export safe: it says which configuration llama.cpp's program
 * computes, and an export whose own configuration is another is refused.
 */
@SuppressWarnings("ImmutableEnumChecker") // the collections are made here and never changed
enum GgufArchitecture {
  /** Baichuan 1 and 2. Its two sizes are told apart by the number of layers. */
  BAICHUAN("baichuan", Trait.NEIGHBOURS, Trait.SPLIT, Trait.OWN_HEAD) {
    @Override
    void write(GgufKeys keys, DecoderDescription model) {
      int layers = model.layers().size();
      if (layers != ROTARY_LAYERS && layers != ALIBI_LAYERS) {
        throw refusal(layers + " layers; llama.cpp runs those of 32 (rotary) or 40 (ALiBi)");
      }
    }

    @Override
    boolean rotary(int layers) {
      return layers != ALIBI_LAYERS;
    }

    @Override
    void read(GgufReading in) {
      if (!rotary(in.layers())) {
        in.builder().remove("max_position_embeddings");
        in.builder().field("model_max_length", in.size("context_length"));
      }
    }
  },
  /** BLOOM. */
  BLOOM("bloom", Trait.LAYER_NORM, Trait.ALL_BIASES) {
    @Override
    boolean rotary(int layers) {
      return false;
    }
  },
  /** ChatGLM 2 and 3, which have one matrix for queries, keys and values; GLM, which has three. */
  CHATGLM("chatglm2 glm", Trait.NEIGHBOURS, Trait.PART_TURNS, Trait.BIAS) {
    @Override
    ModelConfig.Builder begin(GgufReading in) {
      // One model_type has two families: what tells this one must be there to begin with.
      String begin =
          """
          {"architectures": ["ChatGLMModel"], "model_type": "chatglm",
           "padded_vocab_size": 1, "num_layers": 1}
          """;
      return in.has("blk.0.attn_qkv.weight")
          ? ModelConfig.parse(begin, "The configuration").toBuilder()
          : ModelConfig.builder("glm");
    }

    @Override
    void read(GgufReading in) {
      if (!in.has("blk.0.attn_qkv.weight")) {
        in.set("attention_bias", in.has("blk.0.attn_q.bias"));
        return;
      }
      in.set("multi_query_attention", in.keyValueHeads() != in.heads());
      in.set("add_qkv_bias", in.has("blk.0.attn_qkv.bias"));
      // GGUF has the base, config.json its ratio to the usual one.
      in.set("rope_ratio", in.theta() / 10_000);
      in.set("classifier_dropout", null); // tells ChatGLM 3, which reads the ratio so
      in.builder().remove("rope_theta");
      in.requireSame("rope.dimension_count", in.headDim() / 2);
      in.builder().remove("partial_rotary_factor");
    }
  },
  /** Command R. From 64 layers on, it has norms of queries and keys. */
  COMMAND_R("cohere", Trait.LAYER_NORM, Trait.NEIGHBOURS, Trait.NO_HEAD) {
    @Override
    void write(GgufKeys keys, DecoderDescription model) {
      keys.number("logit_scale", model.head().multiplier());
    }

    @Override
    void read(GgufReading in) {
      in.set("logit_scale", in.number("logit_scale", 1));
      in.set("use_qk_norm", in.layers() >= 64);
    }
  },
  /** ERNIE 4.5. */
  ERNIE4_5("ernie4_5", Trait.NEIGHBOURS, Trait.ANY_HEADS, Trait.BIAS, Trait.OUTPUT_BIAS) {
    @Override
    void read(GgufReading in) {
      in.set("use_bias", in.has("blk.0.attn_q.bias"));
    }
  },
  /** Falcon 7B, 40B, 180B and 11B. */
  FALCON("falcon", Trait.LAYER_NORM) {
    @Override
    Map<String, String> renamed(Layer layer) {
      return layer.aroundMlp().before() == null
          ? Map.of()
          : Map.of("attn_norm", "attn_norm_2", "ffn_norm", "attn_norm");
    }

    @Override
    void write(GgufKeys keys, DecoderDescription model) {
      Layer layer = model.layers().get(0);
      if (layer.attention().alibi() != null) {
        throw refusal("ALiBi, where llama.cpp has rotary embeddings");
      }
      if (!layer.parallel()) {
        throw refusal("parallel_attn false, where llama.cpp has attention and MLP side by side");
      }
    }

    @Override
    void read(GgufReading in) {
      boolean twoNorms = in.has("blk.0.attn_norm_2.weight");
      boolean one = in.keyValueHeads() == 1;
      boolean grouped = twoNorms || !(one || in.keyValueHeads() == in.heads());
      in.set("new_decoder_architecture", grouped);
      in.set("multi_query", one);
      if (grouped) {
        in.set("num_ln_in_parallel_attn", twoNorms ? 2 : 1);
        in.set("num_kv_heads", in.keyValueHeads());
      }
      in.builder().remove("num_key_value_heads of no Falcon");
    }
  },
  /** Gemma. */
  GEMMA("gemma", Trait.ANY_HEADS, Trait.NO_HEAD, Trait.BIAS) {
    @Override
    void read(GgufReading in) {
      in.set("attention_bias", in.has("blk.0.attn_q.bias"));
    }
  },
  /** Gemma 2. Its scale of attention is another where there are 46 layers. */
  GEMMA2("gemma2", Trait.ANY_HEADS, Trait.NO_HEAD, Trait.BIAS, Trait.WINDOWS) {
    @Override
    void read(GgufReading in) {
      GEMMA.read(in);
      in.set("query_pre_attn_scalar", in.layers() == 46 ? in.hidden() / in.heads() : in.headDim());
      in.set("attn_logit_softcapping", in.number("attn_logit_softcapping", 50));
      in.set("final_logit_softcapping", in.number("final_logit_softcapping", 30));
    }

    @Override
    int defaultWindow() {
      return 4096;
    }

    @Override
    int windowPattern() {
      return 2;
    }
  },
  /** Gemma 3 for text. Its scale of attention is another where there are 62 layers. */
  GEMMA3("gemma3_text", Trait.ANY_HEADS, Trait.BIAS, Trait.WINDOWS) {
    @Override
    void write(GgufKeys keys, DecoderDescription model) {
      keys.number("rope.freq_base_swa", model.rotaries().get(1).theta());
    }

    @Override
    void read(GgufReading in) {
      GEMMA.read(in);
      in.set("query_pre_attn_scalar", in.layers() == 62 ? in.hidden() / in.heads() : in.headDim());
      double cap = in.number("final_logit_softcapping", 0);
      in.set("final_logit_softcapping", cap == 0 ? null : cap);
      in.set("rope_local_base_freq", in.number("rope.freq_base_swa", 10_000));
    }

    @Override
    int windowPattern() {
      return 6;
    }
  },
  /** GLM 4. */
  GLM4("glm4", Trait.NEIGHBOURS, Trait.ANY_HEADS, Trait.PART_TURNS, Trait.BIAS) {
    @Override
    void read(GgufReading in) {
      in.set("attention_bias", in.has("blk.0.attn_q.bias"));
    }
  },
  /** GPT-2. */
  GPT2("gpt2", Trait.LAYER_NORM, Trait.ALL_BIASES) {
    @Override
    boolean rotary(int layers) {
      return false;
    }
  },
  /** GPT-NeoX and Pythia. */
  GPTNEOX("gpt_neox", Trait.LAYER_NORM, Trait.PART_TURNS, Trait.ALL_BIASES, Trait.OWN_HEAD) {
    @Override
    void write(GgufKeys keys, DecoderDescription model) {
      keys.flag("use_parallel_residual", model.layers().get(0).parallel());
    }

    @Override
    void read(GgufReading in) {
      in.set("use_parallel_residual", in.flag("use_parallel_residual", true));
    }
  },
  /** Granite. */
  GRANITE(
      "granite",
      Trait.NEIGHBOURS,
      Trait.ANY_HEADS,
      Trait.BIAS,
      Trait.OUTPUT_BIAS,
      Trait.MLP_BIAS,
      Trait.ROPE_FACTORS) {
    @Override
    void write(GgufKeys keys, DecoderDescription model) {
      Layer layer = model.layers().get(0);
      keys.number("logit_scale", 1 / model.head().multiplier());
      keys.number("attention.scale", layer.attention().scale());
      keys.number("embedding_scale", model.embedding().scale());
      keys.number("residual_scale", layer.aroundMlp().branchScale());
    }

    @Override
    void read(GgufReading in) {
      LLAMA.read(in);
      double scale = in.number("attention.scale", 0);
      in.set("attention_multiplier", scale == 0 ? 1 / Math.sqrt(in.headDim()) : scale);
      in.set("logits_scaling", in.number("logit_scale", 1));
      in.set("embedding_multiplier", in.number("embedding_scale", 1));
      in.set("residual_multiplier", in.number("residual_scale", 1));
    }
  },
  /** Hunyuan, dense. */
  HUNYUAN_DENSE("hunyuan_v1_dense", Trait.ANY_HEADS, Trait.BIAS) {
    @Override
    void read(GgufReading in) {
      in.set("attention_bias", in.has("blk.0.attn_q.bias"));
    }
  },
  /** InternLM 2. */
  INTERNLM2("internlm2", Trait.NEIGHBOURS, Trait.SPLIT, Trait.BIAS, Trait.OWN_HEAD) {
    @Override
    void read(GgufReading in) {
      in.set("bias", in.has("blk.0.attn_q.bias"));
    }
  },
  /** Llama, Mistral and Mixtral. */
  LLAMA(
      "llama mistral mixtral",
      Trait.NEIGHBOURS,
      Trait.ANY_HEADS,
      Trait.BIAS,
      Trait.OUTPUT_BIAS,
      Trait.MLP_BIAS,
      Trait.ROPE_FACTORS) {
    @Override
    ModelConfig.Builder begin(GgufReading in) {
      boolean window = in.count("attention.sliding_window", 0) > 0;
      boolean experts = in.count("expert_count", 0) > 0;
      return ModelConfig.builder(experts ? "mixtral" : window ? "mistral" : "llama");
    }

    @Override
    void read(GgufReading in) {
      in.set("attention_bias", in.has("blk.0.attn_q.bias"));
      in.set("mlp_bias", in.has("blk.0.ffn_up.bias"));
    }
  },
  /** Phi 1, 1.5 and 2. */
  PHI2("phi", Trait.LAYER_NORM, Trait.PART_TURNS, Trait.ALL_BIASES, Trait.OWN_HEAD),
  /** Phi 3 and 4. */
  PHI3("phi3", Trait.PART_TURNS, Trait.ROPE_FACTORS) {
    @Override
    void write(GgufKeys keys, DecoderDescription model) {
      keys.size("attention.sliding_window", 0); // stays where there is no window: Phi 4
    }
  },
  /** Qwen 1. */
  QWEN("qwen", Trait.OWN_HEAD, Trait.BIAS) {
    @Override
    int feedForward(DecoderDescription model) {
      return 2 * super.feedForward(model); // gate and up together, as in its config.json
    }
  },
  /** Qwen 2. */
  QWEN2("qwen2", Trait.BIAS, Trait.SWITCH),
  /** Qwen 1.5 and 2 with experts. */
  QWEN2MOE("qwen2_moe", Trait.BIAS, Trait.OWN_HEAD, Trait.SWITCH) {
    @Override
    void read(GgufReading in) {
      in.set("qkv_bias", in.has("blk.0.attn_q.bias"));
      in.set(
          "shared_expert_intermediate_size",
          in.count("expert_shared_feed_forward_length", in.size("feed_forward_length")));
    }
  },
  /** Qwen 3. */
  QWEN3("qwen3", Trait.ANY_HEADS, Trait.SWITCH),
  /** Qwen 3 with experts. */
  QWEN3MOE("qwen3_moe", Trait.ANY_HEADS, Trait.SWITCH) {
    @Override
    void read(GgufReading in) {
      in.set("norm_topk_prob", true);
    }
  },
  /** SmolLM3. */
  SMOLLM3("smollm3", Trait.NEIGHBOURS, Trait.ANY_HEADS, Trait.BIAS, Trait.SWITCH) {
    @Override
    void read(GgufReading in) {
      in.set("attention_bias", in.has("blk.0.attn_q.bias"));
    }
  },
  /** StarCoder 2. */
  STARCODER2("starcoder2", Trait.LAYER_NORM, Trait.ALL_BIASES);

  private static final int ROTARY_LAYERS = 32;
  private static final int ALIBI_LAYERS = 40;

  /** In what an architecture differs from others; without any it is as Qwen 3, without biases. */
  private enum Trait {
    /** Norms are LayerNorm, not RMSNorm. */
    LAYER_NORM,
    /** Rotary embeddings turn neighbours, not one half of a head with the other. */
    NEIGHBOURS,
    /** Rotary embeddings may turn a part of a head. */
    PART_TURNS,
    /** The head may have another width than the hidden size divided by the heads. */
    ANY_HEADS,
    /** One matrix for queries, keys and values becomes three. */
    SPLIT,
    /** Queries, keys and values may have a bias. */
    BIAS,
    /** The attention's output may have a bias. */
    OUTPUT_BIAS,
    /** The MLP may have biases. */
    MLP_BIAS,
    /** All these biases must be there. */
    ALL_BIASES,
    /** The head must be a matrix of its own. */
    OWN_HEAD,
    /** The head must be the embedding. */
    NO_HEAD,
    /** Rotary frequencies may be divided by numbers in a tensor. */
    ROPE_FACTORS,
    /** Sliding windows are computed; elsewhere they are only noted. */
    WINDOWS,
    /** A {@code config.json} has a window only with {@code use_sliding_window}. */
    SWITCH
  }

  private final List<String> families;
  private final Set<Trait> traits;

  /**
   * @param families the families that become it, the first one also when it is read
   */
  GgufArchitecture(String families, Trait... traits) {
    this.families = List.of(families.split(" "));
    this.traits = EnumSet.noneOf(Trait.class);
    this.traits.addAll(List.of(traits));
  }

  /** Returns the name in a file ({@code general.architecture}). */
  String ggufName() {
    return this == COMMAND_R || this == HUNYUAN_DENSE
        ? name().toLowerCase(Locale.ROOT).replace('_', '-')
        : name().toLowerCase(Locale.ROOT);
  }

  /**
   * Returns what a model becomes.
   *
   * @throws UnsupportedModelException if llama.cpp has no program for its family
   */
  static GgufArchitecture of(ModelConfig config) {
    String family = Internals.description(config).family();
    for (GgufArchitecture architecture : values()) {
      if (architecture.families.contains(family)) {
        return architecture;
      }
    }
    throw new UnsupportedModelException(
        "A model of family "
            + (family.equals("chatglm") ? "chatglm (the first ChatGLM-6B)" : family)
            + " cannot be exported: llama.cpp has no such model; it has "
            + String.join(", ", Arrays.stream(values()).flatMap(a -> a.families.stream()).toList())
            + ". Keep the checkpoint folder, which transformers reads");
  }

  /** Returns the architecture of a name in a file. */
  static Optional<GgufArchitecture> named(String name) {
    return Arrays.stream(values()).filter(a -> a.ggufName().equals(name)).findFirst();
  }

  /** Returns all names, for messages. */
  static String names() {
    return String.join(", ", Arrays.stream(values()).map(GgufArchitecture::ggufName).toList());
  }

  /** Returns an error about a model that llama.cpp does not compute as it is. */
  UnsupportedModelException refusal(String what) {
    return new UnsupportedModelException(
        "The "
            + families.get(0)
            + " model cannot be exported as GGUF architecture "
            + ggufName()
            + ": it has "
            + what);
  }

  boolean turnsNeighbours() {
    return traits.contains(Trait.NEIGHBOURS);
  }

  boolean splitsQueryKeyValue() {
    return traits.contains(Trait.SPLIT);
  }

  boolean turnsParts() {
    return traits.contains(Trait.PART_TURNS);
  }

  boolean computesWindows() {
    return traits.contains(Trait.WINDOWS);
  }

  boolean switchesWindows() {
    return traits.contains(Trait.SWITCH);
  }

  boolean readsRopeFactors() {
    return traits.contains(Trait.ROPE_FACTORS);
  }

  /** Returns whether a model without {@code output.weight} is meant, whatever the file has. */
  boolean alwaysTied() {
    return traits.contains(Trait.NO_HEAD);
  }

  /** Returns the key of what norms add. */
  String epsilonKey() {
    return traits.contains(Trait.LAYER_NORM)
        ? "attention.layer_norm_epsilon"
        : "attention.layer_norm_rms_epsilon";
  }

  /**
   * Refuses a model with weights that llama.cpp would not look for, or without ones that it needs.
   *
   * @throws UnsupportedModelException if so
   */
  void requireWeights(DecoderDescription model) {
    boolean tied = model.head().tied();
    if (traits.contains(Trait.OWN_HEAD) && tied) {
      throw refusal(
          "tied embeddings, where llama.cpp needs a head of its own; copy the embedding to one and"
              + " set tie_word_embeddings to false");
    }
    if (traits.contains(Trait.NO_HEAD) && !tied) {
      throw refusal("a head of its own, where llama.cpp takes the embedding");
    }
    Embedding embedding = model.embedding();
    if (embedding.projection() != null || model.head().projection() != null) {
      throw refusal("a projection of embeddings");
    }
    for (Layer layer : model.layers()) {
      bias(Trait.BIAS, "queries, keys and values", layer.attention().queryKeyValue().bias());
      bias(Trait.OUTPUT_BIAS, "the attention's output", layer.attention().output().bias());
      Mlp mlp = layer.mlp();
      if (mlp instanceof Dense dense) {
        bias(Trait.MLP_BIAS, "the MLP", dense.in().bias());
        bias(Trait.MLP_BIAS, "the MLP", dense.out().bias());
      }
      int width = layer.attention().heads() * layer.attention().headDim();
      if (!traits.contains(Trait.ANY_HEADS) && width != model.hiddenSize()) {
        throw refusal(
            "head_dim "
                + layer.attention().headDim()
                + ", where llama.cpp takes the hidden size divided by the heads");
      }
    }
  }

  private void bias(Trait trait, String of, @Nullable Weight bias) {
    boolean needed = traits.contains(Trait.ALL_BIASES);
    if (bias != null && !needed && !traits.contains(trait)) {
      throw refusal("a bias of " + of + ", which llama.cpp does not add");
    }
    if (bias == null && needed) {
      throw refusal("no bias of " + of + ", which llama.cpp needs");
    }
  }

  // What some architectures have of their own.

  /** Returns other names of a layer's tensors. */
  Map<String, String> renamed(Layer layer) {
    return Map.of();
  }

  /** Returns whether there are rotary embeddings. */
  boolean rotary(int layers) {
    return true;
  }

  /** Returns what the file calls the width of the MLP. */
  int feedForward(DecoderDescription model) {
    Mlp mlp = model.layers().get(0).mlp();
    if (mlp instanceof Experts experts) {
      // llama.cpp divides it by the experts of a token where the file does not say their width.
      return this == LLAMA ? experts.width() : experts.width() * experts.perToken();
    }
    return ((Dense) mlp).width();
  }

  /** Returns the window where the file says none. */
  int defaultWindow() {
    return 0;
  }

  /** Returns n: without a pattern in the file, all but each n-th layer have a window. 0: all. */
  int windowPattern() {
    return 0;
  }

  /** Writes keys that others lack. */
  void write(GgufKeys keys, DecoderDescription model) {}

  /** Begins the configuration of a model in a file. */
  ModelConfig.Builder begin(GgufReading in) {
    return ModelConfig.builder(families.get(0));
  }

  /** Sets fields that others lack. */
  void read(GgufReading in) {}
}
