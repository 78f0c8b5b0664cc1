package org.alpaca4j.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.ModelConfig;

/** A tiny checkpoint of random weights with a byte-level tokenizer, which can learn texts. */
final class TextModel {
  /** Its tokens: {@code </s>} 2, {@code <|endoftext|>} 262, {@code <|im_end|>} 264. */
  private static final Path TOKENIZER =
      Path.of("../alpaca-core/src/test/resources/byte-level-tokenizer");

  private TextModel() {}

  static ModelConfig.Builder config() {
    return ModelConfig.builder("llama")
        .hiddenSize(64)
        .intermediateSize(96)
        .numHiddenLayers(2)
        .numAttentionHeads(4)
        .numKeyValueHeads(4)
        .vocabSize(265)
        .maxPositionEmbeddings(512)
        .tieWordEmbeddings(true)
        .eosTokenIds(List.of(2));
  }

  /** Writes a model that ends at {@code end}, with the tokenizer's chat template or without. */
  static Path write(Path folder, int end, boolean withChatTemplate) throws IOException {
    RandomModel.write(folder, config().eosTokenIds(List.of(end)).build());
    Files.copy(TOKENIZER.resolve("tokenizer.json"), folder.resolve("tokenizer.json"));
    String config = Files.readString(TOKENIZER.resolve("tokenizer_config.json"));
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        withChatTemplate ? config : config.replace("chat_template", "no_template"));
    return folder;
  }
}
