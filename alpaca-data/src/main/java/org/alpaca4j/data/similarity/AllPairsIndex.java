package org.alpaca4j.data.similarity;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Compares with every text. Texts of one length stand together: with the query's length given,
 * their scores depend on the LCS length alone, so scores are counted first and calculated once.
 */
final class AllPairsIndex implements TextIndex {

  /** Texts with the same number of tokens, in order of their indexes. */
  private static final class Bucket {
    final int length;
    int[] tokens = new int[0];
    int[] indexes = new int[0];
    int size;

    Bucket(int length) {
      this.length = length;
    }

    void add(int index, int[] text) {
      if (size == indexes.length) {
        int capacity = size + size / 2 + 4;
        indexes = Arrays.copyOf(indexes, capacity);
        tokens = Arrays.copyOf(tokens, Math.multiplyExact(capacity, length));
      }
      indexes[size] = index;
      System.arraycopy(text, 0, tokens, size * length, length);
      size++;
    }

    /** The place of the first text from an index on. */
    int placeOf(int index) {
      if (index == 0) {
        return 0;
      }
      int found = Arrays.binarySearch(indexes, 0, size, index);
      return found < 0 ? -found - 1 : found;
    }
  }

  /** What a thread needs to compare. */
  private static final class Workspace {
    final LcsMasks masks = new LcsMasks();
    int[] common = new int[0];
    int[] counts = new int[0];
  }

  private final ThreadLocal<Workspace> workspaces = ThreadLocal.withInitial(Workspace::new);
  private final List<Bucket> buckets = new ArrayList<>(); // by length, shortest first
  private int vocabulary;
  private int size;

  @Override
  public void add(int[] tokens) {
    for (int token : tokens) {
      vocabulary = Math.max(vocabulary, token + 1);
    }
    bucket(tokens.length).add(size++, tokens);
  }

  private Bucket bucket(int length) {
    int place = 0;
    while (place < buckets.size() && buckets.get(place).length < length) {
      place++;
    }
    if (place == buckets.size() || buckets.get(place).length > length) {
      buckets.add(place, new Bucket(length));
    }
    return buckets.get(place);
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public void compare(int[] tokens, int from, Tally tally) {
    Workspace workspace = workspaces.get();
    workspace.masks.set(tokens, vocabulary);
    for (Bucket bucket : buckets) {
      int first = bucket.placeOf(from);
      if (first < bucket.size) {
        compare(tokens.length, bucket, first, workspace, tally);
      }
    }
  }

  private static void compare(
      int length, Bucket bucket, int first, Workspace workspace, Tally tally) {
    if (workspace.common.length < bucket.size) {
      workspace.common = new int[bucket.size + bucket.size / 2];
    }
    int most = Math.min(length, bucket.length);
    if (workspace.counts.length <= most) {
      workspace.counts = new int[2 * most + 1];
    }
    int[] common = workspace.common;
    int[] counts = workspace.counts;
    workspace.masks.common(bucket.tokens, bucket.length, first, bucket.size, common);
    for (int i = first; i < bucket.size; i++) {
      counts[common[i]]++;
    }
    int wanted = most + 1;
    for (int lcs = most; lcs >= 0; lcs--) {
      if (counts[lcs] > 0) {
        double score = RougeL.fMeasure(lcs, length, bucket.length);
        tally.add(score, counts[lcs]);
        counts[lcs] = 0;
        if (tally.accepts(score)) {
          wanted = lcs;
        }
      }
    }
    if (wanted <= most) {
      for (int i = first; i < bucket.size; i++) {
        if (common[i] >= wanted) {
          tally.offer(bucket.indexes[i], RougeL.fMeasure(common[i], length, bucket.length));
        }
      }
    }
  }
}
