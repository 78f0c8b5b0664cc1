package org.alpaca4j.core;

/** Why the generation of a sequence ended. */
public enum FinishReason {
  /** The model said so, with one of the tokens that end a text. */
  EOS,
  /** A stop string appeared. */
  STOP_STRING,
  /** The largest number of tokens was reached. */
  LENGTH,
  /** The listener did not want more. */
  CANCELLED
}
