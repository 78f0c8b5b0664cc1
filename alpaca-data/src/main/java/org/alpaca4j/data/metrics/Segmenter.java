package org.alpaca4j.data.metrics;

import java.util.List;

/** Cuts a text into the words that ROUGE counts. Implementations must be thread-safe. */
@FunctionalInterface
public interface Segmenter {

  /**
   * Returns the parts of a text in their order; joined, they are the text. Parts of white space
   * alone are allowed.
   *
   * @param text any text
   */
  List<String> segment(String text);

  /**
   * Returns a segmenter for Chinese, mixed with other scripts or not, that cuts as Python's jieba
   * does in its default mode. It needs {@code com.huaban:jieba-analysis} on the class path, which
   * loads its dictionary at the first use (about a second, some 100 MB of heap) and says so on the
   * standard output.
   *
   * <p>Known difference from jieba 0.42.1: words of the dictionary that hold Latin letters ({@code
   * A股}) are found in small letters as well.
   *
   * @throws org.alpaca4j.data.DataException if the library is missing
   */
  static Segmenter jieba() {
    return JiebaWords.segmenter();
  }
}
