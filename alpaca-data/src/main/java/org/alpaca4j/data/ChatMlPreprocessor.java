package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.Tokenizer;

/**
 * Turns conversations into ids and labels in the ChatML format of Qwen, part by part, without a
 * chat template. Each message is {@code <|im_start|>}, role, newline, content, {@code <|im_end|>},
 * newline; role and content are tokenised on their own, so the label mask is exact.
 *
 * <p>Immutable and thread-safe. The tokenizer must stay open.
 */
public final class ChatMlPreprocessor {

  /** Which tokens are learnt. */
  public enum LabelMask {
    /**
     * The assistant's contents and the {@code <|im_end|>} after them, so that the model learns to
     * stop. The default.
     */
    ASSISTANT,
    /** The assistant's contents only; such a model does not learn to stop. */
    CONTENT_ONLY,
    /**
     * As Qwen's fine-tuning code has it: {@code <|im_start|>}, {@code <|im_end|>} and the newline
     * after it in every message, all with the weight 1; contents of all roles but system and user.
     */
    QWEN
  }

  /** Renders what this class makes, with the start of an answer behind it if asked for. */
  static final ChatTemplate TEMPLATE =
      ChatTemplate.of(
          "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n'"
              + " + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
              + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");

  private static final int IGNORE = SupervisedExample.IGNORE_INDEX;

  private final Tokenizer tokenizer;
  private final LabelMask mask;
  private final int start;
  private final int end;
  private final int[] newline;
  private final int padId;

  private ChatMlPreprocessor(Tokenizer tokenizer, LabelMask mask) {
    this.tokenizer = tokenizer;
    this.mask = mask;
    this.start = required(tokenizer, "<|im_start|>");
    this.end = required(tokenizer, "<|im_end|>");
    this.newline = tokenizer.encodeIds("\n", false);
    this.padId =
        tokenizer.tokenToId("<|endoftext|>").orElseGet(() -> tokenizer.padId().orElse(end));
  }

  private static int required(Tokenizer tokenizer, String token) {
    return tokenizer
        .tokenToId(token)
        .orElseThrow(
            () ->
                new DataException(
                    "the tokenizer has no "
                        + token
                        + ", so it is none for ChatML; use its own chat template, or"
                        + " tokenizer.withAddedTokens(...)"));
  }

  /**
   * Returns a preprocessor that supervises the assistant's answers ({@link LabelMask#ASSISTANT}).
   *
   * @throws DataException if the tokenizer lacks the tokens of ChatML
   */
  public static ChatMlPreprocessor of(Tokenizer tokenizer) {
    return of(tokenizer, LabelMask.ASSISTANT);
  }

  /**
   * Returns a preprocessor with a label mask.
   *
   * @throws DataException if the tokenizer lacks the tokens of ChatML
   */
  public static ChatMlPreprocessor of(Tokenizer tokenizer, LabelMask mask) {
    Objects.requireNonNull(tokenizer, "tokenizer is null");
    Objects.requireNonNull(mask, "mask is null");
    return new ChatMlPreprocessor(tokenizer, mask);
  }

  /**
   * Returns ids and labels of a conversation. An assistant's message may have a {@linkplain
   * Conversation#WEIGHT weight}; with 0 it is not learnt.
   */
  public SupervisedExample example(List<ChatMessage> messages) {
    Objects.requireNonNull(messages, "messages is null");
    return example(messages, SupervisedDataset.Turns.ALL);
  }

  SupervisedExample example(List<ChatMessage> messages, SupervisedDataset.Turns turns) {
    float[] weights = turns.weights(messages);
    Ids ids = new Ids();
    float frame = mask == LabelMask.QWEN ? 1 : 0;
    for (int i = 0; i < messages.size(); i++) {
      ChatMessage message = messages.get(i);
      boolean learnt =
          mask == LabelMask.QWEN
              ? !message.role().equals("system") && !message.role().equals("user")
              : message.role().equals("assistant");
      float weight = learnt ? weights[i] : 0;
      ids.add(frame, start);
      ids.add(0, tokenizer.encodeIds(message.role(), false));
      ids.add(0, newline);
      ids.add(weight, tokenizer.encodePromptIds(content(message)));
      ids.add(mask == LabelMask.ASSISTANT ? weight : frame, end);
      ids.add(frame, newline);
    }
    return ids.toExample();
  }

  private static String content(ChatMessage message) {
    if (message.toMap().get("content") instanceof String text) {
      return text;
    }
    throw new DataException(
        "ChatML by hand takes text only, but a message of "
            + message.role()
            + " has no text as content; use the tokenizer's chat template");
  }

  /**
   * Returns conversations as one batch: right side, pad id {@link #padId}, attention mask "not pad"
   * as in the original code.
   */
  public PaddedBatch batch(List<Conversation> conversations) {
    Objects.requireNonNull(conversations, "conversations is null");
    List<SupervisedExample> examples = new ArrayList<>();
    conversations.forEach(conversation -> examples.add(example(conversation.messages())));
    return PaddingCollator.builder()
        .padId(padId)
        .mask(PaddingCollator.Mask.NOT_PAD)
        .build()
        .collate(examples);
  }

  /**
   * Returns the pad id: that of {@code <|endoftext|>}; where the vocabulary has none, the
   * tokenizer's pad token, or else {@code <|im_end|>}.
   */
  public int padId() {
    return padId;
  }

  private static final class Ids {
    private int[] ids = new int[256];
    private int[] labels = new int[256];
    private float[] weights = new float[256];
    private int size;

    /** Adds tokens, which are not learnt if their weight is 0. */
    void add(float weight, int... more) {
      if (size + more.length > ids.length) {
        int capacity = Math.max(ids.length * 2, size + more.length);
        ids = Arrays.copyOf(ids, capacity);
        labels = Arrays.copyOf(labels, capacity);
        weights = Arrays.copyOf(weights, capacity);
      }
      for (int id : more) {
        ids[size] = id;
        weights[size] = weight;
        labels[size++] = weight == 0 ? IGNORE : id;
      }
    }

    SupervisedExample toExample() {
      return new SupervisedExample(
          Arrays.copyOf(ids, size),
          Arrays.copyOf(labels, size),
          new int[1],
          Arrays.copyOf(weights, size));
    }
  }
}
