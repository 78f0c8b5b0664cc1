package org.alpaca4j.core;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/** The files that a tokenizer's vocabulary can be in, the one that is preferred first. */
enum VocabularyFile {
  TOKENIZER_JSON("tokenizer.json"),
  ICE_TEXT("ice_text.model"),
  SENTENCE_PIECE("tokenizer.model"),
  TIKTOKEN("qwen.tiktoken"),
  /** With {@link #MERGES} beside it. */
  VOCAB_AND_MERGES("vocab.json");

  static final String MERGES = "merges.txt";

  private final String fileName;

  VocabularyFile(String fileName) {
    this.fileName = fileName;
  }

  String fileName() {
    return fileName;
  }

  /** Returns which file of a folder holds the vocabulary, if any does. */
  static Optional<VocabularyFile> in(Path folder) {
    return Arrays.stream(values())
        .filter(
            file ->
                Files.exists(folder.resolve(file.fileName))
                    && (file != VOCAB_AND_MERGES || Files.exists(folder.resolve(MERGES))))
        .findFirst();
  }

  /** Returns what a file is by its name; a {@code tokenizer.json} may have any. */
  static VocabularyFile named(Path file) {
    return Arrays.stream(values())
        .filter(known -> file.endsWith(known.fileName))
        .findFirst()
        .orElse(TOKENIZER_JSON);
  }
}
