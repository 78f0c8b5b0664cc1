package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.List;

/** Where the pages of a new dataset go. */
interface PageSink extends AutoCloseable {

  void add(TokenPage page);

  /** Returns the pages, in their order. */
  SupervisedDataset finish(DataReport report);

  /** Gives up what was not finished. */
  @Override
  void close();

  /** Keeps the pages in the heap. */
  static PageSink inMemory() {
    List<TokenPage> pages = new ArrayList<>();
    return new PageSink() {
      @Override
      public void add(TokenPage page) {
        pages.add(page);
      }

      @Override
      public SupervisedDataset finish(DataReport report) {
        return new SupervisedDataset(List.copyOf(pages), report);
      }

      @Override
      public void close() {}
    };
  }
}
