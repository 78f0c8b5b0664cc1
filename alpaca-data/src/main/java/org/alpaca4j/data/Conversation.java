package org.alpaca4j.data;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
   * The field of an assistant's message that holds its weight, a number of 0 or more; without it,
   * the weight is 1. With 0 the message is not learnt. Else it is the weight of each of its tokens
   * in the loss of a step, which is {@code sum(weight * crossEntropy) / sum(weight)} over the
   * step's supervised tokens: the mean that PyTorch's {@code cross_entropy} takes of classes with
   * weights. So only the ratios of the weights in a step matter. A weight is held as a {@code
   * float}; what becomes 0 or infinite as one is refused.
   */
  public static final String WEIGHT = "weight";

  /** What a weight can be, for messages. */
  static final String WEIGHT_RANGE = "0, or a number from 1.4e-45 to 3.4e38";

  /** Returns whether a number can be a weight. */
  static boolean isWeight(double value) {
    float rounded = (float) value;
    return value == 0 || (rounded > 0 && rounded < Float.POSITIVE_INFINITY);
  }

  /**
   * Returns the weight of a message.
   *
   * @param index where it stands, for the error
   */
  static float weight(ChatMessage message, int index) {
    Object value = message.extra().get(WEIGHT);
    if (value == null) {
      return 1;
    }
    if (value instanceof Number number && isWeight(number.doubleValue())) {
      return number.floatValue();
    }
    throw new DataException(
        "messages[" + index + "] has the weight " + value + ", but a weight is " + WEIGHT_RANGE);
  }

  /** Copies the lists and checks that there is a message. */
  public Conversation {
    Objects.requireNonNull(tools, "tools is null");
    Objects.requireNonNull(messages, "messages is null");
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
    Objects.requireNonNull(messages, "messages is null");
    return new Conversation(List.of(messages));
  }

  /** Returns a message as templates and other programs know it, without {@link #WEIGHT}. */
  static ChatMessage withoutWeight(ChatMessage message) {
    Map<String, @Nullable Object> fields = new LinkedHashMap<>(message.toMap());
    fields.remove(WEIGHT);
    return ChatMessage.ofMap(fields);
  }
}
