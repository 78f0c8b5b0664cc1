package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LoraConfigTest {
  private static final String QUERY = "model.layers.11.self_attn.q_proj";

  @Test
  void takesAllLinearModulesUnlessTold() {
    LoraConfig config = LoraConfig.builder().build();

    assertThat(config.isAllLinear()).isTrue();
    assertThat(config.targets(QUERY)).isTrue();
    assertThat(config.scaleOf(QUERY)).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource({
    "q_proj, true",
    "self_attn.q_proj, true",
    "model.layers.11.self_attn.q_proj, true",
    "proj, false",
    "layers.1, false",
    "1.self_attn.q_proj, false"
  })
  void aNameIsTheWholeOrTheEndBehindADot(String name, boolean targeted) {
    assertThat(LoraConfig.builder().targetModules(name).build().targets(QUERY)).isEqualTo(targeted);
  }

  @ParameterizedTest
  @CsvSource({".*q_proj, true", "q_proj, false", "'.*\\.(q|v)_proj', true", ".*\\.1\\..*, false"})
  void aPatternFitsTheWholeName(String pattern, boolean targeted) {
    assertThat(LoraConfig.builder().targetPattern(pattern).build().targets(QUERY))
        .isEqualTo(targeted);
  }

  @Test
  void excludedModulesAreNotTargeted() {
    LoraConfig named = LoraConfig.builder().excludeModules(List.of("q_proj")).build();
    LoraConfig pattern = LoraConfig.builder().excludePattern(".*\\.11\\..*").build();

    assertThat(named.targets(QUERY)).isFalse();
    assertThat(pattern.targets(QUERY)).isFalse();
    assertThat(pattern.targets("model.layers.1.self_attn.q_proj")).isTrue();
  }

  @Test
  void choosesLayersByIndex() {
    LoraConfig config =
        LoraConfig.builder().targetModules("q_proj").layersToTransform(List.of(1)).build();

    assertThat(config.targets(QUERY)).isFalse();
    assertThat(config.targets("model.layers.1.self_attn.q_proj")).isTrue();
    assertThat(config.targets("model.q_proj")).isFalse();
    LoraConfig named =
        LoraConfig.builder().layersToTransform(List.of(11)).layersPattern(List.of("h")).build();
    assertThat(named.targets(QUERY)).isFalse();
    assertThat(named.targets("transformer.h.11.attn.c_attn")).isTrue();
  }

  @Test
  void ranksAndAlphasFollowPatterns() {
    LoraConfig config =
        LoraConfig.builder()
            .r(4)
            .alpha(16)
            .rankPattern(Map.of("layers.11.self_attn.q_proj", 2))
            .alphaPattern(Map.of("v_proj", 3.0))
            .build();

    assertThat(config.rankOf(QUERY)).isEqualTo(2);
    assertThat(config.scaleOf(QUERY)).isEqualTo(8);
    assertThat(config.rankOf("model.layers.1.self_attn.q_proj")).isEqualTo(4);
    assertThat(config.scaleOf("model.layers.1.self_attn.v_proj")).isEqualTo(0.75);
  }

  @Test
  void rankStabilisedScalesDivideByTheRoot() {
    LoraConfig config = LoraConfig.builder().r(8).alpha(16).useRslora(true).build();

    assertThat(config.scaleOf(QUERY)).isCloseTo(5.656854, within(1e-6));
  }

  @Test
  void refusesWhatMakesNoSense() {
    LoraConfig.Builder builder = LoraConfig.builder();

    assertThatThrownBy(() -> builder.r(0)).hasMessage("r is 0; a rank must be at least 1");
    assertThatThrownBy(() -> builder.dropout(1)).hasMessage("dropout is 1.0; it must be in [0, 1)");
    assertThatThrownBy(() -> builder.alpha(Double.NaN)).hasMessageContaining("must be finite");
    assertThatThrownBy(() -> builder.targetModules(List.of())).hasMessageContaining("is empty");
    assertThatThrownBy(() -> builder.targetPattern("("))
        .hasMessageContaining("targetPattern '(' is no regular expression");
    assertThatThrownBy(() -> builder.rankPattern(Map.of("q_proj", 0)))
        .hasMessageContaining("rankPattern q_proj is 0");
  }
}
