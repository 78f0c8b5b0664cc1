package org.alpaca4j.data;

import com.google.common.base.Strings;
import com.google.common.base.Supplier;
import com.google.common.base.Suppliers;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.ChatTemplate.RenderOptions;
import org.alpaca4j.core.ChatTemplateException;
import org.jspecify.annotations.Nullable;

/**
 * Says of each answer in a conversation with which prompt a model would be asked for it, and what
 * it is to say then: pure functions of a chat template.
 *
 * <p>The prompt is the rendering of the messages before, generation prompt included. What is said
 * is what the rendering that ends with the answer has behind the prompt, up to the token that
 * closes the turn. Thread-safe.
 */
final class AnswerRenderer {

  /** An answer; the prompt and what is said behind it. */
  record Answer(String prompt, String said) {
    String text() {
      return prompt + said;
    }
  }

  private static final String THINKING_SWITCH = "enable_thinking";

  /** A block of thinking that a generation prompt opens, such as {@code <think>\n}. */
  private static final Pattern OPENED_THINKING =
      Pattern.compile("\\s*\\S*(think|thought|reason)\\S*\\s*", Pattern.CASE_INSENSITIVE);

  private static final String PROBE = "alpaca4j";
  private static final List<ChatMessage> ASKED = List.of(ChatMessage.user("a"));

  private final ChatTemplate template;
  private final List<String> specialTokens;
  private final boolean switchesThinking;
  private volatile boolean switchedOff;
  private volatile boolean thoughts;
  private final Supplier<String> restWithoutTools = Suppliers.memoize(() -> rest(List.of()));

  /**
   * Takes a template.
   *
   * @param specialTokens texts of the tokens that can close a turn
   */
  AnswerRenderer(ChatTemplate template, List<String> specialTokens) {
    this.template = template;
    this.specialTokens = specialTokens;
    this.switchesThinking = template.source().contains(THINKING_SWITCH);
  }

  /** Renders the first messages of a conversation. */
  ChatTemplate.Rendered render(Conversation conversation, int messages) {
    return template.render(
        conversation.messages().subList(0, messages), options(conversation.tools()).build());
  }

  /**
   * Returns an answer; empty if nothing can ask for it: the first message, with a template that
   * does not say how an answer begins.
   *
   * @param index of the assistant's message
   * @param answered the rendering up to and with that message
   * @throws DataException if the rendering does not go on from the prompt
   */
  Optional<Answer> answer(Conversation conversation, int index, String answered) {
    if (index == 0) {
      return openingPrompt(answered)
          .map(
              prompt ->
                  new Answer(prompt, ended(conversation, answered.substring(prompt.length()))));
    }
    String prompt = prompt(conversation, index, null);
    boolean silent = Reasoning.of(conversation.messages().get(index)).isEmpty();
    thoughts |= !silent;
    if (switchesThinking && silent && answered.startsWith(prompt)) {
      Optional<Answer> answer = withoutThinking(conversation, index, prompt, answered);
      if (answer.isPresent()) {
        switchedOff = true;
        return answer;
      }
    }
    int begin = begin(conversation, index, prompt, answered);
    return Optional.of(new Answer(prompt, ended(conversation, answered.substring(begin))));
  }

  /** Returns whether answers were asked for with thinking switched off, and none had thoughts. */
  boolean withoutThinking() {
    return switchedOff && !thoughts;
  }

  /**
   * Returns a template that thinks only if it is told to: its switch is off where nobody sets it.
   */
  static ChatTemplate withoutThinking(ChatTemplate template) {
    String off =
        "{%%- if %1$s is not defined %%}{%% set %1$s = false %%}{%% endif -%%}"
            .formatted(THINKING_SWITCH);
    return template.source().startsWith(off)
        ? template
        : ChatTemplate.of(off + template.source(), template.specialTokens());
  }

  /** Where the answer begins in the rendering that ends with it. */
  private int begin(Conversation conversation, int index, String prompt, String answered) {
    if (answered.startsWith(prompt)) {
      return prompt.length();
    }
    int common = commonLength(prompt, answered);
    int history = commonLength(prompt, render(conversation, index).text());
    if (common >= history && OPENED_THINKING.matcher(prompt.substring(common)).matches()) {
      return common; // opened for the model, but not for an answer without thoughts
    }
    String generationPrompt = prompt.substring(history);
    int begin =
        behind(
            generationPrompt.isBlank() ? question(conversation, index, prompt) : generationPrompt,
            conversation,
            index);
    if (begin < 0 || begin > answered.length()) {
      throw new DataException(
          "the chat template does not render messages["
              + index
              + "] as an answer to its own generation prompt, so what the assistant says cannot be"
              + " told apart; use a template with {% generation %} blocks, or chatMl(...)");
    }
    return begin;
  }

  /** What a prompt ends with, from the last message's own text on; empty if it has none. */
  private static String question(Conversation conversation, int index, String prompt) {
    Object content = conversation.messages().get(index - 1).toMap().get("content");
    String question = content instanceof String text ? text.strip() : "";
    int from = prompt.lastIndexOf(question);
    return question.isEmpty() || from < 0 ? "" : prompt.substring(from);
  }

