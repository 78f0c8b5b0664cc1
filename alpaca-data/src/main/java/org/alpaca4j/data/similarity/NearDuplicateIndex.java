package org.alpaca4j.data.similarity;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Compares with those texts only that can score above a threshold.
 *
 * <p>A score above the threshold needs an LCS of some length, and so at least as many tokens in
 * common. Take each text's tokens in one order for all texts, here the rarest first: two texts with
 * that many tokens in common share one that is among the first of either ("prefix filter", S.
 * Chaudhuri et al., 2006). So a text is filed under its first tokens only, and looked up under its
 * first tokens. What is left is compared exactly.
 *
 * <p>Tokens should be numbered by {@link Vocabulary#numberByFrequency}; any other numbers give the
 * same scores more slowly.
 */
final class NearDuplicateIndex implements TextIndex {

  /** Indexes of the texts filed under a token, in ascending order. */
  private static final class Postings {
    static final Postings NONE = new Postings();

    int[] indexes = new int[4];
    int size;

    void add(int index) {
      if (size == indexes.length) {
        indexes = Arrays.copyOf(indexes, 2 * size);
      }
      indexes[size++] = index;
    }
  }

  /** What a thread needs to compare. */
  private static final class Workspace {
    final LcsMasks masks = new LcsMasks();

    /** By text, the query that looked at it last. */
    int[] lookedAt = new int[0];

    int query;
  }

  /** Below the threshold by more than any rounding. */
  private static final double ALMOST = 1 - 1e-9;

  private final ThreadLocal<Workspace> workspaces = ThreadLocal.withInitial(Workspace::new);
  private final double threshold;
  private final List<int[]> texts = new ArrayList<>();
  private int[] lengths = new int[16]; // by text
  private long[] signatures = new long[32]; // by text, two words each
  private final List<Postings> postings = new ArrayList<>(); // by token

  /** Makes an empty index that finds scores above a threshold from 0 to 1. */
  NearDuplicateIndex(double threshold) {
    this.threshold = threshold;
  }

  @Override
  public void add(int[] tokens) {
    int index = texts.size();
    texts.add(tokens);
    if (index == lengths.length) {
      lengths = Arrays.copyOf(lengths, 2 * index);
      signatures = Arrays.copyOf(signatures, 4 * index);
    }
    lengths[index] = tokens.length;
    signatures[2 * index] = signature(tokens, 0);
    signatures[2 * index + 1] = signature(tokens, 1);
    for (int token : filedUnder(tokens)) {
      while (postings.size() <= token) {
        postings.add(Postings.NONE);
      }
      if (postings.get(token) == Postings.NONE) {
        postings.set(token, new Postings());
      }
      postings.get(token).add(index);
    }
  }

  @Override
  public int size() {
    return texts.size();
  }

  @Override
  public void compare(int[] tokens, int from, Tally tally) {
    Workspace workspace = workspaces.get();
    if (workspace.lookedAt.length < texts.size()) {
      workspace.lookedAt = new int[texts.size() + texts.size() / 2];
      workspace.query = 0;
    }
    int query = ++workspace.query;
    int[] lookedAt = workspace.lookedAt;
    long low = signature(tokens, 0);
    long high = signature(tokens, 1);
    workspace.masks.set(tokens, postings.size());
    for (int token : filedUnder(tokens)) {
      boolean known = token >= 0 && token < postings.size();
      Postings found = known ? postings.get(token) : Postings.NONE;
      for (int i = found.size - 1; i >= 0 && found.indexes[i] >= from; i--) {
        int index = found.indexes[i];
        if (lookedAt[index] != query) {
          lookedAt[index] = query;
          if (mayScore(tokens.length, low, high, index)) {
            compare(tokens.length, index, workspace.masks, tally);
          }
        }
      }
    }
  }

  private boolean mayScore(int length, long low, long high, int index) {
    long otherLow = signatures[2 * index];
    long otherHigh = signatures[2 * index + 1];
    int ownOnly = Long.bitCount(low & ~otherLow) + Long.bitCount(high & ~otherHigh);
    int otherOnly = Long.bitCount(otherLow & ~low) + Long.bitCount(otherHigh & ~high);
    int most = Math.min(length - ownOnly, lengths[index] - otherOnly);
    return 2 * most >= threshold * (length + lengths[index]) * ALMOST;
  }

  private void compare(int length, int index, LcsMasks masks, Tally tally) {
    int[] text = texts.get(index);
    double score = RougeL.fMeasure(masks.common(text, 0, text.length), length, text.length);
    if (score > threshold) {
      tally.offer(index, score);
    }
  }

  /**
   * A bit for each token, several tokens sharing one: a bit that only one of two texts has stands
   * for at least one token that the other lacks. The 128 most frequent tokens have bits of their
   * own.
   */
  private static long signature(int[] tokens, int word) {
    long bits = 0;
    for (int token : tokens) {
      if ((token >>> 6 & 1) == word) {
        bits |= 1L << token;
      }
    }
    return bits;
  }

  /** The different tokens among the rarest of a text that a near duplicate must share one of. */
  private int[] filedUnder(int[] tokens) {
    int[] sorted = tokens.clone();
    Arrays.sort(sorted);
    int first = leastCommon(tokens.length) - 1;
    return Arrays.stream(sorted, Math.min(first, sorted.length), sorted.length)
        .distinct()
        .toArray();
  }

  /**
   * How many tokens a text must have in common with another one, whatever that one's length, to
   * score above the threshold; more than it has if nothing does. The best is to be contained in it.
   */
  private int leastCommon(int length) {
    int common = 1;
    while (common <= length && !(RougeL.fMeasure(common, length, common) > threshold)) {
      common++;
    }
    return common;
  }
}
