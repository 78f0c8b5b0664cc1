package org.alpaca4j.core.internal;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Clock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplateException;
import org.alpaca4j.core.internal.jinja.JinjaTemplate;
import org.jspecify.annotations.Nullable;

/**
 * The arguments of tool calls in the form that a chat template takes. Most templates write an
 * object as JSON, and would put a JSON text (which is what OpenAI's interface gives) within quotes;
 * a few join a JSON text to others, and fail with an object.
 */
public final class ToolArguments {
  private static final String CALLS = "tool_calls";
  private static final String ARGUMENTS = "arguments";

  private ToolArguments() {}

  /**
   * Renders with arguments that are objects; where the template fails then, with JSON texts.
   *
   * @param render renders messages; called once or twice
   * @throws IllegalArgumentException if an argument is neither an object nor the JSON text of one
   * @throws ChatTemplateException that of the first rendering, if the second fails as well
   */
  public static <T> T rendered(List<ChatMessage> messages, Function<List<ChatMessage>, T> render) {
    List<ChatMessage> objects = map(messages, ToolArguments::object);
    try {
      return render.apply(objects);
    } catch (ChatTemplateException e) {
      List<ChatMessage> texts = map(objects, (place, arguments) -> text(arguments));
      if (texts.equals(objects)) {
        throw e;
      }
      try {
        return render.apply(texts);
      } catch (ChatTemplateException unused) {
        throw e;
      }
    }
  }

  private static List<ChatMessage> map(
      List<ChatMessage> messages, BiFunction<String, Object, Object> change) {
    List<ChatMessage> mapped = new ArrayList<>(messages);
    for (int i = 0; i < mapped.size(); i++) {
      Map<String, @Nullable Object> message = new LinkedHashMap<>(mapped.get(i).toMap());
      if (message.get(CALLS) instanceof List<?> calls) {
        List<@Nullable Object> changed = new ArrayList<>();
        for (Object call : calls) {
          String place = "messages[" + i + "]." + CALLS + "[" + changed.size() + "]";
          changed.add(call(place, call, change));
        }
        message.put(CALLS, changed);
        mapped.set(i, ChatMessage.ofMap(message));
      }
    }
    return mapped;
  }

  /** The arguments are in the call itself, or in its function. */
  private static @Nullable Object call(
      String place, @Nullable Object call, BiFunction<String, Object, Object> change) {
    if (!(call instanceof Map<?, ?> fields)) {
      return call;
    }
    Map<Object, @Nullable Object> changed = new LinkedHashMap<>(fields);
    changed.computeIfPresent("function", (name, value) -> call(place + "." + name, value, change));
    changed.computeIfPresent(ARGUMENTS, (name, value) -> change.apply(place + "." + name, value));
    return changed;
  }

  private static Object object(String place, Object arguments) {
    if (!(arguments instanceof String text)) {
      return arguments;
    }
    try {
      return text.isBlank() ? Map.of() : Reading.MAPPER.readValue(text, LinkedHashMap.class);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          place + ": is a text, but not the JSON text of an object: " + JsonProblem.describe(e), e);
    }
  }

  private static Object text(Object arguments) {
    return arguments instanceof String
        ? arguments
        : Reading.TO_JSON.render(Map.of(ARGUMENTS, arguments), Clock.systemUTC()).text();
  }

  /** Loaded for calls alone. */
  private static final class Reading {
    static final ObjectMapper MAPPER =
        new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
    static final JinjaTemplate TO_JSON = JinjaTemplate.parse("{{ " + ARGUMENTS + " | tojson }}");
  }
}
