package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PrefixTreeTest {
  private static final int[] PREAMBLE = IntStream.range(100, 120).toArray();

  private static int[] followedBy(int[] beginning, int... rest) {
    int[] result = Arrays.copyOf(beginning, beginning.length + rest.length);
    System.arraycopy(rest, 0, result, beginning.length, rest.length);
    return result;
  }

  private static PrefixTree tree(long longest, int[]... examples) {
    int[] ids = Arrays.stream(examples).flatMapToInt(Arrays::stream).toArray();
    int[] lengths = Arrays.stream(examples).mapToInt(example -> example.length).toArray();
    PrefixTree tree = PrefixTree.of(ids, lengths, longest);
    requireTheSameExamples(tree, examples);
    return tree;
  }

  /** Every token is found at its position in its example, behind the tokens before it. */
  private static void requireTheSameExamples(PrefixTree tree, int[]... examples) {
    long[] segments = tree.segments();
    int[] segmentOf = new int[tree.size()];
    int[] firsts = new int[segments.length / 2];
    int at = 0;
    for (int segment = 0; segment < firsts.length; segment++) {
      firsts[segment] = at;
      Arrays.fill(segmentOf, at, at + (int) segments[2 * segment], segment);
      at += (int) segments[2 * segment];
      assertThat(segments[2 * segment + 1]).isBetween(-1L, segment - 1L);
    }
    assertThat(at).isEqualTo(tree.size());
    int token = 0;
    for (int[] example : examples) {
      for (int position = 0; position < example.length; position++, token++) {
        int row = tree.tokenOf()[token];
        assertThat(tree.ids()[row]).isEqualTo(example[position]);
        assertThat(tree.positions()[row]).isEqualTo(position);
        if (position == 0) {
          assertThat(segments[2 * segmentOf[row] + 1]).isEqualTo(-1);
        } else if (row == firsts[segmentOf[row]]) {
          long parent = segments[2 * segmentOf[row] + 1];
          int lastOfParent = (int) (firsts[(int) parent] + segments[2 * (int) parent] - 1);
          assertThat(tree.tokenOf()[token - 1]).isEqualTo(lastOfParent);
        } else {
          assertThat(tree.tokenOf()[token - 1]).isEqualTo(row - 1);
        }
      }
    }
  }

  @Test
  void whatExamplesBeginWithStandsOnce() {
    PrefixTree tree =
        tree(100, followedBy(PREAMBLE, 1, 2, 3), new int[] {7, 8}, followedBy(PREAMBLE, 4, 5));

    assertThat(tree.segments()).containsExactly(20, -1, 3, 0, 2, 0, 2, -1);
    assertThat(tree.size()).isEqualTo(27);
  }

  @Test
  void beginningsBranchAgain() {
    int[] longer = followedBy(PREAMBLE, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    PrefixTree tree =
        tree(100, followedBy(longer, 30), followedBy(PREAMBLE, 2), followedBy(longer, 31, 32));

    assertThat(tree.segments()).containsExactly(20, -1, 9, 0, 1, 1, 2, 1, 1, 0);
  }

  @Test
  void anExampleMayBeAllThatAnotherBeginsWith() {
    PrefixTree tree = tree(100, PREAMBLE, followedBy(PREAMBLE, 1), PREAMBLE);

    assertThat(tree.segments()).containsExactly(20, -1, 1, 0);
  }

  @Test
  void aFewCommonTokensAreComputedForEach() {
    PrefixTree tree = tree(100, new int[] {1, 2, 3, 4, 5, 6, 7}, new int[] {1, 2, 3, 4, 5, 6, 7});

    assertThat(tree.segments()).containsExactly(7, -1, 7, -1);
  }

  @Test
  void longExamplesStayWhole() {
    PrefixTree tree = tree(20, followedBy(PREAMBLE, 1), PREAMBLE, PREAMBLE);

    assertThat(tree.segments()).containsExactly(21, -1, 20, -1);
  }

  @Test
  void anyExamplesAreKept() {
    Random random = new Random(3);
    for (int round = 0; round < 200; round++) {
      List<int[]> examples = new ArrayList<>();
      int count = 1 + random.nextInt(9);
      for (int i = 0; i < count; i++) {
        int[] beginning =
            i > 0 && random.nextInt(4) > 0 ? examples.get(random.nextInt(i)) : PREAMBLE;
        int kept = random.nextInt(beginning.length + 1);
        int[] rest = random.ints(1 + random.nextInt(15), 0, 2).toArray();
        examples.add(followedBy(Arrays.copyOf(beginning, kept), rest));
      }
      tree(100, examples.toArray(int[][]::new));
    }
  }
}
