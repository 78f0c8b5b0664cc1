package org.alpaca4j.data.gorilla;

import java.util.List;

/** Finds documentation that may answer a question. */
@FunctionalInterface
public interface ApiRetriever {
  /**
   * Returns the best documents for a question, best first.
   *
   * @param question what a user asks for
   * @param count how many documents at most, at least 1
   * @return at most so many; fewer if fewer have anything to do with the question
   */
  List<String> retrieve(String question, int count);
}
