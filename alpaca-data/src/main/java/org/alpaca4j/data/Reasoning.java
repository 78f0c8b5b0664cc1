package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ChatMessage;
import org.jspecify.annotations.Nullable;

/**
 * What an assistant thinks before it answers: in a field of its own, or between {@code <think>} and
 * {@code </think>} in the text, where chat templates look for it, too.
 */
final class Reasoning {
  private static final List<String> FIELDS = List.of("reasoning_content", "thinking", "reasoning");
  private static final String OPEN = "<think>";
  private static final String CLOSE = "</think>";

  private Reasoning() {}

  /** Returns the reasoning of a message, without white space around it; empty if there is none. */
  static String of(ChatMessage message) {
    for (String field : FIELDS) {
      if (message.toMap().get(field) instanceof String text && !text.isBlank()) {
        return text.strip();
      }
    }
    if (message.toMap().get("content") instanceof String content) {
      int close = content.indexOf(CLOSE);
      if (close >= 0) {
        String before = content.substring(0, close);
        int open = before.lastIndexOf(OPEN);
        return before.substring(open < 0 ? 0 : open + OPEN.length()).strip();
      }
    }
    return "";
  }

  /** Returns the conversation with the reasoning that a policy keeps. */
  static Conversation kept(Conversation conversation, SupervisedDataset.Thinking policy) {
    List<ChatMessage> messages = conversation.messages();
    int from = firstKept(messages, policy);
    List<ChatMessage> kept = new ArrayList<>(messages);
    boolean changed = false;
    for (int i = 0; i < from; i++) {
      ChatMessage message = messages.get(i);
      if (message.role().equals("assistant")) {
        ChatMessage without = without(message);
        changed |= !without.equals(message);
        kept.set(i, without);
      }
    }
    return changed ? new Conversation(kept, conversation.tools()) : conversation;
  }

  private static int firstKept(List<ChatMessage> messages, SupervisedDataset.Thinking policy) {
    return switch (policy) {
      case KEEP -> 0;
      case DROP -> messages.size();
      case LAST -> {
        int last = lastBefore(messages, messages.size(), "assistant");
        yield lastBefore(messages, Math.max(last, 0), "user") + 1;
      }
    };
  }

  private static int lastBefore(List<ChatMessage> messages, int end, String role) {
    int i = end - 1;
    while (i >= 0 && !messages.get(i).role().equals(role)) {
      i--;
    }
    return i;
  }

  private static ChatMessage without(ChatMessage message) {
    Map<String, @Nullable Object> fields = new LinkedHashMap<>(message.toMap());
    FIELDS.forEach(fields::remove);
    if (fields.get("content") instanceof String content && content.contains(CLOSE)) {
      int answer = content.lastIndexOf(CLOSE) + CLOSE.length();
      fields.put("content", content.substring(answer).stripLeading());
    }
    return ChatMessage.ofMap(fields);
  }
}
