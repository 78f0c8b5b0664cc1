package org.alpaca4j.core;

import java.time.Clock;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ChatTemplate.RenderOptions;
import org.alpaca4j.core.internal.ToolArguments;
import org.jspecify.annotations.Nullable;

/**
 * A prompt as a model is given it.
 *
 * @param text rendered, up to where the answer begins; without what the tokenizer itself puts first
 * @param ids its tokens
 */
record RenderedPrompt(String text, int[] ids) {

  /**
   * Renders messages.
   *
   * @param input what a prompt template's instruction is about; empty for none
   * @param clock which templates may print
   * @throws ChatTemplateException if the form cannot render these messages: a prompt template takes
   *     a single one of the user
   */
  static RenderedPrompt of(
      PromptForm form,
      Tokenizer tokenizer,
      List<ChatMessage> messages,
      List<Map<String, @Nullable Object>> tools,
      String input,
      Clock clock) {
    if (form instanceof ChatTemplate template) {
      RenderOptions.Builder options =
          RenderOptions.builder().addGenerationPrompt(true).clock(clock);
      if (!tools.isEmpty()) {
        options.tools(tools);
      }
      RenderOptions built = options.build();
      String text = ToolArguments.rendered(messages, chat -> template.render(chat, built)).text();
      return new RenderedPrompt(text, tokenizer.encodePromptIds(text));
    }
    if (messages.size() != 1 || !messages.get(0).role().equals("user")) {
      throw new ChatTemplateException(
          "the model's prompt template takes one message of the user, not "
              + messages.stream().map(ChatMessage::role).toList());
    }
    String text = ((PromptTemplate) form).render(messages.get(0).content(), input);
    return new RenderedPrompt(text, concat(tokenizer.prefixIds(), tokenizer.encodePromptIds(text)));
  }

  private static int[] concat(int[] first, int[] second) {
    int[] ids = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, ids, first.length, second.length);
    return ids;
  }
}
