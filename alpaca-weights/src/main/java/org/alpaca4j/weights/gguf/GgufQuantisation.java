package org.alpaca4j.weights.gguf;

import java.util.List;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;

/**
 * Kinds of quantised GGUF files, by llama.cpp's names. {@link GgufExport} gives each matrix the
 * type that llama.cpp's own quantiser would ({@code llama_tensor_get_type} in {@code
 * llama-quant.cpp}, without an importance matrix): the kinds named {@code _M} spend more bits where
 * errors cost most. A matrix whose rows are not whole blocks of its type falls back as there: Q4_K
 * to Q5_0, Q5_K to Q5_1, Q6_K to Q8_0, and what no block of 32 divides to F16. Norms, biases,
 * routers of experts and learned positions stay F32.
 */
public enum GgufQuantisation {
  /** Q4_K, Q6_K for the head and half of values and down projections; 4.9 bits per weight. */
  Q4_K_M(GgufType.Q4_K),
  /** Q5_K, Q6_K for the head and half of values and down projections; 5.7 bits per weight. */
  Q5_K_M(GgufType.Q5_K),
  /** Q6_K; 6.6 bits per weight. */
  Q6_K(GgufType.Q6_K),
  /** Q8_0; 8.5 bits per weight. */
  Q8_0(GgufType.Q8_0);

  private static final int EIGHT_EXPERTS = 8;
  private static final int LAYERS_OF_70B = 80;

  private final GgufType base;

  GgufQuantisation(GgufType base) {
    this.base = base;
  }

  /** Returns the number of such a file ({@code llama_ftype}). */
  int fileType() {
    return base.fileType();
  }

  /** Returns the type of a matrix that is not kept in F32. */
  GgufType typeOf(
      GgufArchitecture architecture, DecoderDescription model, String name, List<Long> shape) {
    long columns = shape.get(shape.size() - 1);
    GgufType type = preferred(architecture, model, name, columns);
    if (columns % type.blockElements() == 0) {
      return type;
    }
    GgufType smaller =
        switch (type) {
          case Q4_K -> GgufType.Q5_0;
          case Q5_K -> GgufType.Q5_1;
          default -> GgufType.Q8_0;
        };
    return columns % smaller.blockElements() == 0 ? smaller : GgufType.F16;
  }

  private GgufType preferred(
      GgufArchitecture architecture, DecoderDescription model, String name, long columns) {
    boolean tied = model.head().tied();
    if (name.equals("output.weight") || (tied && name.equals("token_embd.weight"))) {
      boolean falcon = architecture == GgufArchitecture.FALCON;
      boolean whole = columns % base.blockElements() == 0;
      return falcon || !whole || base == GgufType.Q8_0 ? GgufType.Q8_0 : GgufType.Q6_K;
    }
    if (!name.startsWith("blk.")) {
      return base;
    }
    int number = Integer.parseInt(name.substring(4, name.indexOf('.', 4)));
    Layer layer = model.layers().get(number);
    boolean eight = layer.mlp() instanceof Experts experts && experts.count() == EIGHT_EXPERTS;
    String role = name.substring(name.indexOf('.', 4) + 1);
    if (role.startsWith("attn_v.") || role.startsWith("attn_qkv.")) {
      return eight ? GgufType.Q8_0 : values(architecture, model, number);
    }
    if (role.startsWith("attn_k.")) {
      return eight ? GgufType.Q8_0 : base;
    }
    if (role.startsWith("attn_output.")) {
      return eight && this == Q4_K_M ? GgufType.Q5_K : base;
    }
    return role.startsWith("ffn_down") ? down(architecture, model, number) : base;
  }

  private GgufType values(GgufArchitecture architecture, DecoderDescription model, int layer) {
    int layers = model.layers().size();
    if (isMixture() && deservesMore(layer, layers)) {
      return GgufType.Q6_K;
    }
    DecoderDescription.Attention attention = model.layers().get(layer).attention();
    boolean shared = attention.kvHeads() < attention.heads();
    boolean of70b =
        layers == LAYERS_OF_70B
            && (architecture == GgufArchitecture.QWEN2
                || (architecture == GgufArchitecture.LLAMA && shared));
    return of70b && base == GgufType.Q4_K ? GgufType.Q5_K : base;
  }

  private GgufType down(GgufArchitecture architecture, DecoderDescription model, int layer) {
    int layers = model.layers().size();
    boolean more = isMixture() && deservesMore(layer, layers);
    if (this == Q4_K_M && architecture == GgufArchitecture.FALCON) {
      return layer < layers / 16 ? GgufType.Q6_K : more ? GgufType.Q5_K : base;
    }
    return more ? GgufType.Q6_K : base;
  }

  private boolean isMixture() {
    return this == Q4_K_M || this == Q5_K_M;
  }

  /** The first and last eighth of the layers, and every third between: use_more_bits there. */
  private static boolean deservesMore(int layer, int layers) {
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
  }
}
