package org.alpaca4j.data;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ChatMessage;
import org.jspecify.annotations.Nullable;

/**
 * One conversation of training data.
 *
 * @param messages its messages, in order; at least one
 * @param tools the tools that the assistant could call, as JSON schemas; mostly none
 */
public record Conversation(List<ChatMessage> messages, List<Map<String, @Nullable Object>> tools) {

  /**
   * The field of an assistant's message that holds its weight, a number of 0 or more: its tokens'
   * share in the loss. With 0 it is not learnt; without it, the weight is 1.
   */
  public static final String WEIGHT = "weight";

  /** Copies the lists and checks that there is a message. */
  public Conversation {
    messages = List.copyOf(messages);
    tools = List.copyOf(tools);
    if (messages.isEmpty()) {
      throw new DataException("a conversation needs at least one message");
    }
  }

  /** Creates a conversation without tools. */
  public Conversation(List<ChatMessage> messages) {
    this(messages, List.of());
  }

  /** Returns a conversation of these messages, without tools. */
  public static Conversation of(ChatMessage... messages) {
    return new Conversation(List.of(messages));
  }

  /** Returns a message as templates and other programs know it, without {@link #WEIGHT}. */
  static ChatMessage withoutWeight(ChatMessage message) {
    Map<String, @Nullable Object> fields = new LinkedHashMap<>(message.toMap());
    fields.remove(WEIGHT);
    return ChatMessage.ofMap(fields);
  }
}
