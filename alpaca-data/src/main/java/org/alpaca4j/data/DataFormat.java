package org.alpaca4j.data;

/** How a data file holds its records. */
public enum DataFormat {
  /** One JSON array of objects. */
  JSON("a JSON array", "json(...)"),
  /** One JSON object per line. */
  JSONL("JSON lines", "jsonl(...)"),
  /** Comma-separated values (RFC 4180), columns named by the first row. */
  CSV("CSV", "csv(...)"),
  /** Apache Parquet. */
  PARQUET("Parquet", "parquet(...)");

  private final String words;
  private final String method;

  DataFormat(String words, String method) {
    this.words = words;
    this.method = method;
  }

  /** What a message calls it. */
  String words() {
    return words;
  }

  /** The method that reads it without looking. */
  String method() {
    return method;
  }
}
