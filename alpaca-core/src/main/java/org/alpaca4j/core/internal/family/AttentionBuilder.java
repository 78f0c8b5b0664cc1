package org.alpaca4j.core.internal.family;

import java.util.List;
import org.alpaca4j.core.internal.model.DecoderDescription.Alibi;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.HeadNorm;
import org.alpaca4j.core.internal.model.DecoderDescription.Linear;
import org.jspecify.annotations.Nullable;

/** Attention of a layer; what is not said is as in Llama. */
final class AttentionBuilder {
  private final int heads;
  private final int kvHeads;
  private final int headDim;
  private final Linear queryKeyValue;
  private final Linear output;
  private double scale;
  private int window;
  private double softcap;
  private @Nullable HeadNorm headNorm;
  private List<Integer> rotaries;
  private @Nullable Alibi alibi;

  AttentionBuilder(
      int heads, int kvHeads, int headDim, Linear queryKeyValue, Linear output, boolean rotary) {
    this.heads = heads;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.queryKeyValue = queryKeyValue;
    this.output = output;
    scale = 1 / Math.sqrt(headDim);
    rotaries = rotary ? List.of(0) : List.of();
  }

  /** Sets what query times key is multiplied by; default 1 / sqrt(headDim). */
  AttentionBuilder scale(double value) {
    scale = value;
    return this;
  }

  /** Sets the window in tokens; default 0: none. */
  AttentionBuilder window(int value) {
    window = value;
    return this;
  }

  /** Sets the soft cap of scores; default 0: none. */
  AttentionBuilder softcap(double value) {
    softcap = value;
    return this;
  }

  /** Sets the norms of queries and keys; default none. */
  AttentionBuilder headNorm(@Nullable HeadNorm value) {
    headNorm = value;
    return this;
  }

  /** Sets the places of the rotary embeddings; default the first, if there is one. */
  AttentionBuilder rotaries(Integer... places) {
    rotaries = List.of(places);
    return this;
  }

  /** Sets the biases by distance; default none. */
  AttentionBuilder alibi(@Nullable Alibi value) {
    alibi = value;
    return this;
  }

  Attention build() {
    return new Attention(
        heads,
        kvHeads,
        headDim,
        scale,
        window,
        softcap,
        queryKeyValue,
        output,
        headNorm,
        rotaries,
        alibi,
        null);
  }
}
