package org.alpaca4j.core;

import java.util.Map;

/** A message of a conversation. */
public record ChatMessage(String role, String content, Map<String, Object> extra) {
  public static ChatMessage of(String role, String content) {
    return new ChatMessage(role, content, Map.of());
  }
}
