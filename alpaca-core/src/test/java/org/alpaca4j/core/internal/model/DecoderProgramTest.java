package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DecoderProgramTest {
  /** Where the texts lie; counts from the module's folder, in which tests run. */
  private static final Path TEXTS =
      Path.of("src/test/resources/org/alpaca4j/core/internal/model/programs");

  /**
   * The text that is written for two layers: Llama's, and one that has as little as possible in
   * common with it. A change of what is written is seen here as a reader of the program sees it. To
   * accept it: {@code mvn -pl alpaca-core -am test -Dtest=DecoderProgramTest
   * -Dsurefire.failIfNoSpecifiedTests=false -Dprograms=write}, then look at the difference.
   */
  @ParameterizedTest
  @ValueSource(strings = {"llama", "experts"})
  void whatIsWrittenIsWhatWasWritten(String name) throws IOException {
    DecoderDescription decoder =
        name.equals("llama")
            ? SmallDecoders.describe("llama")
            : RandomDecoder.everythingElse().build();
    String text = new DecoderProgram(decoder).layerText(true, true);
    Path file = TEXTS.resolve(name + ".py");
    if (System.getProperty("programs", "").equals("write")) {
      Files.createDirectories(TEXTS);
      Files.writeString(file, text);
    }
    assertThat(text).as("see the comment of this test").isEqualTo(written(name));
  }

  private static String written(String name) throws IOException {
    if (System.getProperty("programs", "").equals("write")) {
      return Files.readString(TEXTS.resolve(name + ".py"));
    }
    try (InputStream in =
        DecoderProgramTest.class.getResourceAsStream("programs/" + name + ".py")) {
      assertThat(in).as("the text of " + name).isNotNull();
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  @Test
  void layersOfOneKindShareTheirMethods() {
    DecoderProgram gemma = new DecoderProgram(SmallDecoders.describe("gemma3_text"));
    assertThat((long[]) gemma.constants().get("windows")).containsExactly(3, 3, 3, 3, 3, 0);
    long[] kinds = (long[]) gemma.constants().get("kinds");
    assertThat(Arrays.copyOf(kinds, 5)).containsOnly(0);
    assertThat(kinds[5]).isEqualTo(1); // of another rotary embedding
    assertThat(gemma.layerText(true, true))
        .contains("def backward_1(")
        .doesNotContain("def backward_2(");

    DecoderProgram mistral = new DecoderProgram(SmallDecoders.describe("qwen2"));
    assertThat((long[]) mistral.constants().get("windows")).containsExactly(0, 3);
    assertThat((long[]) mistral.constants().get("kinds")).containsExactly(0, 0);
  }

  @Test
  void theLayersMethodsAreCalledByTheFilesOfTheBlocks() {
    for (String block : DecoderProgram.BLOCKS) {
      assertThat(TorchProgram.read(DecoderProgram.class, block)).contains("\n# methods\n");
    }
    for (Map.Entry<String, DecoderDescription> decoder : SmallDecoders.all().entrySet()) {
      assertThat(new DecoderProgram(decoder.getValue()).layerText(true, true))
          .as(decoder.getKey())
          .contains("def any_forward(", "def any_backward(", "def any_step(");
    }
  }
}
