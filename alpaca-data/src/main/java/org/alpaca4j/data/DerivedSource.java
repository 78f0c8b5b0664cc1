package org.alpaca4j.data;

import java.util.function.Supplier;
import java.util.stream.Stream;

/** A source with a name, made of another one. */
record DerivedSource<R>(String name, Supplier<Stream<R>> streams) implements RecordSource<R> {

  @Override
  public Stream<R> stream() {
    return streams.get();
  }
}
