package org.alpaca4j.core.internal;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonStreamContext;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What is wrong with a JSON text, in words for whoever wrote the text: the parser's own messages
 * name its switches and classes, which are no way out for them. Stateless.
 */
public final class JsonProblem {

  private static final Pattern NOT_A_NUMBER =
      Pattern.compile("token '([+-]?(?:NaN|INF|Infinity))'");
  private static final Pattern WORD =
      Pattern.compile("^Unrecognized token '(.*?)'", Pattern.DOTALL);
  private static final Pattern CHARACTER =
      Pattern.compile("^(?:Unexpected|Illegal) .*?character \\(.*?\\(?code (\\d+)", Pattern.DOTALL);
  private static final Pattern ESCAPE = Pattern.compile("^Unrecognized character escape '?(.)");
  private static final Pattern LIMIT = Pattern.compile("\\(\\d+\\).*?\\((\\d+)", Pattern.DOTALL);
  private static final Pattern INTERNALS =
      Pattern.compile("Source:|`|Feature|Jackson|[a-z]\\.[A-Z]", Pattern.DOTALL);

  private JsonProblem() {}

  /** Returns what is wrong, beginning in small letters, without the place. */
  public static String describe(JsonProcessingException e) {
    String message = String.valueOf(e.getOriginalMessage());
    if (e instanceof StreamConstraintsException) {
      return limit(message);
    }
    Matcher number = NOT_A_NUMBER.matcher(message);
    if (number.find()) {
      return "holds " + number.group(1) + ", which JSON does not have; write null or a number";
    }
    Matcher word = WORD.matcher(message);
    if (word.find()) {
      return "holds "
          + abbreviated(word.group(1))
          + ", which is no value; texts stand in double quotes, other values are numbers, true,"
          + " false and null";
    }
    if (message.startsWith("Unexpected end-of-input")) {
      return "ends too early; it may be cut off";
    }
    if (message.startsWith("Invalid UTF-8")) {
      return "holds bytes that are not UTF-8; convert it to UTF-8";
    }
    Matcher escape = ESCAPE.matcher(message);
    if (escape.find()) {
      return "holds the escape \\" + escape.group(1) + ", which JSON does not have";
    }
    Matcher character = CHARACTER.matcher(message);
    if (character.find()) {
      return "holds " + named(Integer.parseInt(character.group(1))) + wherefore(message);
    }
    return INTERNALS.matcher(message).find() || message.isEmpty()
        ? "is malformed"
        : Character.toLowerCase(message.charAt(0)) + message.substring(1);
  }

  /** As {@link #describe}, with line and field before it as far as they are known. */
  public static String describeWithPlace(JsonProcessingException e) {
    List<String> place = new ArrayList<>();
    if (e.getLocation() != null) {
      place.add("line " + e.getLocation().getLineNr());
    }
    if (e.getProcessor() instanceof JsonParser parser) {
      String field = path(parser.getParsingContext());
      if (field != null) {
        place.add("field \"" + field + "\"");
      }
    }
    return (place.isEmpty() ? "" : String.join(", ", place) + ": ") + describe(e);
  }

  /** As {@link #describeWithPlace}, of what reading a JSON text may throw. */
  public static String describe(IOException e) {
    return e instanceof JsonProcessingException json
        ? describeWithPlace(json)
        : String.valueOf(e.getMessage());
  }

  /** Returns where a parser is within a value, such as {@code messages[1].content}, or null. */
  public static @Nullable String path(JsonStreamContext place) {
    StringBuilder path = new StringBuilder();
    for (JsonStreamContext c = place; c != null && !c.inRoot(); c = c.getParent()) {
      if (c.inObject() && c.getCurrentName() != null) {
        path.insert(0, "." + c.getCurrentName());
      } else if (c.inArray() && c.hasCurrentIndex()) {
        path.insert(0, "[" + c.getCurrentIndex() + "]");
      }
    }
    int name = path.indexOf(".");
    return name < 0 ? null : path.substring(name + 1);
  }

  private static String limit(String message) {
    Matcher limit = LIMIT.matcher(message);
    String most = limit.find() ? " than " + limit.group(1) : " than can be read";
    if (message.contains("nesting depth")) {
      return "is nested deeper" + most;
    }
    return message.startsWith("Number")
        ? "holds a number of more characters" + most
        : "holds a text of more characters" + most;
  }

  private static String named(int code) {
    return code < ' ' || code == 0x7F
        ? String.format("a raw control character (code %d)", code)
        : "'" + Character.toString(code) + "'";
  }

  private static String wherefore(String message) {
    if (message.contains("control") || message.contains("CTRL-CHAR")) {
      return message.contains("double-quote") || message.contains("escaped")
          ? " inside a text; escape it, as \\n for a line end"
          : " between values";
    }
    if (message.contains("double-quote to start field name")) {
      return " where a field's name in double quotes is expected";
    }
    if (message.contains("colon")) {
      return " where a colon is expected";
    }
    if (message.contains("comma")) {
      return " where a comma or the end of an object or array is expected";
    }
    return " where it cannot stand";
  }

  private static String abbreviated(String text) {
    return text.length() <= 40 ? text : text.substring(0, 40) + "…";
  }
}
