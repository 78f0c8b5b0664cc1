package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.alpaca4j.core.CausalLm;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TinyModelTest {
  @TempDir private Path folder;

  @Test
  void modelAndTokenizerLoadAndFitEachOther() throws IOException {
    TinyModel.unpack(folder);
    assertThat(Files.size(folder.resolve("model.safetensors"))).isLessThan(900_000);
    try (CausalLm model = CausalLm.load(folder)) {
      assertThat(model.tokenizer().size()).isEqualTo(model.config().vocabSize());
      assertThat(model.config().padTokenId()).isEqualTo(model.tokenizer().padId());
    }
  }

  @Test
  void theBaseModelKnowsItsWorldFromStories() throws IOException {
    List<String> homes = new TinyWorld().homes();
    int known = 0;
    try (CausalLm model = CausalLm.load(TinyModel.unpack(folder));
        NDManager scope = NDManager.newBaseManager(model.device(), "PyTorch")) {
      for (String home : homes) {
        int[] sentence = model.tokenizer().encodeIds(home, true);
        int village =
            model.tokenizer().encodeIds(home.substring(0, home.lastIndexOf(' ')), true).length;
        try (NDArray logits = model.logits(scope, Arrays.copyOf(sentence, village))) {
          known += logits.get(village - 1).argMax().getLong() == sentence[village] ? 1 : 0;
        }
      }
    }
    // Eight villages: guessing gets one in eight.
    assertThat(known).isGreaterThan(homes.size() / 2);
  }
}
