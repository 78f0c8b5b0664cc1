package org.alpaca4j.data;

import java.util.List;
import org.alpaca4j.core.ChatMessage;

/**
 * One conversation of training data.
 *
 * @param messages its messages, in order; at least one
 */
public record Conversation(List<ChatMessage> messages) {

  /** Copies the list and checks that it is not empty. */
  public Conversation {
    messages = List.copyOf(messages);
    if (messages.isEmpty()) {
      throw new DataException("a conversation needs at least one message");
    }
  }

  /** Returns a conversation of these messages. */
  public static Conversation of(ChatMessage... messages) {
    return new Conversation(List.of(messages));
  }
}
