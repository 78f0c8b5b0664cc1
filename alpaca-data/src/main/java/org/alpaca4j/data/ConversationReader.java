package org.alpaca4j.data;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.alpaca4j.core.ChatMessage;

/**
 * Reads conversations: objects with a list {@code messages} of objects with the strings {@code
 * role} and {@code content}, as OpenAI's fine-tuning files and TRL have them. Other fields of the
 * record are ignored.
 */
public final class ConversationReader {

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
      String field = "messages[" + list.size() + "]";
      if (!message.isObject()) {
        throw located.error(field, "expected an object, found " + JsonRecords.kind(message));
      }
      list.add(
          ChatMessage.of(
              text(located, message, field, "role"), text(located, message, field, "content")));
    }
    return new Conversation(list);
  }

  private static String text(
      JsonRecords.Located located, JsonNode message, String field, String name) {
    JsonNode value = message.get(name);
    if (value == null) {
      throw located.error(field + "." + name, "is missing");
    }
    if (!value.isTextual()) {
      throw located.error(
          field + "." + name, "expected a string, found " + JsonRecords.kind(value));
    }
    return value.textValue();
  }
}
