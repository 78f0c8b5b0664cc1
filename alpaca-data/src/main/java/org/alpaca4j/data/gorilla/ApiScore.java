package org.alpaca4j.data.gorilla;

/**
 * How many generated calls were right.
 *
 * @param total calls judged
 * @param matches calls of the reference's API
 * @param hallucinations calls of no API of the base, and texts that are not Python
 */
public record ApiScore(int total, int matches, int hallucinations) {

  /** Returns the share of calls of the right API, 0 to 1; NaN of none. */
  public double accuracy() {
    return (double) matches / total;
  }

  /** Returns the share of calls of APIs that do not exist, 0 to 1; NaN of none. */
  public double hallucinationRate() {
    return (double) hallucinations / total;
  }

  /** Returns the calls of an API that exists but is not the right one. */
  public int wrong() {
    return total - matches - hallucinations;
  }
}
