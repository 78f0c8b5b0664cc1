package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.alpaca4j.core.ChatMessage;

/** Makes too long examples shorter; all but {@link #atTheEnd} lose nothing supervised. */
final class Truncation {

  private Truncation() {}

  /**
   * Cuts each sequence at the end. Sequences that then teach nothing are left out, but for the
   * first if none is left.
   */
  static SupervisedExample atTheEnd(SupervisedExample example, int maxLength) {
    List<SupervisedExample> cut =
        example.sequences().stream().map(sequence -> cut(sequence, maxLength)).toList();
    List<SupervisedExample> teaching =
        cut.stream().filter(sequence -> sequence.supervisedTokens() > 0).toList();
    return SupervisedExample.of(teaching.isEmpty() ? cut.subList(0, 1) : teaching);
  }

  private static SupervisedExample cut(SupervisedExample sequence, int maxLength) {
    return sequence.length() <= maxLength ? sequence : sequence.part(0, maxLength);
  }

  /**
   * Cuts the prompt of an instruction from the left. At least one of its tokens stays; an example
   * that is still too long then is returned as it was.
   *
   * @param kept tokens before the prompt that stay, such as BOS
   */
  static ExampleMaker.Made promptFromLeft(SupervisedExample example, int kept, int maxLength) {
    int excess = example.length() - maxLength;
    if (excess <= 0) {
      return ExampleMaker.Made.whole(example);
    }
    int firstSupervised = 0;
    while (firstSupervised < example.length()
        && example.labels()[firstSupervised] == SupervisedExample.IGNORE_INDEX) {
      firstSupervised++;
    }
    if (excess > firstSupervised - kept - 1) {
      return ExampleMaker.Made.whole(example);
    }
    return new ExampleMaker.Made(
        new SupervisedExample(
            without(example.ids(), kept, excess), without(example.labels(), kept, excess)),
        ExampleMaker.Cut.FRONT);
  }

  /**
   * Leaves out the oldest turns, from one user's message to the next, as few as possible; the
   * system's messages at the beginning and the last answer stay. A conversation that is still too
   * long then is returned whole.
   */
  static ExampleMaker.Made withoutOldTurns(
      Conversation conversation, Function<Conversation, SupervisedExample> maker, int maxLength) {
    SupervisedExample whole = maker.apply(conversation);
    if (whole.longestSequence() <= maxLength) {
      return ExampleMaker.Made.whole(whole);
    }
    List<ChatMessage> messages = conversation.messages();
    int system = 0;
    while (system < messages.size() && messages.get(system).role().equals("system")) {
      system++;
    }
    int[] starts = laterTurns(messages, system);
    SupervisedExample fitting = null;
    // What stays becomes shorter with each turn left out, so the first that fits can be bisected.
    for (int low = 0, high = starts.length - 1; low <= high; ) {
      int middle = (low + high) >>> 1;
      List<ChatMessage> rest = new ArrayList<>(messages.subList(0, system));
      rest.addAll(messages.subList(starts[middle], messages.size()));
      SupervisedExample shorter = maker.apply(new Conversation(rest, conversation.tools()));
      if (shorter.longestSequence() <= maxLength) {
        fitting = shorter;
        high = middle - 1;
      } else {
        low = middle + 1;
      }
    }
    return fitting == null
        ? ExampleMaker.Made.whole(whole)
        : new ExampleMaker.Made(fitting, ExampleMaker.Cut.FRONT);
  }

  /** Where turns begin that have an answer after them, without the first turn. */
  private static int[] laterTurns(List<ChatMessage> messages, int system) {
    int lastAnswer = messages.size() - 1;
    while (lastAnswer >= 0 && !messages.get(lastAnswer).role().equals("assistant")) {
      lastAnswer--;
    }
    return IntStream.range(system + 1, Math.max(system + 1, lastAnswer))
        .filter(i -> messages.get(i).role().equals("user"))
        .toArray();
  }

  private static int[] without(int[] values, int from, int count) {
    int[] rest = Arrays.copyOf(values, values.length - count);
    System.arraycopy(values, from + count, rest, from, rest.length - from);
    return rest;
  }
}
