package org.alpaca4j.core.internal.model;

import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.alpaca4j.core.internal.model.DecoderDescription.Positions;

/**
 * The numbers of one sequence's tokens, and how many of its first tokens see each other in both
 * directions.
 *
 * @param positions [tokens]
 * @param blocks [tokens] block positions; all 0 where a model has none
 * @param context tokens that are seen in both directions
 */
record SequencePositions(int[] positions, int[] blocks, int context) {

  /**
   * Numbers the tokens of a sequence.
   *
   * @throws IllegalArgumentException if the sequence lacks a token that its positions count from
   */
  static SequencePositions of(Positions rule, int[] ids) {
    int[] positions = new int[ids.length];
    int[] blocks = new int[ids.length];
    Arrays.setAll(positions, i -> i);
    if (!(rule instanceof Positions.Glm glm)) {
      return new SequencePositions(positions, blocks, 0);
    }
    int start = indexOf(ids, glm.sop());
    int mask = indexOf(ids, glm.gmask());
    if (mask < 0) {
      mask = indexOf(ids, glm.mask());
    }
    if (start < 0 || mask < 0) {
      throw new IllegalArgumentException(
          "the model counts positions from its mask token ("
              + glm.gmask()
              + " or "
              + glm.mask()
              + ") and its start token ("
              + glm.sop()
              + "), but the ids have "
              + (start < 0 ? "no start token" : "no mask token")
              + "; its tokenizer puts both behind the prompt");
    }
    for (int i = start; i < ids.length; i++) {
      positions[i] = mask;
      blocks[i] = i - start + 1;
    }
    return new SequencePositions(positions, blocks, start);
  }

  /** Returns the numbers of sequences that lie one after the other; their contexts are left out. */
  static SequencePositions joined(List<SequencePositions> sequences) {
    return new SequencePositions(
        joined(sequences, SequencePositions::positions),
        joined(sequences, SequencePositions::blocks),
        0);
  }

  private static int[] joined(
      List<SequencePositions> sequences, Function<SequencePositions, int[]> part) {
    return sequences.stream().flatMapToInt(one -> Arrays.stream(part.apply(one))).toArray();
  }

  /** Returns the position of the token at a place behind those that were numbered. */
  int next(int place) {
    return hasBlocks() ? positions[positions.length - 1] : place;
  }

  /** Returns the block position of the token at a place behind those that were numbered. */
  int nextBlock(int place) {
    return hasBlocks() ? blocks[blocks.length - 1] + place - blocks.length + 1 : 0;
  }

  private boolean hasBlocks() {
    return blocks[blocks.length - 1] > 0;
  }

  private static int indexOf(int[] ids, int id) {
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] == id) {
        return i;
      }
    }
    return -1;
  }
}
