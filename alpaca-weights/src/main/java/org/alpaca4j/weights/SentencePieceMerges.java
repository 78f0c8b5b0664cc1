package org.alpaca4j.weights;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.CheckpointException;

/**
 * The merges that a SentencePiece BPE vocabulary implies: any two pieces that make a third, best
 * score first, then longer parts first, then lower ids. So transformers converts such vocabularies
 * ({@code generate_merges}).
 */
final class SentencePieceMerges {
  /** Bounds the work on hostile files; real pieces have some thirty characters at most. */
  private static final int MAX_CHARACTERS = 256;

  private SentencePieceMerges() {}

  /** Two neighbours that become one piece. */
  record Merge(String left, String right, float score) {}

  /**
   * Returns the merges.
   *
   * @param scores as many as pieces
   * @throws CheckpointException if a piece is absurdly long
   */
  static List<Merge> of(Path file, List<String> pieces, float[] scores) {
    Map<String, Integer> ids = new HashMap<>();
    for (int id = 0; id < pieces.size(); id++) {
      ids.put(pieces.get(id), id);
    }
    List<Merge> merges = new ArrayList<>();
    for (int id = 0; id < pieces.size(); id++) {
      String piece = pieces.get(id);
      if (piece.length() > MAX_CHARACTERS) {
        throw new CheckpointException(
            file
                + ": token "
                + id
                + " has "
                + piece.length()
                + " characters, more than the "
                + MAX_CHARACTERS
                + " permitted");
      }
      List<Merge> ofPiece = new ArrayList<>();
      for (int cut = 1; cut < piece.length(); cut++) {
        String left = piece.substring(0, cut);
        String right = piece.substring(cut);
        if (ids.containsKey(left) && ids.containsKey(right)) {
          ofPiece.add(new Merge(left, right, scores[id]));
        }
      }
      ofPiece.sort(
          Comparator.<Merge, Integer>comparing(merge -> ids.get(merge.left()))
              .thenComparing(merge -> ids.get(merge.right())));
      merges.addAll(ofPiece);
    }
    merges.sort(
        Comparator.comparing(Merge::score)
            .thenComparing(merge -> merge.left().length())
            .thenComparing(merge -> merge.right().length())
            .reversed());
    return merges;
  }
}
