package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.alpaca4j.core.internal.model.TrainedParameters.Run;
import org.alpaca4j.core.internal.model.UnitLayout.Argument;
import org.alpaca4j.core.internal.model.UnitLayout.Parameter;
import org.junit.jupiter.api.Test;

class TrainedParametersTest {
  private static final int MATRICES = UnitLayout.DECAYED;
  private static final int VECTORS = UnitLayout.PLAIN;

  private static final UnitLayout EMBEDDING =
      new UnitLayout.Builder("embedding")
          .add("tokens", Weight.of("tokens", 7, 4), MATRICES)
          .build();

  private static final UnitLayout LAYER =
      new UnitLayout.Builder("layer 0")
          .add("norm", Weight.of("norm", 4), VECTORS)
          .add("qkv", stacked("q", "k", "v"), MATRICES)
          .add("o", Weight.of("o", 4, 4), MATRICES)
          .add("bias", Weight.of("bias", 4), VECTORS)
          .build();

  private static Weight stacked(String... names) {
    return Weight.stacked(List.of(names).stream().map(name -> Weight.of(name, 2, 4)).toList());
  }

  private static TrainedParameters trained(String... names) {
    return TrainedParameters.of(List.of(EMBEDDING, LAYER), Set.of(names)::contains);
  }

  @Test
  void withEverythingTrainedEachFlatIsOneRunAndTheLayoutIsThatOfTheWeights() {
    TrainedParameters all = TrainedParameters.of(List.of(EMBEDDING, LAYER), name -> true);
    assertThat(all.gradients(1)).isEqualTo(LAYER);
    assertThat(all.runs(1)).containsExactly(new Run(MATRICES, 0, 0, 40), new Run(VECTORS, 0, 0, 8));
    assertThat(all.first()).isZero();
    assertThat(all.elements()).isEqualTo(28 + 40 + 8);
  }

  @Test
  void argumentsOfWhichNothingIsTrainedAreEmptyInTheirPlace() {
    TrainedParameters some = trained("o", "bias");
    UnitLayout gradients = some.gradients(1);
    assertThat(gradients.arguments())
        .containsExactly(
            new Argument("norm", List.of(0L), VECTORS, 0),
            new Argument("qkv", List.of(0L), MATRICES, 0),
            new Argument("o", List.of(4L, 4L), MATRICES, 0),
            new Argument("bias", List.of(4L), VECTORS, 0));
    assertThat(gradients.elements()).containsExactly(16L, 0L, 4L);
    assertThat(some.runs(1))
        .containsExactly(new Run(MATRICES, 24, 0, 16), new Run(VECTORS, 4, 0, 4));
  }

  @Test
  void anArgumentOfWhichAPartIsTrainedIsThereWholeAndTheRunsLeaveOutTheRest() {
    TrainedParameters some = trained("q", "v");
    UnitLayout gradients = some.gradients(1);
    assertThat(gradients.elements()).containsExactly(24L, 0L, 0L);
    assertThat(gradients.parameters()).extracting(Parameter::name).containsExactly("q", "v");
    assertThat(some.runs(1))
        .containsExactly(new Run(MATRICES, 0, 0, 8), new Run(MATRICES, 16, 16, 8));
    assertThat(some.elements()).isEqualTo(16);
  }

  @Test
  void neighboursAmongTheParametersMakeOneRun() {
    assertThat(trained("v", "o").runs(1)).containsExactly(new Run(MATRICES, 16, 16, 24));
  }

  @Test
  void theFirstTrainedUnitIsWhereTheBackwardPassEnds() {
    assertThat(trained("norm").first()).isEqualTo(1);
    assertThat(trained("tokens", "norm").first()).isZero();
    assertThat(trained().first()).isEqualTo(2);
    assertThat(trained().elements()).isZero();
  }
}
