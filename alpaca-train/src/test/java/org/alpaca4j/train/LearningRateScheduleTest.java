package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.Map;
import org.alpaca4j.train.LearningRateSchedule.Curve;
import org.alpaca4j.train.LearningRateSchedule.Type;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LearningRateScheduleTest {

  @Test
  void theFirstStepOfAWarmUpHasRateZero() {
    assertThat(LearningRateSchedule.of(Type.COSINE, 2e-5, 37, 1218).learningRate(0)).isZero();
  }

  @Test
  void theWarmUpEndsAtTheFullRate() {
    LearningRateSchedule schedule = LearningRateSchedule.of(Type.COSINE, 2e-5, 37, 1218);

    assertThat(schedule.learningRate(36)).isLessThan(2e-5);
    assertThat(schedule.learningRate(37)).isEqualTo(2e-5);
    assertThat(schedule.learningRate(38)).isLessThan(2e-5);
  }

  @Test
  void cosineIsHalfwayDownInTheMiddleAndStaysAtZeroPastTheEnd() {
    LearningRateSchedule schedule = LearningRateSchedule.of(Type.COSINE, 1, 0, 10);

    assertThat(schedule.learningRate(5)).isCloseTo(0.5, within(1e-15));
    assertThat(schedule.learningRate(10)).isZero();
    assertThat(schedule.learningRate(15)).isZero();
  }

  @Test
  void linearFallsInAStraightLine() {
    LearningRateSchedule schedule = LearningRateSchedule.of(Type.LINEAR, 1, 0, 4);

    assertThat(schedule.learningRate(1)).isEqualTo(0.75);
    assertThat(schedule.learningRate(9)).isZero();
  }

  @Test
  void constantIgnoresTheWarmUp() {
    assertThat(LearningRateSchedule.of(Type.CONSTANT, 1e-3, 5, 10).learningRate(0)).isEqualTo(1e-3);
  }

  @Test
  void cosineWithMinLrStaysAtItsMinimumPastTheEnd() {
    LearningRateSchedule schedule =
        LearningRateSchedule.builder(Type.COSINE_WITH_MIN_LR)
            .learningRate(1e-3)
            .totalSteps(10)
            .minLearningRate(1e-4)
            .build();

    assertThat(schedule.learningRate(10)).isCloseTo(1e-4, within(1e-18));
    assertThat(schedule.learningRate(13)).isEqualTo(schedule.learningRate(10));
  }

  @Test
  void polynomialThatOnlyWarmsUpHasItsFinalRateAfterTheEnd() {
    LearningRateSchedule schedule = LearningRateSchedule.of(Type.POLYNOMIAL, 2e-5, 10, 10);

    assertThat(schedule.learningRate(9)).isCloseTo(1.8e-5, within(1e-19));
    assertThat(schedule.learningRate(10)).isCloseTo(1e-7, within(1e-20));
  }

  /** Values from get_wsd_schedule of transformers 5.23: total 10, warm-up 4, decay 4, ratio 0.1. */
  @Test
  void warmupStableDecayRisesAndFallsAlongItsCurves() {
    LearningRateSchedule schedule =
        LearningRateSchedule.builder(Type.WARMUP_STABLE_DECAY)
            .learningRate(1)
            .warmupSteps(4)
            .totalSteps(10)
            .decaySteps(4)
            .minLearningRateRatio(0.1)
            .warmupCurve(Curve.COSINE)
            .decayCurve(Curve.ONE_MINUS_SQRT)
            .build();

    double[] expected = {
      0.1,
      0.2318019484660536,
      0.5499999999999999,
      0.8681980515339464,
      1,
      1,
      1,
      0.55,
      0.36360389693210715,
      0.22057713659400527,
      0.1,
      0.1
    };
    for (int step = 0; step < expected.length; step++) {
      assertThat(schedule.learningRate(step)).isCloseTo(expected[step], within(1e-15));
    }
  }

  @Test
  void warmUpStepsAreRoundedUp() {
    assertThat(LearningRateSchedule.warmupSteps(1218, 0.03)).isEqualTo(37);
    assertThat(LearningRateSchedule.warmupSteps(100, 0.03)).isEqualTo(3);
    assertThat(LearningRateSchedule.warmupSteps(100, 0)).isZero();
  }

  @ParameterizedTest
  @EnumSource(Type.class)
  void typesHaveTheNamesOfTransformers(Type type) {
    assertThat(Type.fromName(type.hfName())).isEqualTo(type);
  }

  @Test
  void anUnknownNameIsRefusedWithThoseThatThereAre() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Type.fromName("reduce_lr_on_plateau"))
        .withMessageContainingAll("'reduce_lr_on_plateau'", "cosine_with_restarts", "linear");
  }

  @Test
  void anOptionOfAnotherTypeIsRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                LearningRateSchedule.builder(Type.LINEAR)
                    .learningRate(1e-3)
                    .totalSteps(10)
                    .numCycles(2)
                    .build())
        .withMessageContainingAll("numCycles", "linear", "cosine");
  }

  @Test
  void anOptionWithoutADefaultIsAskedFor() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LearningRateSchedule.of(Type.COSINE_WITH_MIN_LR, 1e-3, 0, 10))
        .withMessageContaining("minLearningRate");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LearningRateSchedule.of(Type.WARMUP_STABLE_DECAY, 1e-3, 0, 10))
        .withMessageContaining("decaySteps");
  }

  @Test
  void valuesOutOfRangeAreRefusedByName() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LearningRateSchedule.of(Type.COSINE, -1, 0, 10))
        .withMessageContaining("learningRate");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LearningRateSchedule.of(Type.COSINE, 1, -1, 10))
        .withMessageContaining("warmupSteps");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LearningRateSchedule.of(Type.COSINE, 1, 0, 0))
        .withMessageContaining("totalSteps");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LearningRateSchedule.of(Type.POLYNOMIAL, 1e-8, 0, 10))
        .withMessageContaining("endLearningRate");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LearningRateSchedule.warmupSteps(10, 1.5))
        .withMessageContaining("warmupRatio");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LearningRateSchedule.of(Type.COSINE, 1, 0, 10).learningRate(-1))
        .withMessageContaining("step");
  }

  @Test
  void optionsHaveTheNamesOfTransformersToo() {
    LearningRateSchedule schedule =
        LearningRateSchedule.builder(Type.POLYNOMIAL)
            .learningRate(1)
            .totalSteps(10)
            .hfOptions(Map.of("lr_end", 0.5, "power", 2))
            .build();

    assertThat(schedule.learningRate(5)).isCloseTo(0.625, within(1e-15));
  }

  @Test
  void anOptionThatTransformersDoesNotHaveIsRefusedWithThoseThatThereAre() {
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                LearningRateSchedule.builder(Type.COSINE_WITH_MIN_LR)
                    .hfOptions(Map.of("min_lr_ratio", 0.1)))
        .withMessageContainingAll("cosine_with_min_lr", "'min_lr_ratio'", "min_lr_rate");
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> LearningRateSchedule.builder(Type.LINEAR).hfOptions(Map.of("num_cycles", 1)))
        .withMessageContainingAll("linear", "'num_cycles'", "it has none");
  }

  @Test
  void anOptionOfTheWrongKindIsRefusedByName() {
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> LearningRateSchedule.builder(Type.COSINE).hfOptions(Map.of("num_cycles", "many")))
        .withMessage("num_cycles is many; it must be a number");
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                LearningRateSchedule.builder(Type.INVERSE_SQRT).hfOptions(Map.of("timescale", 1.5)))
        .withMessage("timescale is 1.5; it must be an integer");
  }
}
