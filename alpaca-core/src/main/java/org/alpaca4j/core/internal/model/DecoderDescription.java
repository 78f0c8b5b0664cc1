package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.core.RopeScaling;
import org.jspecify.annotations.Nullable;

/**
 * What a decoder-only language model is made of: the blocks of each layer with their settings, and
 * the checkpoint's tensors that hold their weights. A {@code Family} makes it from a configuration;
 * {@link DecoderRecipe} makes torch programs from it. Immutable, and prints itself.
 *
 * @param family the family's name, for messages
 * @param vocabSize rows of the embedding
 * @param hiddenSize width of the residual stream
 * @param maxPositions longest sequence that the model is meant for, in tokens; learned positions
 *     permit no more
 * @param positions how tokens are numbered
 * @param embedding the first layer's input
 * @param rotaries the rotary embeddings that layers refer to by index
 * @param layers in order
 * @param finalNorm before the head, or null
 * @param head what makes logits
 */
public record DecoderDescription(
    String family,
    int vocabSize,
    int hiddenSize,
    int maxPositions,
    Positions positions,
    Embedding embedding,
    List<Rotary> rotaries,
    List<Layer> layers,
    @Nullable Norm finalNorm,
    Head head) {

  /**
   * Returns the tensors of the checkpoint, in the order of the model. A head that is the embedding
   * is not among them.
   */
  public List<FileTensor> tensors() {
    List<FileTensor> tensors = new ArrayList<>();
    add(tensors, embedding.tokens());
    add(tensors, embedding.positions());
    add(tensors, embedding.norm());
    add(tensors, embedding.projection());
    for (Layer layer : layers) {
      add(tensors, layer.aroundAttention.before);
      add(tensors, layer.attention.queryKeyValue);
      if (layer.attention.headNorm != null) {
        add(tensors, layer.attention.headNorm.query);
        add(tensors, layer.attention.headNorm.key);
      }
      add(tensors, layer.attention.prefix);
      add(tensors, layer.attention.output);
      add(tensors, layer.aroundAttention.after);
      add(tensors, layer.aroundAttention.sum);
      add(tensors, layer.aroundMlp.before);
      add(tensors, layer.mlp);
      add(tensors, layer.aroundMlp.after);
      add(tensors, layer.aroundMlp.sum);
    }
    add(tensors, finalNorm);
    add(tensors, head.projection());
    add(tensors, head.weight());
    add(tensors, head.bias());
    return tensors;
  }

  private static void add(List<FileTensor> tensors, @Nullable Weight weight) {
    if (weight != null) {
      tensors.addAll(weight.tensors);
    }
  }

  private static void add(List<FileTensor> tensors, @Nullable Linear linear) {
    if (linear != null) {
      add(tensors, linear.weight);
      add(tensors, linear.bias);
    }
  }

  private static void add(List<FileTensor> tensors, @Nullable Norm norm) {
    if (norm != null) {
      add(tensors, norm.weight);
      add(tensors, norm.bias);
    }
  }

  private static void add(List<FileTensor> tensors, Mlp mlp) {
    if (mlp instanceof Dense dense) {
      add(tensors, dense.in);
      add(tensors, dense.out);
    } else if (mlp instanceof Experts experts) {
      add(tensors, experts.router);
      add(tensors, experts.in);
      add(tensors, experts.out);
      if (experts.shared != null) {
        add(tensors, experts.shared);
      }
      add(tensors, experts.sharedGate);
    }
  }

  /** Returns the positions of the prefix that attention sees before all tokens; of all layers. */
  public int prefixLength() {
    Weight prefix = layers.get(0).attention().prefix();
    return prefix == null ? 0 : Math.toIntExact(UnitLayout.rows(prefix)) / 2;
  }

  /** How the tokens of a sequence are numbered. */
  public sealed interface Positions {
    /** 0, 1, 2, … */
    record Sequential() implements Positions {}

    /**
     * ChatGLM-6B's two positions. What comes before {@code sop} is numbered 0, 1, 2, … and is seen
     * in both directions; from {@code sop} on every token has the position of the mask token
     * ({@code gmask}, or {@code mask} where there is none), and block positions 1, 2, …
     */
    record Glm(int mask, int gmask, int sop) implements Positions {}
  }

  /**
   * A tensor of the checkpoint.
   *
   * @param name in the file
   * @param shape in the file: one or two dimensions
   * @param order how its elements lie in the file
   */
  public record FileTensor(String name, List<Long> shape, Order order) {}

  /** How a tensor's elements lie in the file, compared with the decoder's memory. */
  public sealed interface Order {
    /** As in memory. */
    record Same() implements Order {}

    /** A matrix [in, out], as GPT-2 keeps it. */
    record Transposed() implements Order {}

    /**
     * The rows are groups, each with some rows of every part: [groups, sum of parts, ...]. In
     * memory, all rows of the first part come first. GPT-NeoX keeps a head's query, key and value
     * so.
     *
     * @param groups number of groups
     * @param parts rows of each part in one group
     */
    record Grouped(int groups, List<Long> parts) implements Order {}
  }

  /**
   * A matrix [rows, columns] or a vector of the decoder: the file's tensors, one below the other.
   */
  public record Weight(List<FileTensor> tensors) {
    /** A tensor as it is in the file. */
    public static Weight of(String name, long... shape) {
      return of(name, new Order.Same(), shape);
    }

    /** A tensor in another order; the shape is the file's. */
    public static Weight of(String name, Order order, long... shape) {
      List<Long> sizes = shape.length == 1 ? List.of(shape[0]) : List.of(shape[0], shape[1]);
      return new Weight(List.of(new FileTensor(name, sizes, order)));
    }

    /** Several, one below the other. */
    public static Weight stacked(Weight... parts) {
      return stacked(List.of(parts));
    }

    /** Several, one below the other. */
    public static Weight stacked(List<Weight> parts) {
      List<FileTensor> tensors = new ArrayList<>();
      for (Weight part : parts) {
        tensors.addAll(part.tensors());
      }
      return new Weight(List.copyOf(tensors));
    }
  }

  /** Returns whether any product has an adapter: then the matrices themselves are not trained. */
  public boolean isAdapted() {
    return layers.stream().flatMap(layer -> layer.linears().stream()).anyMatch(Linear::isAdapted);
  }

  /**
   * y = x weight^T + bias, and what an adapter adds.
   *
   * @param adapter or null
   */
  public record Linear(Weight weight, @Nullable Weight bias, @Nullable LowRank adapter) {
    /** Without an adapter. */
    public Linear(Weight weight, @Nullable Weight bias) {
      this(weight, bias, null);
    }

    boolean isAdapted() {
      return adapter != null;
    }
  }

  /**
   * What LoRA (Hu et al. 2021) adds to a product with a matrix: scale * (x a^T) b^T, to all its
   * rows or to some parts of them, each with matrices of its own.
   *
   * @param down the parts' a, one below the other: [sum of ranks, in]
   * @param parts in the order of the rows
   * @param dropout share of x that training leaves out at random, the same for all parts
   */
  public record LowRank(Weight down, List<Part> parts, double dropout) {
    /**
     * Rows of the product that have an adapter.
     *
     * @param up b: [rows, rank]
     * @param firstRow the part's first row in the matrix
     * @param firstRank the part's first row in {@code down}
     * @param rank columns of b
     * @param scale of what is added
     */
    public record Part(Weight up, long firstRow, long firstRank, int rank, double scale) {}
  }

  /**
   * A normalisation over the last dimension.
   *
   * @param kind the formula
   * @param eps what is added to the mean square or the variance
   * @param weight or null: 1
   * @param bias or null: 0
   */
  public record Norm(Kind kind, double eps, @Nullable Weight weight, @Nullable Weight bias) {
    /** RMS norms have a weight and no bias. */
    public Norm {
      if (kind != Kind.LAYER && (weight == null || bias != null)) {
        throw new IllegalArgumentException(kind + " norms have a weight, and no bias");
      }
    }

    /** The formula. */
    public enum Kind {
      /** x / rms(x) * weight. */
      RMS,
      /** x / rms(x) * (1 + weight), multiplied in fp32: Gemma. */
      RMS_PLUS_ONE,
      /** (x - mean(x)) / std(x) * weight + bias. */
      LAYER
    }
  }

  /**
   * What becomes the first layer's input.
   *
   * @param tokens matrix [vocabulary, width]
   * @param width of the matrix; {@code projection} leads to the hidden size where they differ
   * @param scale what rows are multiplied by, rounded to the dtype of the weights first; 1: nothing
   * @param positions matrix of learned positions, or null
   * @param positionOffset the row of the first position
   * @param norm after the sum, or null
   * @param projection from width to hidden size, before positions are added; or null
   */
  public record Embedding(
      Weight tokens,
      int width,
      double scale,
      @Nullable Weight positions,
      int positionOffset,
      @Nullable Norm norm,
      @Nullable Linear projection) {}

  /**
   * A rotary position embedding of some dimensions of each head.
   *
   * @param first the first dimension of a head that turns
   * @param dims how many turn; even
   * @param interleaved whether neighbours are a pair; else dimension i and i + dims / 2
   * @param theta base of the wavelengths
   * @param scaling how they are stretched
   * @param blockPositions whether {@link Positions.Glm}'s block positions are used
   * @param halfFrequencies whether frequencies are rounded to float16
   */
  public record Rotary(
      int first,
      int dims,
      boolean interleaved,
      double theta,
      RopeScaling scaling,
      boolean blockPositions,
      boolean halfFrequencies) {}

  /**
   * One decoder layer: attention and MLP, one after the other or side by side.
   *
   * <p>One after the other, each branch makes {@code y = sumNorm(residualScale * r + branchScale *
   * after(f(before(x))))}; r is x, or before(x). Side by side ({@code parallel}), the result is
   * {@code x + attention(before(x)) + mlp(before(x))}, both scaled; where the MLP's {@code before}
   * is null, it takes what attention takes.
   */
  public record Layer(
      Attention attention,
      Residual aroundAttention,
      Mlp mlp,
      Residual aroundMlp,
      boolean parallel) {
    /** Returns the products with matrices that an adapter can be added to. */
    List<Linear> linears() {
      List<Linear> linears = new ArrayList<>();
      linears.add(attention.queryKeyValue);
      linears.add(attention.output);
      Dense dense = mlp instanceof Dense own ? own : ((Experts) mlp).shared;
      if (dense != null) {
        linears.add(dense.in);
        linears.add(dense.out);
      }
      return linears;
    }
  }

  /**
   * What surrounds a branch.
   *
   * @param before norm of the branch's input, or null
   * @param after norm of its output, or null
   * @param sum norm of the sum, or null
   * @param ofNormed whether the residual is the normed input
   * @param residualScale factor of the residual
   * @param branchScale factor of the branch's output
   */
  public record Residual(
      @Nullable Norm before,
      @Nullable Norm after,
      @Nullable Norm sum,
      boolean ofNormed,
      double residualScale,
      double branchScale) {
    /** The usual: x + f(norm(x)). */
    public static Residual preNorm(@Nullable Norm norm) {
      return new Residual(norm, null, null, false, 1, 1);
    }
  }

  /**
   * Attention.
   *
   * @param heads of queries
   * @param kvHeads of keys and values; divides heads
   * @param headDim width of a head
   * @param scale what query times key is multiplied by
   * @param window a token sees itself and so many - 1 before it; 0: all before it
   * @param softcap c: scores become c tanh(score / c); 0: none
   * @param queryKeyValue [(heads + 2 kvHeads) headDim, hidden]: queries, keys, values
   * @param output [hidden, heads headDim]
   * @param headNorm norms of queries and keys, or null
   * @param rotaries indices into {@link DecoderDescription#rotaries}; none: keys do not turn
   * @param alibi biases by distance, or null
   * @param prefix [2 positions, kvHeads headDim]: keys, then values, that every token sees before
   *     all others, or null
   */
  public record Attention(
      int heads,
      int kvHeads,
      int headDim,
      double scale,
      int window,
      double softcap,
      Linear queryKeyValue,
      Linear output,
      @Nullable HeadNorm headNorm,
      List<Integer> rotaries,
      @Nullable Alibi alibi,
      @Nullable Weight prefix) {}

  /**
   * Norms of queries and keys.
   *
   * @param query of the queries
   * @param key of the keys
   * @param span what is normalised at once
   * @param afterRotary after the rotary embedding instead of before it
   */
  public record HeadNorm(Norm query, Norm key, Span span, boolean afterRotary) {
    /** What is normalised at once, and the shape of the weights. */
    public enum Span {
      /** Each head; all heads share weights [headDim]. */
      HEAD,
      /** Each head; weights [heads, headDim]. */
      HEAD_WITH_OWN_WEIGHTS,
      /** The whole projection; weights [heads * headDim]. */
      PROJECTION
    }
  }

  /**
   * Attention biases that fall with the distance: slope times the key's position is added to a
   * score. Slopes are those of Press et al. 2022, also for numbers of heads that are no power of
   * two.
   *
   * @param rounded whether slopes, and slope times position, are rounded to bfloat16 (Falcon)
   * @param scaled whether the bias is multiplied by the attention's scale, too (Falcon)
   */
  public record Alibi(boolean rounded, boolean scaled) {}

  /** The feed-forward part of a layer. */
  public sealed interface Mlp {}

  /**
   * down(activation(up(x))), or gated: down(activation(gate(x)) * up(x)).
   *
   * @param gated whether {@code in} is [gate; up]
   * @param activation the nonlinearity
   * @param width columns of {@code out}
   * @param in [width, hidden], gated [2 width, hidden]
   * @param out [hidden, width]
   */
  public record Dense(boolean gated, Activation activation, int width, Linear in, Linear out)
      implements Mlp {}

  /** Nonlinearities. */
  public enum Activation {
    /** x sigmoid(x). */
    SILU,
    /** x Phi(x). */
    GELU,
    /** The tanh approximation of GELU. */
    GELU_TANH,
    /** max(x, 0). */
    RELU
  }

  /**
   * A mixture of gated experts: softmax over router logits, the best few, their outputs weighted.
   *
   * @param count of experts
   * @param perToken experts that a token goes to
   * @param renormalised whether the chosen weights are made to sum up to 1
   * @param activation of the experts
   * @param width of an expert
   * @param router [count, hidden]
   * @param in of all experts, one below the other: [count 2 width, hidden], each [gate; up]
   * @param out of all experts, one below the other: [count hidden, width]
   * @param shared an expert for every token, or null
   * @param sharedGate [1, hidden]: its output is multiplied by sigmoid(x gate^T); or null
   * @param auxiliaryLoss factor of the load-balancing loss, where training adds it
   */
  public record Experts(
      int count,
      int perToken,
      boolean renormalised,
      Activation activation,
      int width,
      Weight router,
      Weight in,
      Weight out,
      @Nullable Dense shared,
      @Nullable Weight sharedGate,
      double auxiliaryLoss)
      implements Mlp {}

  /**
   * What makes logits: {@code c tanh(l / c)} of {@code l = multiplier * (h weight^T + bias)}.
   *
   * @param projection from hidden size to the embedding's width, or null
   * @param weight matrix [vocabulary, width]; null: the embedding's own (tied)
   * @param bias or null
   * @param multiplier of the logits
   * @param softcap c, or 0: none
   * @param normalisedRows whether each row of the matrix is divided by its length (Baichuan 2)
   */
  public record Head(
      @Nullable Linear projection,
      @Nullable Weight weight,
      @Nullable Weight bias,
      double multiplier,
      double softcap,
      boolean normalisedRows) {
    /** Rows are normalised where there is no bias: lengths are divided out of the logits. */
    public Head {
      if (normalisedRows && bias != null) {
        throw new IllegalArgumentException("a head with normalised rows has no bias");
      }
    }

    /** Returns whether the embedding's matrix is used. */
    public boolean tied() {
      return weight == null;
    }
  }
}
