package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Expected numbers: {@code LlamaRotaryEmbedding} of transformers 5.23.0 on torch 2.7.1, head_dim
 * 16, max_position_embeddings 4096, printed as shortest float32. A different {@code pow} may differ
 * in the last bit.
 */
class RopeScalingTest {
  private static void assertFrequencies(
      RopeScaling scaling, double theta, int sequenceLength, float... expected) {
    float[] actual = scaling.inverseFrequencies(theta, 16, 4096, sequenceLength);
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < expected.length; i++) {
      assertThat(actual[i]).as("pair %d", i).isCloseTo(expected[i], within(Math.ulp(expected[i])));
    }
  }

  @Test
  void theDefaultFrequenciesAreAGeometricSeries() {
    assertFrequencies(
        RopeScaling.DEFAULT,
        500000,
        1,
        1.0f,
        0.19392276f,
        0.03760603f,
        0.007292665f,
        0.0014142134f,
        0.0002742482f,
        5.3182957e-05f,
        1.0313385e-05f);
    assertThat(RopeScaling.DEFAULT.attentionScaling()).isEqualTo(1.0);
  }

  @Test
  void linearScalingDividesAllFrequencies() {
    assertFrequencies(
        RopeScaling.linear(3),
        10000,
        1,
        0.33333334f,
        0.10540926f,
        0.033333335f,
        0.010540926f,
        0.0033333332f,
        0.0010540927f,
        0.00033333336f,
        0.000105409265f);
  }

  @Test
  void dynamicScalingChangesNothingWithinTheModelsLength() {
    assertFrequencies(
        RopeScaling.dynamic(2),
        10000,
        4096,
        1.0f,
        0.31622776f,
        0.1f,
        0.03162278f,
        0.01f,
        0.0031622779f,
        0.001f,
        0.0003162278f);
  }

  @Test
  void dynamicScalingGrowsTheBaseBeyondTheModelsLength() {
    assertFrequencies(
        RopeScaling.dynamic(2),
        10000,
        10000,
        1.0f,
        0.2605171f,
        0.06786916f,
        0.017681075f,
        0.0046062223f,
        0.0011999997f,
        0.00031262042f,
        8.144296e-05f);
  }

  @Test
  void llama3KeepsHighFrequenciesAndDividesLowOnes() {
    assertFrequencies(
        RopeScaling.llama3(8, 1, 4, 512),
        10000,
        1,
        1.0f,
        0.31622776f,
        0.1f,
        0.018496677f,
        0.00125f,
        0.00039528473f,
        0.000125f,
        3.9528473e-05f);
  }

  @Test
  void yarnInterpolatesByPartsAndSharpensAttention() {
    RopeScaling yarn = RopeScaling.yarn(4, 1024);
    assertFrequencies(
        yarn,
        1000000,
        1,
        1.0f,
        0.13337095f,
        0.01581139f,
        0.0014058533f,
        0.00025f,
        4.4456985e-05f,
        7.905694e-06f,
        1.4058534e-06f);
    assertThat(yarn.attentionScaling()).isEqualTo(1.138629436111989);
  }

  @Test
  void yarnTakesItsAttentionFactorFromTwoScalesAndDoesNotRoundWhenTold() {
    RopeScaling yarn = RopeScaling.yarn(40, 1024, null, 16, 2, 1.0, 0.5, false);
    assertFrequencies(
        yarn,
        10000,
        1,
        1.0f,
        0.31622776f,
        0.1f,
        0.014825514f,
        0.00025f,
        7.905695e-05f,
        2.5e-05f,
        7.9056945e-06f);
    assertThat(yarn.attentionScaling()).isEqualTo(1.1557219901962608);
  }

  @Test
  void yarnTakesAGivenAttentionFactor() {
    RopeScaling yarn = RopeScaling.yarn(4, 1024, 1.5, 32, 1, null, null, true);
    assertFrequencies(
        yarn,
        10000,
        1,
        1.0f,
        0.31622776f,
        0.081250004f,
        0.019764237f,
        0.004375f,
        0.00079056947f,
        0.00025f,
        7.905695e-05f);
    assertThat(yarn.attentionScaling()).isEqualTo(1.5);
  }

  @Test
  void impossibleValuesAreRefused() {
    assertThatThrownBy(() -> RopeScaling.linear(0)).hasMessageContaining("factor is 0.0");
    assertThatThrownBy(() -> RopeScaling.yarn(4, 0))
        .hasMessageContaining("original_max_position_embeddings");
    assertThatThrownBy(() -> RopeScaling.llama3(8, 4, 4, 512))
        .hasMessageContaining("high_freq_factor");
  }

  @Test
  void longRopeDividesEachFrequencyByItsFactorForTheLength() {
    RopeScaling longrope =
        RopeScaling.longrope(
            32,
            4096,
            null,
            List.of(1.0, 1.0, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0),
            List.of(1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0));

    assertFrequencies(
        longrope,
        10000,
        4096,
        1.0f,
        0.316227764f,
        0.095238097f,
        0.0287479796f,
        0.00833333284f,
        0.00243252143f,
        0.00066666666f,
        0.000158113893f);
    assertFrequencies(
        longrope,
        10000,
        4097,
        1.0f,
        0.210818499f,
        0.0500000007f,
        0.010540925f,
        0.00200000009f,
        0.000395284733f,
        7.69230755e-05f,
        1.50584656e-05f);
    assertThat(longrope.attentionScaling()).isEqualTo(1.1902380714238083);
    assertThat(longrope.dependsOnLength()).isTrue();
    assertThat(RopeScaling.longrope(1, 4096, null, List.of(1.0), List.of(1.0)).attentionScaling())
        .isEqualTo(1.0);
    assertThat(RopeScaling.longrope(4, 4096, 1.5, List.of(1.0), List.of(1.0)).attentionScaling())
        .isEqualTo(1.5);
  }

  @Test
  void alphaStretchesTheBaseWhateverTheLength() {
    for (int length : new int[] {1, 1 << 20}) {
      assertFrequencies(
          RopeScaling.alpha(1000),
          10000,
          length,
          1.0f,
          0.117876865f,
          0.0138949547f,
          0.00163789373f,
          0.000193069776f,
          2.27584587e-05f,
          2.68269582e-06f,
          3.16227755e-07f);
    }
  }

  @Test
  void longRopesListsMustMatch() {
    assertThatThrownBy(() -> RopeScaling.longrope(4, 4096, null, List.of(1.0), List.of(1.0, 2.0)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("long_factor");
    assertThatThrownBy(() -> RopeScaling.longrope(4, 4096, null, List.of(0.0), List.of(1.0)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("short_factor is 0.0");
  }
}
