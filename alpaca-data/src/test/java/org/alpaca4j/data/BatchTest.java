package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import java.util.List;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.Test;

class BatchTest {

  private static final int IGNORE = SupervisedExample.IGNORE_INDEX;
  private static final SupervisedExample LONG =
      new SupervisedExample(new int[] {5, 6, 9}, new int[] {IGNORE, 6, 9});
  private static final SupervisedExample SHORT =
      new SupervisedExample(new int[] {7, 9}, new int[] {7, 9});

  @Test
  void padsOnTheRightAndMasksByPositionEvenWherePadIsARealToken() {
    PaddedBatch batch = PaddingCollator.builder().padId(9).build().collate(List.of(LONG, SHORT));

    assertThat(batch)
        .isEqualTo(
            new PaddedBatch(
                new int[][] {{5, 6, 9}, {7, 9, 9}},
                new int[][] {{IGNORE, 6, 9}, {7, 9, IGNORE}},
                new int[][] {{1, 1, 1}, {1, 1, 0}}));
    assertThat(batch.supervisedTokens()).isEqualTo(3);
  }

  @Test
  void masksEveryPadIdWhenAskedTo() {
    PaddedBatch batch =
        PaddingCollator.builder()
            .padId(9)
            .mask(PaddingCollator.Mask.NOT_PAD)
            .build()
            .collate(List.of(LONG, SHORT));

    assertThat(batch.attentionMask()).isDeepEqualTo(new int[][] {{1, 1, 0}, {1, 0, 0}});
  }

  @Test
  void padsOnTheLeftToAMultiple() {
    PaddedBatch batch =
        PaddingCollator.builder()
            .padId(0)
            .side(PaddingCollator.Side.LEFT)
            .padToMultipleOf(4)
            .build()
            .collate(List.of(LONG, SHORT));

    assertThat(batch)
        .isEqualTo(
            new PaddedBatch(
                new int[][] {{0, 5, 6, 9}, {0, 0, 7, 9}},
                new int[][] {{IGNORE, IGNORE, 6, 9}, {IGNORE, IGNORE, 7, 9}},
                new int[][] {{0, 1, 1, 1}, {0, 0, 1, 1}}));
  }

  @Test
  void refusesToPadWithoutAPadToken() {
    try (Tokenizer tokenizer = TestTokenizer.load()) {
      assertThatThrownBy(() -> PaddingCollator.of(tokenizer))
          .isInstanceOf(DataException.class)
          .hasMessageContaining("names no pad token")
          .hasMessageContaining("withMissingSpecialTokens");
    }
    assertThatThrownBy(() -> PaddingCollator.builder().build())
        .hasMessageContaining("the pad id is not set");
  }

  @Test
  void packsWholeExamplesEndToEnd() {
    PackedBatch batch = PackedBatch.of(List.of(LONG, SHORT));

    assertThat(batch)
        .isEqualTo(
            new PackedBatch(
                new int[] {5, 6, 9, 7, 9}, new int[] {IGNORE, 6, 9, 7, 9}, new int[] {0, 3, 5}));
    assertThat(batch.positionIds()).containsExactly(0, 1, 2, 0, 1);
    assertThat(batch.longest()).isEqualTo(3);
  }

  @Test
  void givesEachSequenceOfAnExampleAPlaceOfItsOwn() {
    SupervisedExample several = SupervisedExample.of(List.of(LONG, SHORT));

    assertThat(several.sequences()).containsExactly(LONG, SHORT);
    assertThat(PackedBatch.of(List.of(several, SHORT)))
        .isEqualTo(PackedBatch.of(List.of(LONG, SHORT, SHORT)));
    PaddingCollator collator = PaddingCollator.builder().padId(0).build();
    assertThat(collator.collate(List.of(several, SHORT)))
        .isEqualTo(collator.collate(List.of(LONG, SHORT, SHORT)));
    assertThat(several.supervisedTokens()).isEqualTo(3);
    assertThat(several.longestSequence()).isEqualTo(3);
  }

  @Test
  void refusesSequencesThatAreEmptyOrBeyondTheTokens() {
    for (int[] starts : new int[][] {{}, {1}, {0, 0}, {0, 2}}) {
      assertThatThrownBy(() -> new SupervisedExample(new int[2], new int[2], starts))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("starts must ascend");
    }
  }

  @Test
  void doesNotCountTheFirstLabelOfAnExample() {
    assertThat(PackedBatch.of(List.of(LONG, SHORT)).supervisedTokens()).isEqualTo(3);
    assertThat(SHORT.supervisedTokens()).isEqualTo(1);
  }

  @Test
  void packsByTokenBudgetWithoutCuttingAnExample() {
    List<PackedBatch> batches = PackedBatch.pack(List.of(SHORT, SHORT, LONG, SHORT), 4);

    assertThat(batches).extracting(PackedBatch::size).containsExactly(2, 1, 1);
    assertThat(PackedBatch.pack(List.of(LONG), 1)).hasSize(1);
    assertThat(PackedBatch.pack(List.of(), 1)).isEmpty();
  }

  @Test
  void refusesBordersThatDoNotMatchTheTokens() {
    assertThatThrownBy(() -> new PackedBatch(new int[2], new int[2], new int[] {0, 1}))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new PackedBatch(new int[2], new int[2], new int[] {0, 2, 2}))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void ordersAnEpochBySeedAndEpochAlone() {
    ExampleOrder order = ExampleOrder.shuffled(42);

    assertThat(order.order(10, 0)).isEqualTo(ExampleOrder.shuffled(42).order(10, 0));
    assertThat(order.order(10, 1)).isNotEqualTo(order.order(10, 0));
    assertThat(ExampleOrder.shuffled(43).order(10, 0)).isNotEqualTo(order.order(10, 0));
    assertThat(order.order(1000, 3)).doesNotHaveDuplicates().hasSize(1000);
    assertThat(ExampleOrder.SEQUENTIAL.order(3, 7)).containsExactly(0, 1, 2);
  }

  @Test
  void becomesThreeNamedArrays() {
    PaddedBatch batch = PaddingCollator.builder().padId(0).build().collate(List.of(LONG, SHORT));

    try (NDManager manager = NDManager.newBaseManager()) {
      NDList arrays = batch.toNDList(manager);
      assertThat(arrays)
          .extracting(NDArray::getName)
          .containsExactly("input_ids", "labels", "attention_mask");
      assertThat(arrays.get("input_ids").getShape().getShape()).containsExactly(2, 3);
      assertThat(arrays.get("labels").toLongArray()).containsExactly(IGNORE, 6, 9, 7, 9, IGNORE);

      float[][] weights = {{0, 0.5f, 1}, {1, 2, 0}};
      NDList weighted =
          new PaddedBatch(batch.inputIds(), batch.labels(), batch.attentionMask(), weights)
              .toNDList(manager);
      assertThat(weighted).hasSize(4);
      assertThat(weighted.get("weights").toFloatArray()).containsExactly(0, 0.5f, 1, 1, 2, 0);
    }
  }
}
