package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.alpaca4j.core.ChatMessage;
import org.jspecify.annotations.Nullable;

/**
 * Reads one turn of a conversation, in OpenAI's or ShareGPT's layout, into a message as chat
 * templates expect it: the roles' usual names, a text as content, tool calls with arguments that
 * are objects, and its {@linkplain Conversation#WEIGHT weight}.
 */
final class TurnReader {

  private static final String ASSISTANT = "assistant";

  /** Names that speakers have in published data, and in the layouts that models were trained in. */
  static final Map<String, String> ROLES =
      Map.ofEntries(
          Map.entry("human", "user"),
          Map.entry("user", "user"),
          Map.entry("gpt", ASSISTANT),
          Map.entry("chatgpt", ASSISTANT),
          Map.entry("bing", ASSISTANT),
          Map.entry("bard", ASSISTANT),
          Map.entry("model", ASSISTANT),
          Map.entry(ASSISTANT, ASSISTANT),
          Map.entry(ToolCalls.ROLE, ASSISTANT),
          Map.entry("system", "system"),
          Map.entry("tool", "tool"),
          Map.entry("observation", "tool"),
          Map.entry("tool_response", "tool"),
          Map.entry("function", "tool"));

  /** What data sets call the weight of a turn; a boolean is 1 or 0. */
  private static final List<String> WEIGHTS =
      List.of(Conversation.WEIGHT, "loss", "train", "train_on_turn");

  private static final Set<String> SHARE_GPT_FIELDS =
      Set.of("from", "value", "weight", "loss", "train", "train_on_turn", "tool_calls");

  private final DataRecord from;
  private final String list;
  private final int index;
  private final Map<String, @Nullable Object> fields;

  /**
   * Takes the fields of a turn.
   *
   * @param list the field that holds the turns
   * @param index the turn's index
   * @param turn its fields, which are left as they are
   * @throws DataException if it is no object
   */
  @SuppressWarnings("unchecked") // objects of a record have names as keys
  TurnReader(DataRecord from, String list, int index, @Nullable Object turn) {
    this.from = from;
    this.list = list;
    this.index = index;
    if (!(turn instanceof Map<?, ?> map)) {
      throw from.error(place(), "expected an object, found " + DataRecord.kind(turn));
    }
    this.fields = (Map<String, @Nullable Object>) map;
  }

  /** OpenAI's layout: {@code role} and {@code content}; further fields are for the template. */
  ChatMessage message() {
    Map<String, @Nullable Object> message = new LinkedHashMap<>();
    String speaker = text("role");
    message.put("role", ROLES.getOrDefault(speaker, speaker));
    message.put("content", null); // keeps its place
    fields.forEach(
        (name, value) -> {
          // Files with columns, such as Parquet, have every field in every message.
          if (value != null && !WEIGHTS.contains(name)) {
            message.putIfAbsent(name, value);
          }
        });
    return finished(message, speaker, "content");
  }

  /** ShareGPT's layout: {@code from} and {@code value}; further fields mean nothing. */
  ChatMessage shareGpt() {
    if (!fields.containsKey("from") && fields.containsKey("role")) {
      throw from.error(
          place() + ".from",
          "is missing; turns with role and content are read with ConversationReader.messages(\""
              + list
              + "\")");
    }
    String speaker = text("from");
    String role = ROLES.get(speaker);
    if (role == null) {
      throw from.error(
          place() + ".from",
          "unknown speaker \""
              + speaker
              + "\"; known are "
              + String.join(", ", ROLES.keySet().stream().sorted().toList()));
    }
    Map<String, @Nullable Object> message = new LinkedHashMap<>();
    message.put("role", role);
    message.put("content", null);
    if (fields.get(ToolCalls.FIELD) != null) {
      message.put(ToolCalls.FIELD, fields.get(ToolCalls.FIELD));
    }
    for (String name : fields.keySet()) {
      if (!SHARE_GPT_FIELDS.contains(name)) {
        from.ignore(list + "[]." + name);
      }
    }
    return finished(message, speaker, "value");
  }

