package org.alpaca4j.data;

import java.util.stream.Stream;

/** A source that can leave out what cannot be used, and tells a log of it. */
interface ReportingSource<R> extends RecordSource<R> {

  Stream<R> stream(ReadingLog log);

  @Override
  default Stream<R> stream() {
    return stream(ReadingLog.REFUSING);
  }

  /** Starts to read any source. */
  static <R> Stream<R> open(RecordSource<R> source, ReadingLog log) {
    if (source instanceof Mixture<R> mixture) {
      return mixture.stream(log);
    }
    return source instanceof ReportingSource<R> reporting ? reporting.stream(log) : source.stream();
  }
}
