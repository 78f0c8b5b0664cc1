package org.alpaca4j.core;

import java.nio.file.Path;
import java.util.List;

/** Writes a Llama of a few thousand random weights, with the byte-level tokenizer of the tests. */
final class TinyModel {
  static final int VOCABULARY = 265;

  private static final Path TOKENIZER = Path.of("src/test/resources/byte-level-tokenizer");

  private TinyModel() {}

  /** The configuration of {@link #write}. */
  static ModelConfig.Builder config() {
    return ModelConfig.builder("llama")
        .vocabSize(VOCABULARY)
        .hiddenSize(32)
        .intermediateSize(48)
        .numHiddenLayers(2)
        .numAttentionHeads(4)
        .numKeyValueHeads(2)
        .headDim(8)
        .maxPositionEmbeddings(128)
        .tieWordEmbeddings(true)
        .eosTokenIds(List.of(2));
  }

  static Path write(Path folder) {
    return new RandomCheckpoint(config().build())
        .withFiles(TOKENIZER.resolve("tokenizer.json"), TOKENIZER.resolve("tokenizer_config.json"))
        .write(folder);
  }
}
