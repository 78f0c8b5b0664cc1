package org.alpaca4j.data.selfinstruct;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.alpaca4j.data.InstructionRecord;
import org.jspecify.annotations.Nullable;

/**
 * Cuts a model's reply into records and drops what is of no use, as {@code
 * post_process_gpt3_response} of Stanford Alpaca does, peculiarities included: parts are told by
 * their place, not by their name, and {@code ###} within an output shifts all later numbers.
 */
final class ReplyParser {
  static final String NO_INPUT = "<noinput>";
  private static final int LEAST_WORDS = 4;
  private static final int MOST_WORDS = 150;
  private static final String PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  private static final List<Pattern> UNSUITABLE =
      List.of(
              "image",
              "images",
              "graph",
              "graphs",
              "picture",
              "pictures",
              "file",
              "files",
              "map",
              "maps",
              "draw",
              "plot",
              "go to",
              "video",
              "audio",
              "music",
              "flowchart",
              "diagram")
          .stream()
          .map(PythonText::wholeWord)
          .toList();

  /**
   * What became of a part of a reply.
   *
   * @param dropped why it is not kept; null if it is
   * @param candidate the record, if it is kept
   */
  record Piece(@Nullable DropReason dropped, Optional<InstructionRecord> candidate) {}

  private ReplyParser() {}

  /**
   * Returns the parts of a reply, in order.
   *
   * @param examples the number of examples in the prompt
   */
  static List<Piece> parse(ModelReply reply, int examples) {
    String[] parts = (InstructionPrompt.opening(examples) + reply.text()).split("###", -1);
    List<Piece> pieces = new ArrayList<>();
    for (int i = 0; i < parts.length; i++) {
      boolean cut = i == parts.length - 1 && "length".equals(reply.finishReason());
      pieces.add(cut ? dropped(DropReason.CUT_BY_LENGTH) : parsePart(parts[i], examples + 1 + i));
    }
    return pieces;
  }

  private static Piece parsePart(String part, int number) {
    Matcher title =
        Pattern.compile(number + "\\." + PythonText.SPACE + "+(?:Instruction|Input|Output):")
            .matcher(part);
    List<String> fields = new ArrayList<>();
    int start = 0;
    while (title.find()) {
      fields.add(PythonText.strip(part.substring(start, title.start())));
      start = title.end();
    }
    fields.add(PythonText.strip(part.substring(start)));
    if (fields.size() != 4) { // what precedes the first title, and three fields
      return dropped(DropReason.MALFORMED);
    }
    String instruction = fields.get(1);
    String input = fields.get(2).toLowerCase(Locale.ROOT).equals(NO_INPUT) ? "" : fields.get(2);
    return filter(instruction)
        .map(ReplyParser::dropped)
        .orElseGet(
            () ->
                new Piece(
                    null, Optional.of(new InstructionRecord(instruction, input, fields.get(3)))));
  }

  private static Optional<DropReason> filter(String instruction) {
    int words = PythonText.countWords(instruction);
    if (words < LEAST_WORDS) {
      return Optional.of(DropReason.TOO_SHORT);
    }
    if (words > MOST_WORDS) {
      return Optional.of(DropReason.TOO_LONG);
    }
    if (UNSUITABLE.stream().anyMatch(word -> word.matcher(instruction).find())) {
      return Optional.of(DropReason.UNSUITABLE_WORD);
    }
    if (instruction.startsWith("Write a program")) {
      return Optional.of(DropReason.WRITE_A_PROGRAM);
    }
    char first = instruction.charAt(0);
    if (PUNCTUATION.indexOf(first) >= 0) {
      return Optional.of(DropReason.PUNCTUATION);
    }
    return first < 128 ? Optional.empty() : Optional.of(DropReason.NOT_ASCII);
  }

  private static Piece dropped(DropReason reason) {
    return new Piece(reason, Optional.empty());
  }
}
