package org.alpaca4j.data;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import org.alpaca4j.core.Tokenizer;

/**
 * Pads examples to one width: ids with the pad id, labels with {@link
 * SupervisedExample#IGNORE_INDEX}, and an attention mask that hides the padding.
 *
 * <p>Immutable and thread-safe.
 */
public final class PaddingCollator {

  /** The side on which rows are filled up. */
  public enum Side {
    /** After the tokens: for training. */
    RIGHT,
    /** Before the tokens: for generation, where all rows must end at the same column. */
    LEFT
  }

  /** What the attention mask hides. */
  public enum Mask {
    /** The padding, by its position. Right even where the pad token is also a real one (EOS). */
    BY_POSITION,
    /** Every pad id, as train.py does; hides real tokens that have the pad id. */
    NOT_PAD
  }

  private final int padId;
  private final Side side;
  private final int padToMultipleOf;
  private final Mask mask;

  private PaddingCollator(Builder builder, int padId) {
    this.padId = padId;
    this.side = builder.side;
    this.padToMultipleOf = builder.padToMultipleOf;
    this.mask = builder.mask;
  }

  /**
   * Returns a collator for training with this tokenizer's pad token: right side, mask by position.
   *
   * @throws DataException if the tokenizer has no pad token
   */
  public static PaddingCollator of(Tokenizer tokenizer) {
    return builder().tokenizer(tokenizer).build();
  }

  /** Returns a builder. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Pads examples to the longest of them. Each {@linkplain SupervisedExample#sequences sequence} of
   * an example is a row.
   *
   * @throws IllegalArgumentException if there is no example
   */
  public PaddedBatch collate(List<SupervisedExample> given) {
    Objects.requireNonNull(given, "given is null");
    if (given.isEmpty()) {
      throw new IllegalArgumentException("a batch needs at least one example");
    }
    List<SupervisedExample> examples =
        given.stream().flatMap(example -> example.sequences().stream()).toList();
    int longest = examples.stream().mapToInt(SupervisedExample::length).max().orElseThrow();
    int width = (longest + padToMultipleOf - 1) / padToMultipleOf * padToMultipleOf;
    int[][] ids = new int[examples.size()][width];
    int[][] labels = new int[examples.size()][width];
    int[][] attention = new int[examples.size()][width];
    float[][] weights =
        new float[SupervisedExample.weighted(examples) ? examples.size() : 0][width];
    for (int row = 0; row < ids.length; row++) {
      SupervisedExample example = examples.get(row);
      int start = side == Side.RIGHT ? 0 : width - example.length();
      Arrays.fill(ids[row], padId);
      Arrays.fill(labels[row], SupervisedExample.IGNORE_INDEX);
      System.arraycopy(example.ids(), 0, ids[row], start, example.length());
      System.arraycopy(example.labels(), 0, labels[row], start, example.length());
      for (int t = start; t < start + example.length(); t++) {
        attention[row][t] = mask == Mask.BY_POSITION || ids[row][t] != padId ? 1 : 0;
      }
      if (weights.length > 0) {
        example.putWeights(weights[row], start);
      }
    }
    return new PaddedBatch(ids, labels, attention, weights);
  }

  /** Builds a collator. Each setter can be called once. Not thread-safe. */
  public static final class Builder {
    private final OneCall calls = new OneCall();
    private OptionalInt padId = OptionalInt.empty();
    private Side side = Side.RIGHT;
    private int padToMultipleOf = 1;
    private Mask mask = Mask.BY_POSITION;

    private Builder() {}

    /**
     * Pads with this tokenizer's pad token.
     *
     * @throws DataException if it has none
     */
    public Builder tokenizer(Tokenizer tokenizer) {
      Objects.requireNonNull(tokenizer, "tokenizer is null");
      calls.firstOf("tokenizer", "tokenizer or padId");
      padId = tokenizer.padId();
      if (padId.isEmpty()) {
        throw new DataException(
            "the tokenizer names no pad token; use tokenizer.withMissingSpecialTokens(), or"
                + " padId(...) with the EOS id, which is harmless as pads are masked by position");
      }
      return this;
    }

    /** Pads with this id. */
    public Builder padId(int id) {
      calls.firstOf("padId", "tokenizer or padId");
      padId = OptionalInt.of(id);
      return this;
    }

    /** Sets the side; {@link Side#RIGHT} by default. */
    public Builder side(Side value) {
      Objects.requireNonNull(value, "side is null");
      calls.first("side");
      side = value;
      return this;
    }

    /** Rounds the width up to a multiple of this many tokens; 1 by default. */
    public Builder padToMultipleOf(int tokens) {
      calls.first("padToMultipleOf");
      if (tokens < 1) {
        throw new IllegalArgumentException("padToMultipleOf must be at least 1, found " + tokens);
      }
      padToMultipleOf = tokens;
      return this;
    }

    /** Sets what the attention mask hides; {@link Mask#BY_POSITION} by default. */
    public Builder mask(Mask value) {
      Objects.requireNonNull(value, "mask is null");
      calls.first("mask");
      mask = value;
      return this;
    }

    /**
     * Returns the collator.
     *
     * @throws IllegalArgumentException if neither tokenizer nor padId is set
     */
    public PaddingCollator build() {
      return new PaddingCollator(
          this,
          padId.orElseThrow(
              () ->
                  new IllegalArgumentException(
                      "the pad id is not set; call tokenizer(...) or padId(...)")));
    }
  }
}
