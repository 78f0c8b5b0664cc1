package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import org.alpaca4j.train.LearningRateSchedule.Type;
import org.junit.jupiter.api.Test;

class SftConfigTest {

  @Test
  void theScheduleOfARunHasTheConfigurationsRateAndWarmUp() {
    LearningRateSchedule schedule =
        SftConfig.builder().learningRate(1e-3).warmupRatio(0.1).build().schedule(100);

    assertThat(schedule.type()).isEqualTo(Type.COSINE);
    assertThat(schedule.warmupSteps()).isEqualTo(10);
    assertThat(schedule.totalSteps()).isEqualTo(100);
    assertThat(schedule.learningRate(10)).isEqualTo(1e-3);
    assertThat(schedule.learningRate(100)).isZero();
  }

  @Test
  void aScheduleHasOptionsOfItsOwn() {
    LearningRateSchedule.Builder options =
        LearningRateSchedule.builder(Type.COSINE_WITH_MIN_LR).minLearningRate(1e-4);
    SftConfig config = SftConfig.builder().learningRate(1e-3).schedule(options).build();
    options.minLearningRate(9e-4); // the configuration has a copy

    assertThat(config.schedule()).isEqualTo(Type.COSINE_WITH_MIN_LR);
    assertThat(config.toBuilder().build().schedule(10).learningRate(10))
        .isCloseTo(1e-4, within(1e-18));
  }

  @Test
  void aScheduleWithoutAnOptionThatItNeedsIsRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> SftConfig.builder().schedule(Type.WARMUP_STABLE_DECAY).build())
        .withMessageContaining("decaySteps (num_decay_steps)");
  }

  @Test
  void aLowestRateAboveTheHighestIsRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                SftConfig.builder()
                    .learningRate(1e-5)
                    .schedule(
                        LearningRateSchedule.builder(Type.COSINE_WITH_MIN_LR).minLearningRate(1e-4))
                    .build())
        .withMessageContainingAll("minLearningRate", "1.0E-5");
  }

  @Test
  void aScheduleWithARateOfItsOwnIsRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                SftConfig.builder()
                    .schedule(LearningRateSchedule.builder(Type.LINEAR).learningRate(1)))
        .withMessageContaining("learningRate");
  }
}
