package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Tokenizer;
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
    try (CausalLm model = CausalLm.load(TinyModel.unpack(folder));
        NDManager scope = NDManager.newBaseManager(model.device(), "PyTorch")) {
      Tokenizer tokenizer = model.tokenizer();
      int[] ids = tokenizer.encodeIds("On the shelf: hat, pear, saw. The last thing is the", true);
      try (NDArray logits = model.logits(scope, ids)) {
        int next = (int) logits.get(ids.length - 1).argMax().getLong();
        assertThat(tokenizer.decode(new int[] {next}, false)).isEqualTo(" saw");
      }
    }
  }
}
