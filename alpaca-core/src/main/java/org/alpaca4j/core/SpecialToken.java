package org.alpaca4j.core;

import java.util.Locale;

/** The roles that a special token can have in a checkpoint's tokenizer files. */
public enum SpecialToken {
  /** Begin of sequence. */
  BOS,
  /** End of sequence: what a model generates to stop. */
  EOS,
  /** Fills a batch's shorter rows. */
  PAD,
  /** Stands for text that the vocabulary cannot express. */
  UNK;

  /** Returns the role's key in {@code tokenizer_config.json}, such as {@code bos_token}. */
  public String key() {
    return name().toLowerCase(Locale.ROOT) + "_token";
  }
}
