package org.alpaca4j.data.report;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import org.alpaca4j.data.SupervisedDataset;

/**
 * How many examples have how many tokens.
 *
 * @param binWidth tokens that a bin spans
 * @param counts examples per bin: the first one counts lengths from 0 to {@code binWidth - 1}
 */
public record LengthHistogram(int binWidth, List<Integer> counts) {
  private static final int MAX_BINS = 32;
  private static final int BAR = 50;

  /** Copies the counts. */
  public LengthHistogram {
    counts = List.copyOf(counts);
  }

  /** Returns the lengths of a dataset's examples, in at most 32 bins of a round width. */
  public static LengthHistogram of(SupervisedDataset dataset) {
    Objects.requireNonNull(dataset, "dataset is null");
    int longest = dataset.report().longest();
    int width = 1;
    for (int step = 0; longest / width >= MAX_BINS; step++) {
      width = step % 3 == 1 ? width / 2 * 5 : width * 2; // 1, 2, 5, 10, 20, 50, ...
    }
    List<Integer> counts = new ArrayList<>(Collections.nCopies(longest / width + 1, 0));
    for (int i = 0; i < dataset.size(); i++) {
      int bin = dataset.length(i) / width;
      counts.set(bin, counts.get(bin) + 1);
    }
    return new LengthHistogram(width, counts);
  }

  /** Returns the histogram as lines of text, one per bin, the largest with 50 characters. */
  public String text() {
    int largest = Math.max(1, counts.stream().mapToInt(Integer::intValue).max().orElse(1));
    StringBuilder text = new StringBuilder();
    for (int bin = 0; bin < counts.size(); bin++) {
      int count = counts.get(bin);
      text.append(
          String.format(
              "%7d-%-7d %8d %s%n",
              bin * binWidth,
              (bin + 1) * binWidth - 1,
              count,
              "#".repeat((int) Math.ceil((double) BAR * count / largest))));
    }
    return text.toString();
  }
}