  private ChatMessage finished(
      Map<String, @Nullable Object> message, String speaker, String contentField) {
    boolean assistant = ASSISTANT.equals(message.get("role"));
    if (speaker.equals(ToolCalls.ROLE)) {
      message.put(
          ToolCalls.FIELD,
          ToolCalls.ofText(from, place() + "." + contentField, content(contentField)));
      message.remove("content");
    } else {
      if (message.containsKey(ToolCalls.FIELD) || message.containsKey(ToolCalls.ROLE)) {
        ToolCalls.normalize(from, place(), message);
      }
      boolean calls = message.get(ToolCalls.FIELD) != null;
      if (calls && fields.get(contentField) == null) {
        message.remove("content");
      } else {
        message.put("content", content(contentField));
      }
    }
    Number weight = weight(assistant);
    if (weight != null && weight.doubleValue() != 1) {
      message.put(Conversation.WEIGHT, weight);
    }
    return ChatMessage.ofMap(message);
  }

  private String place() {
    return list + "[" + index + "]";
  }

  /** A text, or a list of parts that are texts, joined. */
  private String content(String name) {
    if (!(fields.get(name) instanceof List<?> parts)) {
      return text(name);
    }
    StringBuilder joined = new StringBuilder();
    for (int i = 0; i < parts.size(); i++) {
      joined.append(part(place() + "." + name + "[" + i + "]", parts.get(i)));
    }
    return joined.toString();
  }

  private String part(String path, @Nullable Object part) {
    if (part instanceof String text) {
      return text;
    }
    if (!(part instanceof Map<?, ?> object)) {
      throw from.error(path, "expected a part of content, found " + DataRecord.kind(part));
    }
    if (object.get("text") instanceof String text
        && (object.get("type") == null || object.get("type").equals("text"))) {
      return text;
    }
    throw from.error(
        path,
        "is a part of type "
            + (object.get("type") instanceof String type ? "\"" + type + "\"" : "unknown")
            + ", but only parts of type \"text\" with a text can be learnt; leave it out");
  }

  private @Nullable Number weight(boolean assistant) {
    Number found = null;
    for (String name : WEIGHTS) {
      Object value = fields.get(name);
      if (value == null) {
        continue;
      }
      Number weight = weight(name, value);
      if (found != null && found.doubleValue() != weight.doubleValue()) {
        throw from.error(place() + "." + name, "is " + value + ", but another field says " + found);
      }
      found = weight;
    }
    if (assistant || found == null) {
      return found;
    }
    if (found.doubleValue() != 0) {
      throw from.error(
          place(),
          "is to be learnt by its weight, but only the assistant's turns can be; remove it");
    }
    return null; // nobody learns it in any case
  }

  private Number weight(String name, Object value) {
    if (value instanceof Boolean learnt) {
      return learnt ? 1 : 0;
    }
    if (value instanceof Number number && Conversation.isWeight(number.doubleValue())) {
      return number;
    }
    throw from.error(
        place() + "." + name,
        "expected true, false, "
            + Conversation.WEIGHT_RANGE
            + ", found "
            + (value instanceof String text ? "\"" + text + "\"" : DataRecord.kind(value)));
  }

  private String text(String name) {
    if (fields.get(name) instanceof String text) {
      return text;
    }
    throw from.error(
        place() + "." + name,
        fields.containsKey(name)
            ? "expected a string, found " + DataRecord.kind(fields.get(name))
            : "is missing");
  }

  /** Returns an object's fields, or refuses what is none. */
  static Map<String, @Nullable Object> object(
      DataRecord from, String place, @Nullable Object value) {
    if (!(value instanceof Map<?, ?> map)) {
      throw from.error(place, "expected an object, found " + DataRecord.kind(value));
    }
    Map<String, @Nullable Object> fields = new LinkedHashMap<>();
    map.forEach((name, part) -> fields.put((String) name, part));
    return fields;
  }

  /** Returns a list of objects, of which the list and each may be a JSON text. */
  static List<Map<String, @Nullable Object>> objects(
      DataRecord from, String place, @Nullable Object value) {
    if (value == null || value instanceof String text && text.isBlank()) {
      return List.of();
    }
    Object plain =
        value instanceof String text ? JsonObjectParser.valueOf(from, place, text) : value;
    if (!(plain instanceof List<?> list)) {
      throw from.error(
          place,
          "expected an array"
              + (value == plain ? "" : " in the JSON text")
              + ", found "
              + DataRecord.kind(plain));
    }
    List<Map<String, @Nullable Object>> objects = new ArrayList<>();
    for (Object entry : list) {
      String path = place + "[" + objects.size() + "]";
      objects.add(
          object(
              from,
              path,
              entry instanceof String text ? JsonObjectParser.valueOf(from, path, text) : entry));
    }
    return objects;
  }
}
