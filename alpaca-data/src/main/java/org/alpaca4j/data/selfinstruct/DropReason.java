package org.alpaca4j.data.selfinstruct;

/** Why a part of a model's reply did not become a record. */
public enum DropReason {
  /** The last part of a reply that ended because it became too long: it is cut somewhere. */
  CUT_BY_LENGTH("cut by the length limit"),
  /** It has not exactly one instruction, one input and one output under the expected number. */
  MALFORMED("not numbered as expected"),
  /** The instruction has three words or fewer. */
  TOO_SHORT("too short"),
  /** The instruction has more than 150 words. */
  TOO_LONG("too long"),
  /** The instruction has a word such as "image" or "draw", of what no text model can do. */
  UNSUITABLE_WORD("unsuitable word"),
  /** The instruction begins with "Write a program". */
  WRITE_A_PROGRAM("\"Write a program\""),
  /** The instruction begins with ASCII punctuation. */
  PUNCTUATION("begins with punctuation"),
  /** The instruction begins with a character outside ASCII. */
  NOT_ASCII("begins with a non-ASCII character"),
  /** The instruction resembles a seed task, or a kept one, too much. */
  TOO_SIMILAR("too similar");

  private final String description;

  DropReason(String description) {
    this.description = description;
  }

  /** Returns a few words for a report. */
  public String description() {
    return description;
  }
}