  /**
   * For templates that render what is before an answer otherwise once the answer is there
   * (Mistral's system message stands in the last message): where an answer begins, which is right
   * behind what its prompt ends with. Negative if it does not.
   */
  private int behind(String end, Conversation conversation, int index) {
    List<ChatMessage> probed = new ArrayList<>(conversation.messages().subList(0, index));
    probed.add(ChatMessage.assistant(PROBE));
    try {
      String probe = template.render(probed, options(conversation.tools()).build()).text();
      int said = probe.lastIndexOf(PROBE);
      int at = said < 0 || end.isEmpty() ? -1 : probe.lastIndexOf(end, said - end.length());
      int begin = at + end.length();
      return at >= 0 && probe.substring(begin, said).isBlank() ? begin : -1;
    } catch (ChatTemplateException e) {
      return -1;
    }
  }

  /** The prompt of a conversation's first message: what the template lets an answer begin with. */
  private Optional<String> openingPrompt(String answered) {
    try {
      String asked = template.render(ASKED, RenderOptions.DEFAULT).text();
      String prompt = template.render(ASKED, RenderOptions.withGenerationPrompt()).text();
      String begin = prompt.substring(commonLength(prompt, asked));
      int at = begin.isBlank() ? -1 : answered.indexOf(begin);
      return at < 0 ? Optional.empty() : Optional.of(answered.substring(0, at + begin.length()));
    } catch (ChatTemplateException e) {
      return Optional.empty();
    }
  }

  /**
   * Returns an answer behind the prompt with thinking switched off, if that prompt holds the empty
   * block of thinking that the template puts before the answer. The question may be another one
   * then: GLM's ends with {@code /nothink}.
   */
  private Optional<Answer> withoutThinking(
      Conversation conversation, int index, String prompt, String answered) {
    String off = prompt(conversation, index, false);
    boolean sameQuestion = off.startsWith(prompt);
    String answeredOff = sameQuestion ? answered : render(conversation, index + 1, false, false);
    if (!answeredOff.startsWith(off)) {
      return Optional.empty();
    }
    String said = answeredOff.substring(off.length());
    String saidByDefault = answered.substring(prompt.length());
    boolean blockIsAsked = saidByDefault.endsWith(said) && said.length() < saidByDefault.length();
    return sameQuestion || blockIsAsked
        ? Optional.of(new Answer(off, ended(conversation, said)))
        : Optional.empty();
  }

  private String render(
      Conversation conversation, int messages, boolean asks, @Nullable Boolean thinking) {
    RenderOptions.Builder options = options(conversation.tools()).addGenerationPrompt(asks);
    if (thinking != null) {
      options.variable(THINKING_SWITCH, thinking);
    }
    return template.render(conversation.messages().subList(0, messages), options.build()).text();
  }

  private String prompt(Conversation conversation, int messages, @Nullable Boolean thinking) {
    return render(conversation, messages, true, thinking);
  }

  private static RenderOptions.Builder options(List<Map<String, @Nullable Object>> tools) {
    RenderOptions.Builder options = RenderOptions.builder();
    if (!tools.isEmpty()) {
      options.tools(tools);
    }
    return options;
  }

  /** Cuts what follows the token that closes the turn. */
  private String ended(Conversation conversation, String said) {
    String rest = Objects.requireNonNull(restWithoutTools.get());
    if (rest.isEmpty() && !conversation.tools().isEmpty()) {
      rest = rest(conversation.tools()); // some templates are for conversations with tools alone
    }
    if (!rest.isEmpty() && said.endsWith(rest)) {
      return said.substring(0, said.length() - rest.length());
    }
    // White space after the closing token separates turns; the model is to stop at the token.
    String stripped = said.stripTrailing();
    return specialTokens.stream().anyMatch(stripped::endsWith) ? stripped : said;
  }

  /**
   * What a template puts behind the token that closes an answer, at the end of a text: the first
   * special token that is there too when another message follows closes it.
   */
  private String rest(List<Map<String, @Nullable Object>> tools) {
    List<ChatMessage> messages = new ArrayList<>(ASKED);
    messages.add(ChatMessage.assistant(PROBE));
    try {
      String last = behindProbe(template.render(messages, options(tools).build()).text());
      messages.add(ChatMessage.user("b"));
      String followed = behindProbe(template.render(messages, options(tools).build()).text());
      String common = Strings.commonPrefix(last, followed);
      int first = common.length();
      int end = last.length();
      for (String token : specialTokens) {
        int at = token.isEmpty() ? -1 : common.indexOf(token);
        if (at >= 0 && at < first) {
          first = at;
          end = at + token.length();
        }
      }
      return last.substring(end);
    } catch (ChatTemplateException e) {
      return "";
    }
  }

  private static String behindProbe(String text) {
    int at = text.lastIndexOf(PROBE);
    return at < 0 ? "" : text.substring(at + PROBE.length());
  }

  /** How much of a prompt another text begins with, without a part of a tag. */
  private static int commonLength(String prompt, String text) {
    int common = Strings.commonPrefix(prompt, text).length();
    int tag = common == prompt.length() ? -1 : prompt.lastIndexOf('<', common - 1);
    return tag >= 0 && prompt.indexOf('>', tag) >= common ? tag : common;
  }
}
