package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.DecoderDescription.Order;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.alpaca4j.core.internal.model.UnitLayout.Argument;
import org.alpaca4j.core.internal.model.UnitLayout.Parameter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UnitLayoutTest {

  @Test
  void parametersFollowOneAnotherInTheirFlat() {
    UnitLayout.Builder builder = new UnitLayout.Builder("unit");
    builder.add("norm", Weight.of("n", 4), UnitLayout.PLAIN);
    builder.add("output", Weight.of("o", new Order.Transposed(), 6, 4), UnitLayout.DECAYED);
    builder.add(
        "qk", Weight.stacked(Weight.of("q", 6, 4), Weight.of("k", 2, 4)), UnitLayout.DECAYED);
    builder.add(
        "qk_bias",
        Weight.stacked(Weight.of("q.bias", 6), Weight.of("k.bias", 2)),
        UnitLayout.PLAIN);

    UnitLayout layout = builder.build();

    int matrices = UnitLayout.DECAYED;
    int vectors = UnitLayout.PLAIN;
    Order same = new Order.Same();
    assertThat(layout.parameters())
        .containsExactly(
            new Parameter("n", List.of(4L), same, vectors, 0),
            new Parameter("o", List.of(6L, 4L), new Order.Transposed(), matrices, 0),
            new Parameter("q", List.of(6L, 4L), same, matrices, 24),
            new Parameter("k", List.of(2L, 4L), same, matrices, 48),
            new Parameter("q.bias", List.of(6L), same, vectors, 4),
            new Parameter("k.bias", List.of(2L), same, vectors, 10));
    assertThat(layout.arguments())
        .containsExactly(
            new Argument("norm", List.of(4L), vectors, 0),
            new Argument("output", List.of(4L, 6L), matrices, 0),
            new Argument("qk", List.of(8L, 4L), matrices, 24),
            new Argument("qk_bias", List.of(8L), vectors, 4));
    assertThat(layout.elements()).containsExactly(56L, 0L, 12L);
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "llama with biases", "llama tied", "mistral", "qwen2", "qwen3"})
  void theArgumentsOfEveryUnitCoverItsParametersExactlyOnce(String family) {
    for (UnitLayout unit : units(family)) {
      for (int flat : List.of(UnitLayout.DECAYED, UnitLayout.PLAIN)) {
        long end = unit.elements().get(flat);
        List<long[]> parameters = new ArrayList<>();
        for (Parameter p : unit.parameters()) {
          if (p.flat() == flat) {
            parameters.add(new long[] {p.offset(), p.offset() + p.elements()});
          }
        }
        assertSeamless(unit.name() + " parameters", parameters, end);
        List<long[]> arguments = new ArrayList<>();
        for (Argument a : unit.arguments()) {
          if (a.flat() == flat) {
            long elements = a.shape().stream().reduce(1L, Math::multiplyExact);
            arguments.add(new long[] {a.offset(), a.offset() + elements});
          }
        }
        assertSeamless(unit.name() + " arguments", arguments, end);
      }
    }
  }

  private static void assertSeamless(String what, List<long[]> ranges, long end) {
    ranges.sort(Comparator.comparingLong(range -> range[0]));
    long at = 0;
    for (long[] range : ranges) {
      assertThat(range[0]).as(what).isEqualTo(at);
      at = range[1];
    }
    assertThat(at).as(what).isEqualTo(end);
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "llama with biases", "llama tied", "mistral", "qwen2", "qwen3"})
  void matricesDecayAndNormsAndBiasesDoNot(String family) {
    for (UnitLayout unit : units(family)) {
      for (Parameter parameter : unit.parameters()) {
        boolean plain =
            parameter.name().endsWith("norm.weight") || parameter.name().endsWith(".bias");
        assertThat(parameter.flat())
            .as(parameter.name())
            .isEqualTo(plain ? UnitLayout.PLAIN : UnitLayout.DECAYED);
        assertThat(parameter.shape()).as(parameter.name()).hasSize(plain ? 1 : 2);
      }
    }
  }

  @Test
  void theUnitsAreEmbeddingLayersAndHead() {
    assertThat(units("llama"))
        .extracting(UnitLayout::name)
        .containsExactly("embedding", "layer 0", "layer 1", "head");
    assertThat(names(units("llama").get(3))).containsExactly("model.norm.weight", "lm_head.weight");
    assertThat(names(units("llama tied").get(3))).containsExactly("model.norm.weight");
  }

  @Test
  void theFamiliesDifferInBiasesAndHeadNorms() {
    String attention = "model.layers.1.self_attn.";
    assertThat(names(units("llama").get(2))).hasSize(9).noneMatch(name -> name.contains("bias"));
    assertThat(names(units("llama with biases").get(2)))
        .hasSize(16)
        .contains(attention + "o_proj.bias", "model.layers.1.mlp.down_proj.bias");
    assertThat(names(units("qwen2").get(2)))
        .hasSize(12)
        .contains(attention + "v_proj.bias")
        .doesNotContain(attention + "o_proj.bias");
    assertThat(names(units("qwen3").get(2)))
        .hasSize(11)
        .contains(attention + "q_norm.weight", attention + "k_norm.weight");
  }

  private static List<String> names(UnitLayout unit) {
    return unit.parameters().stream().map(Parameter::name).toList();
  }

  private static List<UnitLayout> units(String family) {
    boolean biases = family.endsWith("with biases");
    ModelConfig.Builder config =
        ModelConfig.builder(family.split(" ", 2)[0])
            .hiddenSize(12)
            .intermediateSize(20)
            .numHiddenLayers(2)
            .numAttentionHeads(4)
            .numKeyValueHeads(2)
            .headDim(6)
            .vocabSize(31)
            .tieWordEmbeddings(family.endsWith("tied"));
    if (biases) {
      config.attentionBias(true).mlpBias(true);
    }
    DecoderDescription decoder = Internals.description(config.build());
    return DecoderLayout.units(decoder, new DecoderProgram(decoder));
  }
}
