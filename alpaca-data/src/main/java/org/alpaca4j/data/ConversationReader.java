package org.alpaca4j.data;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ChatMessage;
import org.jspecify.annotations.Nullable;

/**
 * Reads conversations: objects with a list {@code messages} of objects with the strings {@code
 * role} and {@code content}, as OpenAI's fine-tuning files and TRL have them. Other fields of a
 * message are kept for the chat template; {@code content} may be a list of parts, and may be
 * missing beside {@code tool_calls}. The record can have {@code tools}, a list of JSON schemas; its
 * other fields are ignored.
 */
public final class ConversationReader {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final TypeReference<LinkedHashMap<String, @Nullable Object>> MAP =
      new TypeReference<>() {};

  private ConversationReader() {}

  /**
   * Reads a file that holds one JSON array of conversations.
   *
   * @throws DataException if the file is not such an array, naming line, record and field
   */
  public static List<Conversation> readJson(Path file) {
    try (JsonRecords records = JsonRecords.array(file)) {
      return readAll(records);
    }
  }

  /**
   * Reads a file with one conversation per line. Lines end at LF (a CR before it is allowed); blank
   * lines and a byte order mark are skipped.
   *
   * @throws DataException if a line is not such a record, naming line, record and field
   */
  public static List<Conversation> readJsonl(Path file) {
    try (JsonRecords records = JsonRecords.lines(file)) {
      return readAll(records);
    }
  }

  private static List<Conversation> readAll(JsonRecords records) {
    List<Conversation> all = new ArrayList<>();
    toConversations(records).forEachRemaining(all::add);
    return all;
  }

  static Iterator<Conversation> toConversations(JsonRecords records) {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return records.hasNext();
      }

      @Override
      public Conversation next() {
        return conversation(records.next());
      }
    };
  }

  private static Conversation conversation(JsonRecords.Located located) {
    JsonNode messages = located.object().get("messages");
    if (messages == null) {
      throw located.error("messages", "is missing");
    }
    if (!messages.isArray()) {
      throw located.error("messages", "expected an array, found " + JsonRecords.kind(messages));
    }
    if (messages.isEmpty()) {
      throw located.error("messages", "is empty");
    }
    List<ChatMessage> list = new ArrayList<>();
    for (JsonNode message : messages) {
      list.add(message(located, message, "messages[" + list.size() + "]"));
    }
    return new Conversation(list, tools(located));
  }

  private static ChatMessage message(JsonRecords.Located located, JsonNode message, String field) {
    if (!message.isObject()) {
      throw located.error(field, "expected an object, found " + JsonRecords.kind(message));
    }
    JsonNode role = message.get("role");
    if (role == null || !role.isTextual()) {
      throw located.error(field + ".role", problem(role));
    }
    JsonNode content = message.get("content");
    boolean contentCanBeMissing = message.has("tool_calls");
    boolean missing = content == null || content.isNull();
    if (missing ? !contentCanBeMissing : !content.isTextual() && !content.isArray()) {
      throw located.error(field + ".content", problem(content));
    }
    return ChatMessage.ofMap(JSON.convertValue(message, MAP));
  }

  private static String problem(@Nullable JsonNode value) {
    return value == null ? "is missing" : "expected a string, found " + JsonRecords.kind(value);
  }

  private static List<Map<String, @Nullable Object>> tools(JsonRecords.Located located) {
    JsonNode tools = located.object().get("tools");
    if (tools == null || tools.isNull()) {
      return List.of();
    }
    if (!tools.isArray()) {
      throw located.error("tools", "expected an array, found " + JsonRecords.kind(tools));
    }
    List<Map<String, @Nullable Object>> list = new ArrayList<>();
    for (JsonNode tool : tools) {
      if (!tool.isObject()) {
        throw located.error(
            "tools[" + list.size() + "]", "expected an object, found " + JsonRecords.kind(tool));
      }
      list.add(JSON.convertValue(tool, MAP));
    }
    return list;
  }
}
