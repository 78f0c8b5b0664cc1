package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.GenerationConfig.EarlyStopping;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GenerationConfigTest {
  @TempDir private Path folder;

  private GenerationConfig load(String json) throws IOException {
    Files.writeString(folder.resolve("generation_config.json"), json);
    return GenerationConfig.load(folder);
  }

  @Test
  void readsTheOptionsOfAFile() throws IOException {
    GenerationConfig config =
        load(
            """
            {"bos_token_id": 1, "eos_token_id": [2, 7], "pad_token_id": 0, "do_sample": true,
             "temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.05, "num_beams": 1,
             "repetition_penalty": 1.05, "no_repeat_ngram_size": 3, "max_new_tokens": 9,
             "min_new_tokens": 2, "length_penalty": 0.5, "early_stopping": "never",
             "stop_strings": "###", "transformers_version": "5.23.0", "max_length": null}
            """);

    assertThat(config.eosTokenIds()).contains(List.of(2, 7));
    assertThat(config.padTokenId()).hasValue(0);
    assertThat(config.doSample()).isTrue();
    assertThat(config.temperature()).isEqualTo(0.7);
    assertThat(config.topP()).isEqualTo(0.8);
    assertThat(config.topK()).isEqualTo(20);
    assertThat(config.minP()).isEqualTo(0.05);
    assertThat(config.repetitionPenalty()).isEqualTo(1.05);
    assertThat(config.noRepeatNgramSize()).isEqualTo(3);
    assertThat(config.maxNewTokens()).isEqualTo(9);
    assertThat(config.minNewTokens()).isEqualTo(2);
    assertThat(config.lengthPenalty()).isEqualTo(0.5);
    assertThat(config.earlyStopping()).isEqualTo(EarlyStopping.NEVER);
    assertThat(config.stopStrings()).containsExactly("###");
  }

  @Test
  void hasDefaultsWhereAFolderHasNoFile() {
    GenerationConfig config = GenerationConfig.load(folder);

    assertThat(config.doSample()).isFalse();
    assertThat(config.topK()).isEqualTo(50);
    assertThat(config.maxNewTokens()).isEqualTo(512);
    assertThat(config.eosTokenIds()).isEmpty();
  }

  @Test
  void namesWhatIsNotSupportedAndTakesTheRest() throws IOException {
    GenerationConfig config =
        load("{\"typical_p\": 0.9, \"suppress_tokens\": [5], \"temprature\": 0.5, \"min_p\": 0.1}");

    assertThat(config.unsupported())
        .containsExactly("typical_p = 0.9", "suppress_tokens = [5]", "temprature = 0.5");
    assertThat(config.minP()).isEqualTo(0.1);
    assertThat(config.toBuilder().maxNewTokens(3).build().unsupported()).hasSize(3);
  }

  @Test
  void refusesMalformedValues() {
    assertThatThrownBy(() -> load("{\"top_k\": 0.5}"))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("generation_config.json")
        .hasMessageContaining("top_k");
    assertThatThrownBy(() -> load("[]")).hasMessageContaining("object");
  }

  @Test
  void takesATemperatureOfZeroWithoutSampling() throws IOException {
    GenerationConfig config =
        load("{\"do_sample\": false, \"temperature\": 0.0, \"top_p\": 1.0, \"top_k\": 1}");
    assertThat(config.doSample()).isFalse();
    assertThat(config.unsupported()).isEmpty();
  }

  @Test
  void searchesBeamsWithoutSamplingWhereAFileAsksForBoth() throws IOException {
    GenerationConfig config = load("{\"do_sample\": true, \"num_beams\": 4}");
    assertThat(config.doSample()).isFalse();
    assertThat(config.numBeams()).isEqualTo(4);
    assertThat(config.unsupported()).singleElement().asString().contains("do_sample");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"typical_p\": 1.0}",
        "{\"diversity_penalty\": 0.0, \"num_beam_groups\": 1}",
        "{\"suppress_tokens\": null}",
        "{\"suppress_tokens\": []}",
        "{\"remove_invalid_values\": false}",
        "{\"use_cache\": false}"
      })
  void acceptsUnsupportedOptionsThatAreOff(String json) throws IOException {
    assertThat(load(json).numBeams()).isEqualTo(1);
  }

  @Test
  void checksItsValues() {
    assertThatThrownBy(() -> GenerationConfig.builder().doSample(true).temperature(0).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("temperature is 0.0")
        .hasMessageContaining("doSample(false)");
    assertThatThrownBy(() -> GenerationConfig.builder().topP(1.5).build())
        .hasMessageContaining("topP");
    assertThatThrownBy(() -> GenerationConfig.builder().numBeams(2).doSample(true).build())
        .hasMessageContaining("numBeams = 2")
        .hasMessageContaining("doSample");
  }

  @Test
  void namesOptionsThatHaveNoEffect() {
    assertThat(logged(() -> GenerationConfig.builder().temperature(0.7).topP(0.9).build()))
        .contains("[temperature, topP] without effect: set doSample(true) as well");
    assertThat(logged(() -> GenerationConfig.builder().doSample(true).temperature(0.7).build()))
        .isEmpty();
  }

  private static String logged(Runnable action) {
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    PrintStream before = System.err;
    System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
    try {
      action.run();
    } finally {
      System.setErr(before);
    }
    return log.toString(StandardCharsets.UTF_8);
  }

  @Test
  void keepsItsValuesThroughABuilder() {
    GenerationConfig config = GenerationConfig.builder().topK(3).seed(5).maxLength(7).build();

    GenerationConfig copy = config.toBuilder().minP(0.1).build();

    assertThat(copy.topK()).isEqualTo(3);
    assertThat(copy.seed()).hasValue(5);
    assertThat(copy.maxLength()).hasValue(7);
    assertThat(config.minP()).isZero();
  }
}
