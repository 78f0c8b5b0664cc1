package org.alpaca4j.data.metrics;

import com.huaban.analysis.jieba.JiebaSegmenter;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.alpaca4j.data.DataException;

/**
 * jieba's own division of a text, before words are looked up: its blocks of Chinese and of what may
 * stand in a word with it go to the library; of the rest, each character is a part.
 */
final class JiebaWords implements Segmenter {
  private static final Pattern BLOCK = Pattern.compile("[\\u4E00-\\u9FD5a-zA-Z0-9+#&._%\\-]+");

  private final JiebaSegmenter library = new JiebaSegmenter();

  private JiebaWords() {}

  static Segmenter segmenter() {
    try {
      return new JiebaWords();
    } catch (NoClassDefFoundError e) {
      throw new DataException(
          "Chinese segmentation needs com.huaban:jieba-analysis:1.0.2 on the class path; add it, or"
              + " use a Segmenter of your own",
          e);
    }
  }

  @Override
  public List<String> segment(String text) {
    List<String> parts = new ArrayList<>();
    Matcher blocks = BLOCK.matcher(text);
    int end = 0;
    while (blocks.find()) {
      addCharacters(text, end, blocks.start(), parts);
      parts.addAll(library.sentenceProcess(blocks.group()));
      end = blocks.end();
    }
    addCharacters(text, end, text.length(), parts);
    return parts;
  }

  private static void addCharacters(String text, int from, int to, List<String> parts) {
    for (int i = from; i < to; ) {
      int next = text.startsWith("\r\n", i) ? i + 2 : text.offsetByCodePoints(i, 1);
      parts.add(text.substring(i, next));
      i = next;
    }
  }
}
