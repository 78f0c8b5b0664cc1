package org.alpaca4j.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * One message of a conversation: a role, mostly a text, and whatever else a chat template may read
 * ({@code tool_calls}, {@code name}, {@code reasoning_content}, content parts, ...).
 *
 * <p>The fields keep their order, since a template can print a whole message as JSON. Values are
 * JSON-like: strings, numbers, booleans, null, lists and maps. Immutable and thread-safe.
 */
public final class ChatMessage {
  private static final String ROLE = "role";
  private static final String CONTENT = "content";

  private final Map<String, @Nullable Object> fields;

  private ChatMessage(Map<String, ? extends @Nullable Object> fields) {
    Object role = fields.get(ROLE);
    if (!(role instanceof String)) {
      throw new IllegalArgumentException(
          "a chat message needs a 'role' that is a string, but has " + role);
    }
    Map<String, @Nullable Object> copy = new LinkedHashMap<>();
    fields.forEach((name, value) -> copy.put(name, freeze(value)));
    this.fields = Collections.unmodifiableMap(copy);
  }

  /**
   * Creates a message with further fields after role and content.
   *
   * @throws IllegalArgumentException if {@code extra} has a role, or a second content
   */
  public ChatMessage(String role, String content, Map<String, ? extends @Nullable Object> extra) {
    this(merge(role, content, extra));
  }

  /** Returns a message with this role and text. */
  public static ChatMessage of(String role, String content) {
    return new ChatMessage(role, content, Map.of());
  }

  /** Returns a message of the system. */
  public static ChatMessage system(String content) {
    return of("system", content);
  }

  /** Returns a message of the user. */
  public static ChatMessage user(String content) {
    return of("user", content);
  }

  /** Returns a message of the assistant. */
  public static ChatMessage assistant(String content) {
    return of("assistant", content);
  }

  /**
   * Returns a message with exactly these fields, in this order. {@code role} is required; {@code
   * content} may be missing, null, a string, or a list of parts such as {@code {"type": "text",
   * "text": "..."}}.
   *
   * @throws IllegalArgumentException if there is no role
   */
  public static ChatMessage ofMap(Map<String, ? extends @Nullable Object> fields) {
    Objects.requireNonNull(fields, "fields is null");
    return new ChatMessage(fields);
  }

  /** Returns who speaks: {@code system}, {@code user}, {@code assistant}, {@code tool}, ... */
  public String role() {
    return String.valueOf(fields.get(ROLE));
  }

  /**
   * Returns the text, empty when the message has none.
   *
   * @throws IllegalStateException if the content is not a string but a list of parts; see {@link
   *     #toMap()}
   */
  public String content() {
    Object content = fields.get(CONTENT);
    if (content == null) {
      return "";
    }
    if (content instanceof String text) {
      return text;
    }
    throw new IllegalStateException(
        "the content of this '" + role() + "' message is structured, not text; use toMap()");
  }

  /** Returns the fields other than role and text; structured content is among them. */
  public Map<String, @Nullable Object> extra() {
    Map<String, @Nullable Object> extra = new LinkedHashMap<>(fields);
    extra.remove(ROLE);
    if (fields.get(CONTENT) instanceof String) {
      extra.remove(CONTENT);
    }
    return Collections.unmodifiableMap(extra);
  }

  /** Returns all fields in their order, unmodifiable. */
  public Map<String, @Nullable Object> toMap() {
    return fields;
  }

  /** Returns this message with all texts but its role changed; the very same if none changes. */
  ChatMessage mapTexts(UnaryOperator<String> change) {
    Map<String, @Nullable Object> mapped = new LinkedHashMap<>();
    fields.forEach(
        (name, value) -> mapped.put(name, name.equals(ROLE) ? value : mapTexts(value, change)));
    return mapped.equals(fields) ? this : new ChatMessage(mapped);
  }

  /** Returns a value with all texts in it changed, the names of fields too. */
  private static @Nullable Object mapTexts(@Nullable Object value, UnaryOperator<String> change) {
    if (value instanceof String text) {
      return change.apply(text);
    } else if (value instanceof Map<?, ?> map) {
      Map<Object, @Nullable Object> copy = new LinkedHashMap<>();
      map.forEach(
          (key, item) ->
              copy.put(
                  key instanceof String name ? change.apply(name) : key, mapTexts(item, change)));
      return copy;
    } else if (value instanceof List<?> list) {
      List<@Nullable Object> copy = new ArrayList<>(list.size());
      list.forEach(item -> copy.add(mapTexts(item, change)));
      return copy;
    }
    return value;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof ChatMessage message && fields.equals(message.fields);
  }

  @Override
  public int hashCode() {
    return fields.hashCode();
  }

  @Override
  public String toString() {
    return "ChatMessage" + fields;
  }

  private static Map<String, @Nullable Object> merge(
      String role, String content, Map<String, ? extends @Nullable Object> extra) {
    Objects.requireNonNull(role, "role is null");
    Objects.requireNonNull(content, "content is null");
    Objects.requireNonNull(extra, "extra is null");
    if (extra.containsKey(ROLE) || extra.containsKey(CONTENT)) {
      throw new IllegalArgumentException(
          "'role' and 'content' are given twice; use ofMap for structured content");
    }
    Map<String, @Nullable Object> fields = new LinkedHashMap<>();
    fields.put(ROLE, role);
    fields.put(CONTENT, content);
    fields.putAll(extra);
    return fields;
  }

  private static @Nullable Object freeze(@Nullable Object value) {
    if (value instanceof Map<?, ?> map) {
      Map<Object, @Nullable Object> copy = new LinkedHashMap<>();
      map.forEach((key, item) -> copy.put(key, freeze(item)));
      return Collections.unmodifiableMap(copy);
    } else if (value instanceof List<?> list) {
      List<@Nullable Object> copy = new ArrayList<>(list.size());
      list.forEach(item -> copy.add(freeze(item)));
      return Collections.unmodifiableList(copy);
    }
    return value;
  }
}
