package org.alpaca4j.data.gorilla;

/**
 * What a generated call is worth.
 *
 * @param verdict right, wrong, or of no API at all
 * @param reason why it is not right; empty if it is
 */
public record ApiJudgement(Verdict verdict, String reason) {
  /** Right, wrong or made up. */
  public enum Verdict {
    /** The reference's API is called. */
    MATCH,
    /** Another API of the base is called. */
    NO_MATCH,
    /** No API of the base is called. */
    HALLUCINATION
  }
}
