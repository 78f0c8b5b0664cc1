package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConvertGgufTest {
  @TempDir Path folder;
  private String model;
  private String file;
  private Path back;

  @BeforeEach
  void makeModel() {
    model = TinyCheckpoint.write(folder.resolve("model")).toString();
    file = folder.resolve("model.gguf").toString();
    back = folder.resolve("back");
  }

  private static CommandRun convert(String... arguments) {
    return CommandRun.of(new ConvertGguf(), arguments);
  }

  @Test
  void thereAndBackKeepsWeightsAndTokenizer() {
    CommandRun there = convert(model, file, "--pre", "gpt-2");
    assertThat(there.exitCode()).as(there.err()).isZero();
    CommandRun run = convert(file, back.toString());
    assertThat(run.exitCode()).as(run.err()).isZero();

    try (Checkpoint before = Checkpoint.open(Path.of(model));
        Checkpoint after = Checkpoint.open(back)) {
      assertThat(after.names()).isEqualTo(before.names());
      for (String name : before.names()) {
        assertThat(after.map(name)).as(name).isEqualTo(before.map(name));
      }
    }
    try (Tokenizer before = Tokenizer.load(Path.of(model));
        Tokenizer after = Tokenizer.load(back)) {
      String text = "<|im_start|>user\nHello, 世界!<|im_end|>";
      assertThat(after.encodeIds(text, true)).isEqualTo(before.encodeIds(text, true));
    }
  }

  @Test
  void refusesTypesItCannotMake() {
    assertThat(convert(model, file, "--type", "Q3_K").exitCode()).isEqualTo(ExampleCommand.REFUSED);
    assertThat(convert(model, file, "--type", "Q4_K").err()).contains("Q4_K cannot be written");
    CommandRun quantised = convert(file, back.toString(), "--type", "Q8_0");
    assertThat(quantised.exitCode()).isEqualTo(ExampleCommand.REFUSED);
    assertThat(quantised.err()).contains("export only");
  }

  @Test
  void aFailureIsAMessage() {
    CommandRun missing = convert(file, back.toString());
    assertThat(missing.exitCode()).isEqualTo(ExampleCommand.FAILED);
    assertThat(missing.err()).contains("model.gguf does not exist");
  }
}
