package org.alpaca4j.core.internal.sentencepiece;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.alpaca4j.core.TokenizerException;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel.Piece;

/**
 * Derives a BPE's list of merges from the scores of its pieces, as transformers' {@code
 * generate_merges} does: SentencePiece joins whatever two neighbours make the piece with the best
 * score; a merge list names both halves. So every way to cut a piece into two others becomes a
 * merge, ranked by the piece's score, then by the halves' ids.
 */
final class Merges {
  /** Llama 2 has 2 on average; a file made to waste memory could have as many as characters. */
  private static final int MAX_MERGES_PER_PIECE = 16;

  private Merges() {}

  /** Two pieces that become one. */
  record Merge(String left, String right) {}

  private record Candidate(Merge merge, float score, int id, int leftId, int rightId) {}

  static List<Merge> of(List<Piece> pieces, Predicate<Piece> merged, String origin) {
    Map<String, Integer> ids = new HashMap<>();
    for (int id = 0; id < pieces.size(); id++) {
      Piece piece = pieces.get(id);
      // Spaces are U+2581 by the time merges are applied: a piece with a real one never occurs,
      // and would break the list's "left right" notation.
      if (merged.test(piece) && piece.text().indexOf(' ') < 0) {
        ids.put(piece.text(), id);
      }
    }
    List<Candidate> found = new ArrayList<>();
    for (Map.Entry<String, Integer> entry : ids.entrySet()) {
      String text = entry.getKey();
      int id = entry.getValue();
      for (int cut = text.offsetByCodePoints(0, 1);
          cut < text.length();
          cut = text.offsetByCodePoints(cut, 1)) {
        Integer left = ids.get(text.substring(0, cut));
        Integer right = left == null ? null : ids.get(text.substring(cut));
        if (left != null && right != null) {
          Merge merge = new Merge(text.substring(0, cut), text.substring(cut));
          found.add(new Candidate(merge, pieces.get(id).score(), id, left, right));
        }
      }
      if (found.size() > (long) MAX_MERGES_PER_PIECE * pieces.size()) {
        throw new TokenizerException(
            origin
                + ": its pieces can be cut into each other in more than "
                + found.size()
                + " ways, which no trained model has");
      }
    }
    found.sort(
        Comparator.comparingDouble((Candidate c) -> -c.score)
            .thenComparingInt(Candidate::id)
            .thenComparingInt(Candidate::leftId)
            .thenComparingInt(Candidate::rightId));
    return found.stream().map(Candidate::merge).toList();
  }
}
