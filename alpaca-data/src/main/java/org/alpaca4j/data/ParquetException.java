package org.alpaca4j.data;

/** What is wrong with a Parquet file, in our own words. */
final class ParquetException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  ParquetException(String problem) {
    super(problem);
  }

  ParquetException(String problem, Throwable cause) {
    super(problem, cause);
  }
}
