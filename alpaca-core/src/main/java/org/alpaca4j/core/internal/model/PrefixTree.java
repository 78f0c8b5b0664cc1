package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Examples as a tree, in which tokens that several of them begin with stand once.
 *
 * <p>In a causal model, what a layer computes for a token depends on the tokens before it alone. So
 * the preamble of a prompt template, a system message, or a prompt with several answers need not be
 * computed for each example: a beginning that examples share becomes a segment, which their own
 * segments continue. Loss and gradients are those of the examples side by side.
 */
final class PrefixTree {
  /** A shorter beginning costs about as much to look after as to compute again. */
  static final int SHORTEST = 8;

  /** The parent of a segment with which examples begin. */
  private static final int NONE = -1;

  private final int[] examples;
  private final int[] starts;
  private final int[] tokenOf;
  private final int[] ids;
  private final int[] positions;
  private final List<Long> segments = new ArrayList<>();
  private int size;

  private PrefixTree(int[] examples, int[] lengths) {
    this.examples = examples;
    starts = new int[lengths.length + 1];
    Arrays.setAll(starts, i -> i == 0 ? 0 : starts[i - 1] + lengths[i - 1]);
    tokenOf = new int[examples.length];
    ids = new int[examples.length];
    positions = new int[examples.length];
  }

  /**
   * Builds the tree.
   *
   * @param ids token ids of all examples, one after the other
   * @param lengths tokens of each example, at least 1
   * @param longest examples of more tokens are a segment each
   */
  static PrefixTree of(int[] ids, int[] lengths, long longest) {
    PrefixTree tree = new PrefixTree(ids, lengths);
    List<Integer> sharing = new ArrayList<>();
    for (int example = 0; example < lengths.length; example++) {
      if (lengths[example] <= longest) {
        sharing.add(example);
      } else {
        tree.append(List.of(example), 0, lengths[example], NONE);
      }
    }
    tree.grow(sharing, 0, NONE);
    return tree;
  }

  /** Adds what follows the first {@code depth} tokens, which these examples share. */
  private void grow(List<Integer> members, int depth, int parent) {
    Map<List<Integer>, List<Integer>> groups = new LinkedHashMap<>();
    for (int example : members) {
      groups.computeIfAbsent(next(example, depth), k -> new ArrayList<>()).add(example);
    }
    for (List<Integer> group : groups.values()) {
      int end = commonLength(group, depth);
      int segment = append(group, depth, end, parent);
      List<Integer> longer = group.stream().filter(example -> length(example) > end).toList();
      if (!longer.isEmpty()) {
        grow(longer, end, segment);
      }
    }
  }

  /** The next tokens, which a segment's examples have in common; where too few are left, a mark. */
  private List<Integer> next(int example, int depth) {
    int from = starts[example] + depth;
    int to = from + SHORTEST;
    return to <= starts[example + 1]
        ? Arrays.stream(examples, from, to).boxed().toList()
        : List.of(example);
  }

  private int length(int example) {
    return starts[example + 1] - starts[example];
  }

  private int commonLength(List<Integer> group, int depth) {
    int first = group.get(0);
    int end = length(first);
    for (int other : group.subList(1, group.size())) {
      int difference =
          Arrays.mismatch(
              examples,
              starts[first] + depth,
              starts[first] + end,
              examples,
              starts[other] + depth,
              starts[other + 1]);
      end = difference < 0 ? end : depth + difference;
    }
    return end;
  }

  /** Adds a segment: these examples' tokens from one position to another. */
  private int append(List<Integer> group, int from, int to, int parent) {
    int start = starts[group.get(0)];
    for (int position = from; position < to; position++, size++) {
      ids[size] = examples[start + position];
      positions[size] = position;
      for (int example : group) {
        tokenOf[starts[example] + position] = size;
      }
    }
    segments.add((long) to - from);
    segments.add((long) parent);
    return segments.size() / 2 - 1;
  }

  /** Returns the number of tokens that are left to compute. */
  int size() {
    return size;
  }

  /** Returns the token ids, segment by segment: [size]. */
  int[] ids() {
    return Arrays.copyOf(ids, size);
  }

  /** Returns each token's position in the examples that it belongs to: [size]. */
  int[] positions() {
    return Arrays.copyOf(positions, size);
  }

  /**
   * Returns the segments, each after its parent: [segments, 2], the number of its tokens and the
   * index of the segment that it continues, or -1.
   */
  long[] segments() {
    return segments.stream().mapToLong(Long::longValue).toArray();
  }

  /**
   * Returns where each token of the examples stands among {@link #ids}: [tokens of all examples].
   */
  int[] tokenOf() {
    return tokenOf;
  }
}
