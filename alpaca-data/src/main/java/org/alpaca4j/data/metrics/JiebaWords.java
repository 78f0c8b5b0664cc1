package org.alpaca4j.data.metrics;

import com.huaban.analysis.jieba.WordDictionary;
import com.huaban.analysis.jieba.viterbi.FinalSeg;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.alpaca4j.data.DataException;

/**
 * Python jieba's way through a text, over the library's dictionary and its model of unknown words;
 * the library's own way treats punctuation, percentages and some pairs of characters otherwise.
 */
final class JiebaWords implements Segmenter {
  /** Chinese, and what may stand in one word with it; of the rest each character is a part. */
  private static final Pattern BLOCK = Pattern.compile("[\\u4E00-\\u9FD5a-zA-Z0-9+#&._%\\-]+");

  private static final Pattern CHINESE = Pattern.compile("[\\u4E00-\\u9FD5]+");
  private static final Pattern LATIN = Pattern.compile("[a-zA-Z0-9]+(?:\\.\\d+)?%?");

  /** Characters of the longest word in the dictionary. */
  private static final int LONGEST_WORD = 16;

  private final WordDictionary dictionary = WordDictionary.getInstance();
  private final FinalSeg unknownWords = FinalSeg.getInstance();

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
      addWords(blocks.group(), parts);
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

  /** Takes the words of the best path; single characters in a row may be an unknown word. */
  private void addWords(String block, List<String> parts) {
    int[] ends = bestPath(block);
    int singles = 0;
    for (int i = 0; i < block.length(); i = ends[i]) {
      if (ends[i] > i + 1) {
        addSingles(block.substring(singles, i), parts);
        parts.add(block.substring(i, ends[i]));
        singles = ends[i];
      }
    }
    addSingles(block.substring(singles), parts);
  }

  /** For each place, where the word that begins there ends on the most probable path. */
  private int[] bestPath(String block) {
    int length = block.length();
    double[] logProbability = new double[length + 1];
    int[] ends = new int[length];
    for (int i = length - 1; i >= 0; i--) {
      logProbability[i] = Double.NEGATIVE_INFINITY;
      for (int end = i + 1; end <= Math.min(length, i + LONGEST_WORD); end++) {
        String word = key(block.substring(i, end));
        if (end == i + 1 || dictionary.containsWord(word)) {
          double path = dictionary.getFreq(word) + logProbability[end];
          if (path >= logProbability[i]) {
            logProbability[i] = path;
            ends[i] = end;
          }
        }
      }
    }
    return ends;
  }

  /** The library keeps its dictionary's few capital letters (A股) as small ones. */
  private static String key(String word) {
    return word.toLowerCase(Locale.ROOT);
  }

  private void addSingles(String singles, List<String> parts) {
    if (singles.length() > 1 && dictionary.containsWord(key(singles))) {
      addCharacters(singles, 0, singles.length(), parts);
      return;
    }
    Matcher chinese = CHINESE.matcher(singles);
    int end = 0;
    while (chinese.find()) {
      addLatin(singles.substring(end, chinese.start()), parts);
      unknownWords.cut(chinese.group(), parts);
      end = chinese.end();
    }
    addLatin(singles.substring(end), parts);
  }

  private static void addLatin(String text, List<String> parts) {
    Matcher words = LATIN.matcher(text);
    int end = 0;
    while (words.find()) {
      if (words.start() > end) {
        parts.add(text.substring(end, words.start()));
      }
      parts.add(words.group());
      end = words.end();
    }
    if (end < text.length()) {
      parts.add(text.substring(end));
    }
  }
}
