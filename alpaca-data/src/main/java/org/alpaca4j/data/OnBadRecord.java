package org.alpaca4j.data;

/**
 * What to do with records that cannot be used: lines that are no JSON, fields that are missing or
 * of a wrong type, conversations that their chat template refuses. A file that cannot be read on is
 * refused in any case.
 *
 * @param maxShare the share of all records that may be left out, 0 to 1; 0 refuses the first
 */
public record OnBadRecord(double maxShare) {

  private static final OnBadRecord REFUSE = new OnBadRecord(0);

  /** Checks the share. */
  public OnBadRecord {
    if (!(maxShare >= 0 && maxShare <= 1)) {
      throw new IllegalArgumentException("maxShare must be from 0 to 1, found " + maxShare);
    }
  }

  /** Returns the default: the first such record is an error that names file, line and field. */
  public static OnBadRecord refuse() {
    return REFUSE;
  }

  /**
   * Returns the policy to leave such records out, up to a share of all; {@link
   * DataReport#badRecords} lists them with their reasons. More of them are an error, since the
   * records are then most likely of another form than it was thought.
   *
   * @param maxShare the share of all records, more than 0 and at most 1
   */
  public static OnBadRecord leaveOut(double maxShare) {
    if (maxShare == 0) {
      throw new IllegalArgumentException("maxShare must be more than 0; use refuse()");
    }
    return new OnBadRecord(maxShare);
  }

  boolean refuses() {
    return maxShare == 0;
  }
}
