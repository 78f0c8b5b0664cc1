package org.alpaca4j.train;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;

/**
 * Which special tokens close the answers of a dataset: a model is to stop at what it was taught.
 */
final class AnswerEnds {
  /** So many examples tell. */
  private static final int EXAMPLES = 10_000;

  private final Set<Integer> special;
  private final Tokenizer tokenizer;
  private final Map<Integer, Boolean> blank = new HashMap<>();

  private AnswerEnds(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    special =
        tokenizer.specialTokens().stream()
            .map(token -> tokenizer.tokenToId(token).orElseThrow())
            .collect(Collectors.toCollection(TreeSet::new));
    tokenizer.eosId().ifPresent(special::add);
  }

  /**
   * Returns the tokens with which examples end, or which only white space follows. One that stands
   * at the end of no more examples than were cut may be where they were cut, and does not count.
   */
  static List<Integer> of(SupervisedDataset dataset, Tokenizer tokenizer) {
    AnswerEnds ends = new AnswerEnds(tokenizer);
    Map<Integer, Integer> counts = new LinkedHashMap<>();
    int step = Math.max(1, dataset.size() / EXAMPLES);
    for (int i = 0; i < dataset.size(); i += step) {
      int end = ends.of(dataset.get(i));
      if (end >= 0) {
        counts.merge(end, step, Integer::sum);
      }
    }
    int cut = dataset.report().truncated();
    return counts.entrySet().stream()
        .filter(count -> count.getValue() > cut)
        .map(Map.Entry::getKey)
        .toList();
  }

  /** The special token at the end of what is supervised, or -1. */
  private int of(SupervisedExample example) {
    int[] labels = example.labels();
    int last = labels.length - 1;
    while (last >= 0 && (labels[last] == SupervisedExample.IGNORE_INDEX || isBlank(labels[last]))) {
      last--;
    }
    return last >= 0 && special.contains(labels[last]) ? labels[last] : -1;
  }

  private boolean isBlank(int id) {
    return !special.contains(id)
        && blank.computeIfAbsent(id, token -> tokenizer.decode(new int[] {token}, false).isBlank());
  }
}
