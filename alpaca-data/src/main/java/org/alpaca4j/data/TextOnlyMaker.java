package org.alpaca4j.data;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;

/** Makes examples of records in whose texts the texts of special tokens stay text; counts those. */
final class TextOnlyMaker<R> implements ExampleMaker<R> {
  private final ExampleMaker<R> maker;
  private final UnaryOperator<R> withoutSpecialTokens;
  private final AtomicInteger records = new AtomicInteger();

  /**
   * Makes them by another maker.
   *
   * @param withoutSpecialTokens returns the very same record where there is nothing to do
   */
  TextOnlyMaker(ExampleMaker<R> maker, UnaryOperator<R> withoutSpecialTokens) {
    this.maker = maker;
    this.withoutSpecialTokens = withoutSpecialTokens;
  }

  @Override
  public Made make(R record) {
    R textOnly = withoutSpecialTokens.apply(record);
    if (textOnly != record) {
      records.incrementAndGet();
    }
    return maker.make(textOnly);
  }

  @Override
  public int specialTokensAsText() {
    return records.get();
  }

  @Override
  public boolean withoutThinking() {
    return maker.withoutThinking();
  }
}
