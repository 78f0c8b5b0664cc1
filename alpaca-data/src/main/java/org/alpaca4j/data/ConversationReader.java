package org.alpaca4j.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.jspecify.annotations.Nullable;

/**
 * Reads conversations, in OpenAI's or ShareGPT's layout. A conversation without an assistant's
 * message has nothing to learn and is an error. The record can have {@code tools}, a list of JSON
 * schemas; its other fields are ignored. Immutable and thread-safe.
 */
public final class ConversationReader implements Function<DataRecord, Conversation> {

  private static final ConversationReader MESSAGES = messages("messages");
  private static final ConversationReader SHARE_GPT = shareGpt("conversations");

  /** ShareGPT's names, and those of the models whose answers were shared. */
  private static final Map<String, String> SHARE_GPT_ROLES =
      Map.ofEntries(
          Map.entry("human", "user"),
          Map.entry("user", "user"),
          Map.entry("gpt", "assistant"),
          Map.entry("chatgpt", "assistant"),
          Map.entry("bing", "assistant"),
          Map.entry("bard", "assistant"),
          Map.entry("assistant", "assistant"),
          Map.entry("system", "system"),
          Map.entry("tool", "tool"),
          Map.entry("observation", "tool"));

  private final String field;
  private final boolean shareGpt;

  private ConversationReader(String field, boolean shareGpt) {
    this.field = Objects.requireNonNull(field, "field");
    this.shareGpt = shareGpt;
  }

  /**
   * Returns the reader of OpenAI's fine-tuning files and TRL: a list {@code messages} of objects
   * with the strings {@code role} and {@code content}. Other fields of a message are kept for the
   * chat template; {@code content} may be a list of parts, and may be missing beside {@code
   * tool_calls}. An assistant's message with {@code "weight": 0} is not learnt.
   */
  public static ConversationReader messages() {
    return MESSAGES;
  }

  /** Returns the reader of that layout with another name for the list. */
  public static ConversationReader messages(String field) {
    return new ConversationReader(field, false);
  }

  /**
   * Returns the reader of ShareGPT's layout: a list {@code conversations} of objects with the
   * strings {@code from} (human, gpt, system, tool, ...) and {@code value}.
   */
  public static ConversationReader shareGpt() {
    return SHARE_GPT;
  }

  /** Returns the reader of that layout with another name for the list. */
  public static ConversationReader shareGpt(String field) {
    return new ConversationReader(field, true);
  }

  /**
   * Reads a file that holds one JSON array of conversations in OpenAI's layout.
   *
   * @throws DataException if the file is not such an array, naming line, record and field
   */
  public static List<Conversation> readJson(Path file) {
    return readAll(DataFile.json(file));
  }

  /**
   * Reads a file with one conversation in OpenAI's layout per line. Lines end at LF (a CR before it
   * is allowed); blank lines and a byte order mark are skipped.
   *
   * @throws DataException if a line is not such a record, naming line, record and field
   */
  public static List<Conversation> readJsonl(Path file) {
    return readAll(DataFile.jsonl(file));
  }

  private static List<Conversation> readAll(RecordSource<DataRecord> file) {
    try (Stream<Conversation> records = file.map(MESSAGES).stream()) {
      return records.toList();
    }
  }

  /**
   * Returns the conversation that a record holds.
   *
   * @throws DataException if it holds none, naming file, line, record and field
   */
  @Override
  public Conversation apply(DataRecord from) {
    List<?> entries = from.list(field);
    if (entries.isEmpty()) {
      throw from.error(field, "is empty");
    }
    List<ChatMessage> messages = new ArrayList<>();
    boolean assistant = false;
    for (Object entry : entries) {
      String place = field + "[" + messages.size() + "]";
      Map<String, @Nullable Object> fields = fields(from, place, entry);
      ChatMessage message = shareGpt ? turn(from, place, fields) : message(from, place, fields);
      assistant |= message.role().equals("assistant");
      messages.add(message);
    }
    if (!assistant) {
      throw from.error(field, "has no message of the assistant, so there is nothing to learn");
    }
    return new Conversation(messages, tools(from));
  }

  private static ChatMessage message(
      DataRecord from, String place, Map<String, @Nullable Object> fields) {
    requireText(from, place + ".role", fields, "role");
    Object content = fields.get("content");
    if (content == null ? !fields.containsKey("tool_calls") : !(content instanceof List)) {
      requireText(from, place + ".content", fields, "content");
    }
    Object weight = fields.get(Conversation.WEIGHT);
    if (weight != null
        && !(weight instanceof Number number
            && (number.doubleValue() == 0 || number.doubleValue() == 1))) {
      throw from.error(
          place + "." + Conversation.WEIGHT, "expected 0 or 1, found " + DataRecord.kind(weight));
    }
    return ChatMessage.ofMap(fields);
  }

  private static ChatMessage turn(
      DataRecord from, String place, Map<String, @Nullable Object> fields) {
    String speaker = requireText(from, place + ".from", fields, "from");
    String role = SHARE_GPT_ROLES.get(speaker);
    if (role == null) {
      throw from.error(
          place + ".from",
          "unknown speaker \""
              + speaker
              + "\"; known are "
              + String.join(", ", SHARE_GPT_ROLES.keySet().stream().sorted().toList()));
    }
    return ChatMessage.of(role, requireText(from, place + ".value", fields, "value"));
  }

  private static String requireText(
      DataRecord from, String place, Map<String, @Nullable Object> fields, String name) {
    if (fields.get(name) instanceof String text) {
      return text;
    }
    throw from.error(
        place,
        fields.containsKey(name)
            ? "expected a string, found " + DataRecord.kind(fields.get(name))
            : "is missing");
  }

  private static List<Map<String, @Nullable Object>> tools(DataRecord from) {
    if (from.value("tools") == null) {
      return List.of();
    }
    List<Map<String, @Nullable Object>> tools = new ArrayList<>();
    for (Object tool : from.list("tools")) {
      tools.add(fields(from, "tools[" + tools.size() + "]", tool));
    }
    return tools;
  }

  private static Map<String, @Nullable Object> fields(
      DataRecord from, String place, @Nullable Object value) {
    if (!(value instanceof Map<?, ?> map)) {
      throw from.error(place, "expected an object, found " + DataRecord.kind(value));
    }
    Map<String, @Nullable Object> fields = new LinkedHashMap<>();
    map.forEach((name, part) -> fields.put((String) name, part));
    return fields;
  }
}
