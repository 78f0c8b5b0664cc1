package org.alpaca4j.data;

import org.jspecify.annotations.Nullable;

/** Makes an example of a record; used by several threads at once. */
interface ExampleMaker<R> {
  Made make(R record);

  /** Returns of how many records the texts of special tokens were taken for text. */
  default int specialTokensAsText() {
    return 0;
  }

  /**
   * Returns whether answers so far were asked for with thinking switched off, and none has
   * thoughts.
   */
  default boolean withoutThinking() {
    return false;
  }

  /** What was taken away from an example that was too long. */
  enum Cut {
    /** Nothing. */
    NONE,
    /** The end, where the answer is. */
    END,
    /** The beginning of the prompt, or early turns; all that is supervised is there. */
    FRONT
  }

  /**
   * An example as it was made of a record.
   *
   * @param example ids and labels; null if the record is to be left out
   * @param cut what it has lost already
   */
  record Made(@Nullable SupervisedExample example, Cut cut) {

    static final Made NOTHING = new Made(null, Cut.NONE);

    static Made whole(SupervisedExample example) {
      return new Made(example, Cut.NONE);
    }
  }
}
