package org.alpaca4j.core;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.stream.IntStream;

/**
 * A tokenizer that takes the texts of special tokens for text, as transformers does with {@code
 * split_special_tokens}, but for those places that are said to be the tokens.
 *
 * <p>It is the same {@code tokenizer.json}, in which each special token has another name that
 * occurs in no text; where a token is meant, its text is replaced by that name, so that everything
 * around it is tokenised as beside the token itself.
 */
final class SplittingTokenizer implements AutoCloseable {
  private final SpecialTokenTexts texts;
  private final Map<String, String> names = new HashMap<>();
  private final Map<Integer, Integer> realIds = new HashMap<>();
  private final NativeTokenizer tokenizer;

  SplittingTokenizer(TokenizerJson json, SpecialTokenTexts texts, Path folder) {
    this.texts = texts;
    String nonce = UUID.randomUUID().toString();
    for (TokenizerJson.Entry entry : json.addedTokens) {
      if (entry.token().special()) {
        names.put(entry.token().content(), "\uFDD1" + nonce + "-" + entry.id() + "\uFDD1");
      }
    }
    tokenizer = new NativeTokenizer(json.withNames(names), folder);
    names.forEach((token, name) -> realIds.put(onlyId(name), json.id(token)));
  }

  private int onlyId(String name) {
    int[] ids = tokenizer.encode(name, false, NativeTokenizer::ids);
    return ids[ids.length - 1]; // before it there may be a space of the normalizer's
  }

  /**
   * Tokenises a text in which the special tokens that are text are marked.
   *
   * @param allText whether those without a mark are text, too
   * @return offsets are those of the text as it was given
   */
  Encoding encode(String text, boolean addSpecialTokens, boolean allText) {
    Replacement replaced = new Replacement(text);
    for (int i = 0; i < text.length(); ) {
      boolean marked = text.charAt(i) == SpecialTokenTexts.MARK && i + 1 < text.length();
      String token = texts.at(text, marked ? i + 1 : i);
      if (token == null) {
        i = replaced.keep(i, i + Character.charCount(text.codePointAt(i)));
      } else if (marked || allText) {
        int begin = marked ? i + 1 : i;
        replaced.leaveOut(i, begin);
        i = replaced.keep(begin, begin + token.length());
      } else {
        i = replaced.replace(i, i + token.length(), names.getOrDefault(token, token));
      }
    }
    return replaced.restored(
        tokenizer.encode(replaced.text(), addSpecialTokens, NativeTokenizer::encoding), realIds);
  }

  @Override
  public void close() {
    tokenizer.close();
  }

  /** A text with parts replaced, which knows where each of its code points came from. */
  private static final class Replacement {
    private final String original;
    private final StringBuilder text = new StringBuilder();
    private final IntStream.Builder begins = IntStream.builder();
    private final IntStream.Builder ends = IntStream.builder();
    private int place;

    Replacement(String original) {
      this.original = original;
    }

    void leaveOut(int from, int to) {
      place += original.codePointCount(from, to);
    }

    int keep(int from, int to) {
      text.append(original, from, to);
      for (int n = original.codePointCount(from, to); n > 0; n--) {
        begins.add(place);
        ends.add(++place);
      }
      return to;
    }

    int replace(int from, int to, String by) {
      text.append(by);
      int end = place + original.codePointCount(from, to);
      for (int n = by.codePointCount(0, by.length()); n > 0; n--) {
        begins.add(place);
        ends.add(end);
      }
      place = end;
      return to;
    }

    String text() {
      return text.toString();
    }

    Encoding restored(Encoding encoding, Map<Integer, Integer> realIds) {
      int[] from = begins.build().toArray();
      int[] to = ends.build().toArray();
      int[] ids = encoding.ids().clone();
      int[] starts = encoding.starts().clone();
      int[] finishes = encoding.ends().clone();
      for (int t = 0; t < ids.length; t++) {
        ids[t] = realIds.getOrDefault(ids[t], ids[t]);
        if (finishes[t] > starts[t]) {
          starts[t] = from[starts[t]];
          finishes[t] = to[finishes[t] - 1];
        }
      }
      return new Encoding(ids, starts, finishes, encoding.special());
    }
  }
}
