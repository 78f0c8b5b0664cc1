package org.alpaca4j.data.gorilla;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.alpaca4j.core.internal.jinja.JinjaTemplate;
import org.jspecify.annotations.Nullable;

/**
 * What the {@code code} text of an APIBench record says: an instruction, and an answer in parts.
 *
 * <p>The text comes in two forms. HuggingFace's records are written {@code ###Instruction: …
 * ###Output: <<<domain>>>: … <<<api_call>>>: …}, in any order. Those of TorchHub and TensorFlow Hub
 * look like a printed Python dict but are none (no quotes around the instruction, raw line ends,
 * quotes within quotes); they are cut at the known keys, in order, and one pair of equal quotes is
 * taken off each value.
 *
 * @param instruction what is asked for; null if the text has none
 * @param input what it is asked about; seldom there
 * @param output the whole answer where it is a plain text; null if it comes in parts
 * @param domain the kind of task
 * @param apiCall the call to learn
 * @param apiProvider who offers the API
 * @param explanation why this call
 * @param code a program that makes the call
 * @param complete whether the text followed its form to the end; false if a value was cut off or
 *     held something else as well, which is left out
 */
public record ApiBenchCode(
    @Nullable String instruction,
    @Nullable String input,
    @Nullable String output,
    @Nullable String domain,
    @Nullable String apiCall,
    @Nullable String apiProvider,
    @Nullable String explanation,
    @Nullable String code,
    boolean complete) {

  private enum Key {
    INSTRUCTION("Instruction"),
    INPUT("Input"),
    OUTPUT("Output"),
    DOMAIN("domain"),
    API_CALL("api_call"),
    API_PROVIDER("api_provider"),
    EXPLANATION("explanation"),
    CODE("code");

    final String text;

    Key(String text) {
      this.text = text;
    }

    static Key of(String text) {
      return valueOf(text.toUpperCase(Locale.ROOT));
    }
  }

  private static final String INSTRUCTION_MARK = "###Instruction:";
  private static final String OUTPUT_MARK = "###Output:";

  private static final Pattern SECTION =
      Pattern.compile("<<<(domain|api_call|api_provider|explanation|code)>>>");

  private static final Pattern KEY =
      Pattern.compile(
          "(?:^\\{|,\\s*|\\{)"
              + "'(Instruction|Input|Output|domain|api_call|api_provider|explanation|code)'\\s*:\\s*",
          Pattern.UNICODE_CHARACTER_CLASS);

  /** A key of the author's own, behind a value that is one line by its nature. */
  private static final Pattern OTHER_KEY = Pattern.compile("(['\"]),\\s*'\\w+'\\s*:");

  /** Returns what a record's text says; whatever the text, something is returned. */
  public static ApiBenchCode parse(String text) {
    Objects.requireNonNull(text, "text is null");
    return text.contains(INSTRUCTION_MARK) || SECTION.matcher(text).find()
        ? parseSections(text)
        : parseDict(text);
  }

  /**
   * Returns the answer as text to learn: the plain output, or HuggingFace's sections, whatever the
   * hub, so that one model answers in one form. Empty if there is no answer.
   */
  public String answer() {
    if (output != null) {
      return output;
    }
    Map<Key, String> parts = new EnumMap<>(Key.class);
    put(parts, Key.DOMAIN, domain);
    put(parts, Key.API_CALL, apiCall);
    put(parts, Key.API_PROVIDER, apiProvider);
    put(parts, Key.EXPLANATION, explanation);
    put(parts, Key.CODE, code);
    StringBuilder answer = new StringBuilder();
    parts.forEach(
        (key, value) ->
            answer
                .append(answer.isEmpty() ? "" : "\n")
                .append("<<<" + key.text + ">>>: ")
                .append(value));
    return answer.toString();
  }

  private static void put(Map<Key, String> parts, Key key, @Nullable String value) {
    if (value != null) {
      parts.put(key, value);
    }
  }

  private static ApiBenchCode parseSections(String text) {
    int output = text.indexOf(OUTPUT_MARK);
    String head = output < 0 ? text : text.substring(0, output);
    String tail = output < 0 ? "" : text.substring(output + OUTPUT_MARK.length());
    Map<Key, String> values = new EnumMap<>(Key.class);
    int instruction = head.indexOf(INSTRUCTION_MARK);
    if (instruction >= 0) {
      values.put(
          Key.INSTRUCTION,
          JinjaTemplate.strip(head.substring(instruction + INSTRUCTION_MARK.length())));
    } else if (output < 0) {
      tail = text; // A model's reply has the sections alone.
    }
    Matcher section = SECTION.matcher(tail);
    boolean more = section.find();
    while (more) {
      Key key = Key.of(section.group(1));
      int from = section.end();
      more = section.find();
      String value =
          JinjaTemplate.strip(tail.substring(from, more ? section.start() : tail.length()));
      if (value.startsWith(":")) {
        value = JinjaTemplate.strip(value.substring(1));
      }
      values.put(key, more ? JinjaTemplate.strip(withoutCommas(value)) : value);
    }
    return of(values, true);
  }

  private static String withoutCommas(String value) {
    int end = value.length();
    while (end > 0 && value.charAt(end - 1) == ',') {
      end--;
    }
    return value.substring(0, end);
  }

  /** Where a key stands, and where its value begins. */
  private record Found(Key key, int start, int end) {}

  private static ApiBenchCode parseDict(String text) {
    List<Found> found = keys(text);
    Map<Key, String> values = new EnumMap<>(Key.class);
    boolean complete = true;
    for (int n = 0; n < found.size(); n++) {
      Key key = found.get(n).key();
      boolean last = n + 1 == found.size();
      String raw =
          text.substring(found.get(n).end(), last ? text.length() : found.get(n + 1).start());
      if (key == Key.INSTRUCTION) {
        String instruction = JinjaTemplate.strip(raw);
        values.put(key, isQuoted(instruction) ? inner(instruction) : instruction);
      } else if (key != Key.OUTPUT || !raw.isEmpty()) {
        String own = key == Key.DOMAIN || key == Key.API_CALL ? beforeOtherKey(raw) : raw;
        Value value = unquote(own, last);
        values.put(key, value.text());
        complete &= value.closed() && own.length() == raw.length();
      }
    }
    if (values.keySet().stream().anyMatch(key -> key.compareTo(Key.OUTPUT) > 0)) {
      values.remove(Key.OUTPUT);
    }
    return of(values, complete);
  }

  /** Finds the keys in their order: what looks like an earlier one belongs to a value. */
  private static List<Found> keys(String text) {
    List<Found> found = new ArrayList<>();
    Matcher matcher = KEY.matcher(text);
    Key last = null;
    while (matcher.find()) {
      Key key = Key.of(matcher.group(1));
      if (last == null || key.compareTo(last) > 0) {
        found.add(new Found(key, matcher.start(), matcher.end()));
        last = key;
      }
    }
    return found;
  }

  /**
   * Returns a quoted value without what follows under a key that is not APIBench's. Within brackets
   * a key belongs to the value: it is that of a dict in a call.
   */
  private static String beforeOtherKey(String raw) {
    Matcher other = OTHER_KEY.matcher(raw);
    while (other.find()) {
      String value = raw.substring(0, other.start());
      if (raw.startsWith(other.group(1)) && count(value, "([{") == count(value, ")]}")) {
        return raw.substring(0, other.end(1));
      }
    }
    return raw;
  }

  private static long count(String text, String characters) {
    return text.chars().filter(c -> characters.indexOf(c) >= 0).count();
  }

  private record Value(String text, boolean closed) {}

  /** Takes off one pair of equal quotes, and behind the last value the dict's closing brackets. */
  private static Value unquote(String raw, boolean last) {
    String value = JinjaTemplate.strip(raw);
    if (!value.startsWith("'") && !value.startsWith("\"")) {
      return new Value(last ? withoutEnd(value, "}") : value, true);
    }
    String body = last ? withoutEnd(value, "} \t\n") : value;
    return isQuoted(body)
        ? new Value(unescape(inner(body)), true)
        : new Value(unescape(value.substring(1)), false);
  }

  private static boolean isQuoted(String text) {
    char first = text.isEmpty() ? 0 : text.charAt(0);
    return text.length() > 1
        && (first == '\'' || first == '"')
        && text.charAt(text.length() - 1) == first;
  }

  private static String inner(String quoted) {
    return quoted.substring(1, quoted.length() - 1);
  }

  private static String unescape(String text) {
    return text.replace("\\'", "'").replace("\\\"", "\"");
  }

  private static String withoutEnd(String text, String characters) {
    int end = text.length();
    while (end > 0 && characters.indexOf(text.charAt(end - 1)) >= 0) {
      end--;
    }
    return text.substring(0, end);
  }

  private static ApiBenchCode of(Map<Key, String> values, boolean complete) {
    return new ApiBenchCode(
        values.get(Key.INSTRUCTION),
        values.get(Key.INPUT),
        values.get(Key.OUTPUT),
        values.get(Key.DOMAIN),
        values.get(Key.API_CALL),
        values.get(Key.API_PROVIDER),
        values.get(Key.EXPLANATION),
        values.get(Key.CODE),
        complete);
  }
}
