package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PromptTemplateTest {

  @TempDir Path folder;

  @Test
  void rendersAlpacasPromptWithInput() {
    assertThat(PromptTemplate.ALPACA.render("Add.", "1 2"))
        .isEqualTo(
            "Below is an instruction that describes a task, paired with an input that provides"
                + " further context. Write a response that appropriately completes the request."
                + "\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:");
  }

  @Test
  void rendersAlpacasPromptWithoutInput() {
    String expected =
        "Below is an instruction that describes a task. Write a response that appropriately"
            + " completes the request.\n\n### Instruction:\nHi\n\n### Response:";

    assertThat(PromptTemplate.ALPACA.render("Hi", "")).isEqualTo(expected);
    assertThat(PromptTemplate.ALPACA.render("Hi", null)).isEqualTo(expected);
  }

  @Test
  void takesWhiteSpaceAsAnInput() {
    assertThat(PromptTemplate.ALPACA.render("Hi", " ")).contains("### Input:\n \n");
  }

  @Test
  void fillsFieldsOnce() {
    PromptTemplate template = PromptTemplate.of("{instruction}{input}{x}", "{instruction}");

    assertThat(template.render("{input}$1\\", "{instruction}"))
        .isEqualTo("{input}$1\\{instruction}{x}");
  }

  @Test
  void refusesPatternsThatWouldLoseAField() {
    assertThatThrownBy(() -> PromptTemplate.of("{instruction}", "{instruction}"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("withInput lacks {input}");
    assertThatThrownBy(() -> PromptTemplate.of("{instruction}{input}", "{instruction}{input}"))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> PromptTemplate.of("{instruction}{input}", "x"))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void comesBackFromACheckpointFolder() {
    PromptTemplate template =
        PromptTemplate.of("\u95EE\uFF1A{instruction}\n{input}\"", "{instruction}\t");

    template.save(folder.resolve("checkpoint"));

    assertThat(PromptTemplate.load(folder.resolve("checkpoint"))).hasValue(template);
    assertThat(PromptTemplate.load(folder)).isEmpty();
    assertThat(PromptTemplate.fromJson(template.toJson())).isEqualTo(template);
  }

  @Test
  void namesTheFileThatIsMalformed() throws IOException {
    Path file = folder.resolve("prompt_template.json");

    Files.writeString(file, "{\"with_input\": 1}");
    assertThatThrownBy(() -> PromptTemplate.load(folder))
        .isInstanceOf(AlpacaException.class)
        .hasMessage(file + ": expected a string in the field \"with_input\"");

    Files.writeString(file, "{");
    assertThatThrownBy(() -> PromptTemplate.load(folder))
        .isInstanceOf(AlpacaException.class)
        .hasMessageContaining(file + ": not readable as JSON");

    Files.writeString(file, "{\"with_input\": \"x\", \"without_input\": \"y\"}");
    assertThatThrownBy(() -> PromptTemplate.load(folder))
        .isInstanceOf(AlpacaException.class)
        .hasMessageContaining("lacks {instruction}");
  }
}
