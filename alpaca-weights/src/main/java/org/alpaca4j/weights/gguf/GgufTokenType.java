package org.alpaca4j.weights.gguf;

import java.util.Arrays;

/**
 * What kind of token an entry of {@code tokenizer.ggml.token_type} is ({@code llama_token_type}).
 */
enum GgufTokenType {
  UNDEFINED(0),
  /** An ordinary piece. */
  NORMAL(1),
  /** Stands for what the vocabulary cannot express. */
  UNKNOWN(2),
  /** A special token. */
  CONTROL(3),
  /** An added token that is not special: always matched whole, always shown. */
  USER_DEFINED(4),
  /** A row of the embedding without a token. */
  UNUSED(5),
  /** One byte, {@code <0x41>}. */
  BYTE(6);

  private final int id;

  GgufTokenType(int id) {
    this.id = id;
  }

  /** Returns the number in a file. */
  int id() {
    return id;
  }

  /** Returns the kind with a number in a file; what is not known there is ordinary. */
  static GgufTokenType ofId(int id) {
    return Arrays.stream(values()).filter(t -> t.id == id && id > 0).findFirst().orElse(NORMAL);
  }

  /** Returns the text that stands for an unused row. */
  static String unusedText(int id) {
    return "[PAD" + id + "]";
  }
}
