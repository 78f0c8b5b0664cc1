package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Tool calls as chat templates expect them: a list {@code tool_calls} of {@code {"type":
 * "function", "function": {"name", "arguments"}}}, the arguments an object. OpenAI's interface and
 * many files have them as JSON text, which a template would write as a text within quotes; older
 * files have one {@code function_call}, ShareGPT's a turn of that name.
 */
final class ToolCalls {

  /** The field of a message. */
  static final String FIELD = "tool_calls";

  /** ShareGPT's speaker of calls; also OpenAI's older field of a message. */
  static final String ROLE = "function_call";

  private static final String ARGUMENTS = "arguments";

  private ToolCalls() {}

  /** Puts the calls of a message into their usual form, in place. */
  static void normalize(DataRecord from, String place, Map<String, @Nullable Object> message) {
    Object calls = message.get(FIELD);
    Object call = message.remove(ROLE);
    if (call != null) {
      if (calls != null) {
        throw from.error(place + "." + ROLE, "stands beside " + FIELD + "; keep one of the two");
      }
      String path = place + "." + ROLE;
      Object plain =
          call instanceof String text ? JsonObjectParser.valueOf(from, path, text) : call;
      message.put(FIELD, List.of(wrapped(function(from, path, plain))));
    } else if (calls != null) {
      List<Object> normal = new ArrayList<>();
      for (Map<String, @Nullable Object> one :
          TurnReader.objects(from, place + "." + FIELD, calls)) {
        normal.add(call(from, place + "." + FIELD + "[" + normal.size() + "]", one));
      }
      if (normal.isEmpty()) {
        message.remove(FIELD);
      } else {
        message.put(FIELD, normal);
      }
    }
  }

  /**
   * Returns the calls of ShareGPT's turn: a JSON text of a function's call, or of a list of them.
   */
  static List<Object> ofText(DataRecord from, String place, String text) {
    Object value = JsonObjectParser.valueOf(from, place, text);
    List<Object> calls = new ArrayList<>();
    for (Object one : value instanceof List<?> list ? list : List.of(orEmpty(value))) {
      calls.add(wrapped(function(from, place, one)));
    }
    if (calls.isEmpty()) {
      throw from.error(place, "calls no function");
    }
    return calls;
  }

  private static Object orEmpty(@Nullable Object value) {
    return value == null ? "" : value;
  }

  /** Returns a function as a tool or a call of it. */
  static Map<String, @Nullable Object> wrapped(Map<String, @Nullable Object> function) {
    Map<String, @Nullable Object> call = new LinkedHashMap<>();
    call.put("type", "function");
    call.put("function", function);
    return call;
  }

  private static Map<String, @Nullable Object> call(
      DataRecord from, String place, Map<String, @Nullable Object> call) {
    if (call.get("function") == null) {
      return decoded(from, place, call);
    }
    String path = place + ".function";
    call.put("function", decoded(from, path, TurnReader.object(from, path, call.get("function"))));
    return call;
  }

  private static Map<String, @Nullable Object> function(
      DataRecord from, String place, @Nullable Object value) {
    Map<String, @Nullable Object> function = TurnReader.object(from, place, value);
    if (!(function.get("name") instanceof String)) {
      throw from.error(place, "names no function; expected an object with name and arguments");
    }
    return decoded(from, place, function);
  }

  private static Map<String, @Nullable Object> decoded(
      DataRecord from, String place, Map<String, @Nullable Object> function) {
    if (function.get(ARGUMENTS) instanceof String text) {
      String path = place + "." + ARGUMENTS;
      Object arguments = text.isBlank() ? Map.of() : JsonObjectParser.valueOf(from, path, text);
      function.put(ARGUMENTS, TurnReader.object(from, path, arguments));
    }
    return function;
  }
}
