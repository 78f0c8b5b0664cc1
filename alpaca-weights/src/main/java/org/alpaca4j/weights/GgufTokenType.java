package org.alpaca4j.weights;

/**
 * What kind of token an entry of {@code tokenizer.ggml.token_type} is ({@code llama_token_type}).
 */
enum GgufTokenType {
  UNDEFINED,
  /** An ordinary piece. */
  NORMAL,
  /** Stands for what the vocabulary cannot express. */
  UNKNOWN,
  /** A special token. */
  CONTROL,
  /** An added token that is not special: always matched whole, always shown. */
  USER_DEFINED,
  /** A row of the embedding without a token. */
  UNUSED,
  /** One byte, {@code <0x41>}. */
  BYTE;

  /** Returns the kind with a number in a file; what is not known there is ordinary. */
  static GgufTokenType ofId(int id) {
    return id > 0 && id < values().length ? values()[id] : NORMAL;
  }

  /** Returns the text that stands for an unused row. */
  static String unusedText(int id) {
    return "[PAD" + id + "]";
  }
}
