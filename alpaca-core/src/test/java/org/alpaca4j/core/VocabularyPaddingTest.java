package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A vocabulary that grows for a tokenizer's sake, to a multiple of some number. */
class VocabularyPaddingTest {
  private static final int[] IDS = {1, 17, 4, 52, 0, 17, 30};
  private static final int OLD = RandomCheckpoint.VOCABULARY;
  private static final int NEEDED = 265;

  @TempDir Path folder;

  private static Tokenizer tokenizer() throws URISyntaxException {
    return Tokenizer.load(
        Path.of(VocabularyPaddingTest.class.getResource("/byte-level-tokenizer").toURI()));
  }

  @ParameterizedTest
  @CsvSource({
    "llama, false, 64, 320",
    "llama, true, 64, 320",
    "phi, false, 8, 272", // a head with a bias
    "gpt2, true, 5, 265", // a multiple already
    "bloom, true, 128, 384"
  })
  void theFurtherRowsAreTheMeanAndAreThereAfterSavingAndLoading(
      String family, boolean tied, int multiple, int rows) throws Exception {
    ModelConfig config = config(family, tied);
    Path path = new RandomCheckpoint(config).write(folder.resolve("model"));
    float[] before = logits(path);
    Path saved = folder.resolve("saved");

    try (CausalLm model =
        CausalLm.builder(path).tokenizer(tokenizer()).padVocabularyToMultipleOf(multiple).load()) {
      assertThat(model.config().vocabSize()).isEqualTo(rows);
      model.save(saved);
    }

    compare(before, logits(saved), rows);
    try (Checkpoint old = Checkpoint.open(path);
        Checkpoint grown = Checkpoint.open(saved)) {
      assertThat(grown.config().vocabSize()).isEqualTo(rows);
      assertThat(grown.names()).isEqualTo(old.names());
      for (String name : old.names()) {
        long[] shape = old.tensor(name).shape();
        if (shape[0] == OLD) {
          compareRows(old, grown, name, rows);
        } else {
          assertThat(grown.map(name)).as(name).isEqualTo(old.map(name));
        }
      }
    }
  }

  private static ModelConfig config(String family, boolean tied) {
    return RandomCheckpoint.config(family).numKeyValueHeads(4).tieWordEmbeddings(tied).build();
  }

  /** The old rows to the bit, then their mean. */
  private static void compareRows(Checkpoint old, Checkpoint grown, String name, int rows) {
    float[] before = floats(old, name);
    float[] after = floats(grown, name);
    int width = before.length / OLD;
    assertThat(after).as(name).hasSize(rows * width).startsWith(before);
    for (int column = 0; column < width; column++) {
      double sum = 0;
      for (int row = 0; row < OLD; row++) {
        sum += before[row * width + column];
      }
      for (int row = OLD; row < rows; row++) {
        assertThat(after[row * width + column])
            .as(name)
            .isCloseTo((float) (sum / OLD), within(1e-6f));
      }
    }
  }

  private static float[] floats(Checkpoint checkpoint, String name) {
    ByteBuffer bytes = ByteBuffer.allocate((int) checkpoint.tensor(name).byteLength());
    checkpoint.readBytes(name, bytes, 0);
    FloatBuffer floats = bytes.flip().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    float[] values = new float[floats.remaining()];
    floats.get(values);
    return values;
  }

  private static float[] logits(Path path) {
    try (CausalLm model = CausalLm.load(path);
        NDManager scope = NDManager.newBaseManager()) {
      return model.logits(scope, IDS).toFloatArray();
    }
  }

  /** A head is linear: the score of a mean row is the mean score. */
  private static void compare(float[] before, float[] after, int rows) {
    for (int token = 0; token < IDS.length; token++) {
      double sum = 0;
      for (int i = 0; i < OLD; i++) {
        float old = before[token * OLD + i];
        sum += old;
        assertThat(after[token * rows + i]).isCloseTo(old, within(1e-5f));
      }
      for (int i = OLD; i < rows; i++) {
        assertThat(after[token * rows + i]).isCloseTo((float) (sum / OLD), within(1e-5f));
      }
    }
  }

  @Test
  void aVocabularyThatNeedNotGrowStaysAsItIs() throws Exception {
    ModelConfig config = RandomCheckpoint.config("llama").vocabSize(NEEDED + 2).build();
    Path path = new RandomCheckpoint(config).write(folder.resolve("model"));
    for (CausalLm.Builder builder :
        List.of(CausalLm.builder(path).tokenizer(tokenizer()), CausalLm.builder(path))) {
      try (CausalLm model = builder.padVocabularyToMultipleOf(64).load()) {
        assertThat(model.config().vocabSize()).isEqualTo(NEEDED + 2);
      }
    }
  }

  @Test
  void aMultipleOfNothingIsRefused() {
    assertThatThrownBy(() -> CausalLm.builder(folder).padVocabularyToMultipleOf(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("padVocabularyToMultipleOf is 0");
  }
}
