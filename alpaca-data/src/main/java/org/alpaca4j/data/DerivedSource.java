package org.alpaca4j.data;

import java.util.function.Function;
import java.util.stream.Stream;

/** A source with a name, made of another one. */
record DerivedSource<R>(String name, Function<ReadingLog, Stream<R>> streams)
    implements ReportingSource<R> {

  @Override
  public Stream<R> stream(ReadingLog log) {
    return streams.apply(log);
  }

  /** Returns what a function makes of each record; what it refuses is the log's affair. */
  static <R, S> RecordSource<S> mapped(
      RecordSource<R> source, Function<? super R, ? extends S> function) {
    return new DerivedSource<>(
        source.name(),
        log ->
            ReportingSource.open(source, log)
                .mapMulti(
                    (record, records) -> {
                      S made;
                      try {
                        made = function.apply(record);
                      } catch (RecordException e) {
                        log.bad(e);
                        return;
                      }
                      if (record instanceof DataRecord read && !(made instanceof DataRecord)) {
                        log.used(read);
                      }
                      records.accept(made);
                    }));
  }
}
