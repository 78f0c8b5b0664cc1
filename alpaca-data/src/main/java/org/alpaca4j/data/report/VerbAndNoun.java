package org.alpaca4j.data.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * What an English instruction asks to be done, and with what: {@code write story}.
 *
 * <p>A heuristic without a parser, after the diversity figure of Self-Instruct and Alpaca:
 *
 * <ol>
 *   <li>Only the first sentence counts, in lower case. Polite openings ("please", "can you", "I
 *       want you to") are skipped.
 *   <li>An instruction in the imperative opens with its verb. What opens with a question word, an
 *       auxiliary verb, an article, a pronoun or a preposition has none.
 *   <li>The noun is the head of the phrase behind the verb: articles, numbers and pronouns ("me the
 *       three") are skipped, then the last word counts before a preposition, a conjunction, a
 *       relative pronoun or a punctuation mark. Adjectives that no noun follows are mistaken for
 *       one.
 * </ol>
 *
 * @param verb in lower case
 * @param noun in lower case; empty if there is none
 */
public record VerbAndNoun(String verb, String noun) {
  private static final List<List<String>> OPENINGS =
      List.of(
          List.of("please"),
          List.of("kindly"),
          List.of("now"),
          List.of("then"),
          List.of("can", "you"),
          List.of("could", "you"),
          List.of("would", "you"),
          List.of("will", "you"),
          List.of("i", "want", "you", "to"),
          List.of("i", "would", "like", "you", "to"),
          List.of("i", "need", "you", "to"),
          List.of("you", "need", "to"),
          List.of("your", "task", "is", "to"));

  private static final Set<String> SKIPPED =
      words(
          "a an the this that these those some any all each every both several many few more most"
              + " one two three four five six seven eight nine ten my your his her its our their me"
              + " us him them you it i at least up to following given");

  private static final Set<String> ENDS =
      words(
          "about above across after against along among around as at based because before behind"
              + " below between but by containing describing during explaining following for from"
              + " given how if in including into like made named near of off on onto or out over"
              + " per regarding so such than that then through to toward under until up using via what"
              + " when where whether which while who whom whose why with within without and is are"
              + " was were be been can could should would will may might must do does did has have"
              + " had");

  private static final Set<String> NO_VERBS =
      words(
          "what why how which who whom whose when where is are was were am do does did has have had"
              + " can could should would will may might must a an the this that these those i you"
              + " he she it we they my your our their his her there here if in on at for from of"
              + " to with by as and or but not no yes given");

  /** Returns verb and noun of an instruction; empty if it does not open with a verb. */
  public static Optional<VerbAndNoun> of(String instruction) {
    Objects.requireNonNull(instruction, "instruction is null");
    List<String> words = firstSentence(instruction);
    int at = 0;
    for (boolean opening = true; opening; ) {
      opening = false;
      for (List<String> phrase : OPENINGS) {
        int end = at + phrase.size();
        if (end <= words.size() && words.subList(at, end).equals(phrase)) {
          at = end;
          opening = true;
        }
      }
    }
    if (at == words.size() || !isWord(words.get(at)) || NO_VERBS.contains(words.get(at))) {
      return Optional.empty();
    }
    return Optional.of(new VerbAndNoun(words.get(at), noun(words, at + 1)));
  }

  private static String noun(List<String> words, int from) {
    int at = from;
    while (at < words.size() && (SKIPPED.contains(words.get(at)) || isNumber(words.get(at)))) {
      at++;
    }
    String noun = "";
    while (at < words.size() && isWord(words.get(at)) && !ENDS.contains(words.get(at))) {
      noun = words.get(at++);
    }
    return noun;
  }

  /** Returns the words of the first sentence; punctuation marks stand among them. */
  private static List<String> firstSentence(String text) {
    List<String> words = new ArrayList<>();
    StringBuilder word = new StringBuilder();
    for (int at = 0; at <= text.length(); at++) {
      char c = at < text.length() ? text.charAt(at) : '.';
      boolean inside = (c == '-' || c == '\'' || c == '’') && !word.isEmpty();
      if (Character.isLetterOrDigit(c) || inside) {
        word.append(c);
        continue;
      }
      if (!word.isEmpty()) {
        words.add(word.toString().toLowerCase(Locale.ROOT));
        word.setLength(0);
      }
      if (!words.isEmpty() && ".?!\n".indexOf(c) >= 0) {
        break;
      } else if (!words.isEmpty() && !Character.isWhitespace(c)) {
        words.add(String.valueOf(c));
      }
    }
    return words;
  }

  /** Latin letters: of other scripts this heuristic knows nothing. */
  private static boolean isWord(String word) {
    int first = word.codePointAt(0);
    return Character.isLetter(first)
        && Character.UnicodeScript.of(first) == Character.UnicodeScript.LATIN;
  }

  private static boolean isNumber(String word) {
    return Character.isDigit(word.charAt(0));
  }

  private static Set<String> words(String words) {
    return Set.copyOf(List.of(words.split(" ")));
  }
}
