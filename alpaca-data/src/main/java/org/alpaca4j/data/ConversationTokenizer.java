package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.ChatTemplate.RenderOptions;
import org.alpaca4j.core.ChatTemplate.Span;
import org.alpaca4j.core.Encoding;
import org.alpaca4j.core.Tokenizer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where the label mask of a conversation is decided: the checkpoint's own chat template makes the
 * text, and exactly the tokens of what the assistant says are supervised.
 *
 * <p>Which text that is comes from the template's generation blocks, where it has any. Otherwise it
 * is what each assistant message adds to the prompt before it; a template for which that cannot be
 * told (it renders earlier turns differently once later ones follow) is an error, never a guess.
 */
final class ConversationTokenizer {

  private static final Logger log = LoggerFactory.getLogger(ConversationTokenizer.class);

  private final Tokenizer tokenizer;
  private final ChatTemplate template;
  private final SupervisedDataset.Turns turns;
  private final boolean generationBlocks;
  private final int bos;
  private final List<String> specialTokens;
  private final BitSet specialIds = new BitSet();
  private final AtomicBoolean warned = new AtomicBoolean();

  ConversationTokenizer(Tokenizer tokenizer, ChatTemplate template, SupervisedDataset.Turns turns) {
    this.tokenizer = tokenizer;
    this.template = template;
    this.turns = turns;
    this.generationBlocks = template.hasGenerationBlocks();
    this.bos = tokenizer.bosId().orElse(-1);
    this.specialTokens = List.copyOf(tokenizer.specialTokens());
    specialTokens.forEach(token -> tokenizer.tokenToId(token).ifPresent(specialIds::set));
  }

  SupervisedExample example(Conversation conversation) {
    ChatTemplate.Rendered rendered = render(conversation, conversation.messages().size(), false);
    List<Span> spans =
        learned(
            conversation,
            generationBlocks
                ? rendered.assistantSpans()
                : spansByPrefix(conversation, rendered.text()));
    SupervisedExample example = mask(rendered.text(), spans);
    if (!spans.isEmpty()
        && !supervisesASpecialToken(example)
        && warned.compareAndSet(false, true)) {
      log.warn(
          "the chat template closes the assistant's turns with no special token that is supervised,"
              + " so the model may not learn to stop");
    }
    return example;
  }

  /** Leaves out the spans of messages that are not to be learnt. */
  private List<Span> learned(Conversation conversation, List<Span> spans) {
    List<ChatMessage> messages = conversation.messages();
    BitSet skipped = turns.skipped(messages);
    if (skipped.isEmpty()) {
      return spans;
    }
    List<Span> learned = new ArrayList<>();
    int answer = 0;
    for (int i = 0; i < messages.size(); i++) {
      if (messages.get(i).role().equals("assistant")) {
        if (answer < spans.size() && !skipped.get(i)) {
          learned.add(spans.get(answer));
        }
        answer++;
      }
    }
    if (answer != spans.size()) {
      throw new DataException(
          "the chat template marks "
              + spans.size()
              + " generation blocks for "
              + answer
              + " messages of the assistant, so those that are not to be learnt cannot be told"
              + " apart; use another template, or chatMl(...)");
    }
    return learned;
  }

  private boolean supervisesASpecialToken(SupervisedExample example) {
    for (int label : example.labels()) {
      if (label != SupervisedExample.IGNORE_INDEX && specialIds.get(label)) {
        return true;
      }
    }
    return false;
  }

  /** Supervises every token that has a part inside a span. */
  SupervisedExample mask(String text, List<Span> spans) {
    // The template writes its special tokens itself.
    Encoding encoding = tokenizer.encodePrompt(text);
    int[] ids = encoding.ids();
    if (bos >= 0 && ids.length > 1 && ids[0] == bos && ids[1] == bos) {
      throw new DataException(
          "the chat template's text begins with more than one begin-of-sequence token");
    }
    int[] labels = new int[ids.length];
    Arrays.fill(labels, SupervisedExample.IGNORE_INDEX);
    for (Span span : spans) {
      for (int t = 0; t < ids.length && encoding.starts()[t] < span.end(); t++) {
        if (encoding.ends()[t] > span.start()) {
          labels[t] = ids[t];
        }
      }
    }
    return new SupervisedExample(ids, labels);
  }

  private List<Span> spansByPrefix(Conversation conversation, String whole) {
    List<ChatMessage> messages = conversation.messages();
    List<Span> spans = new ArrayList<>();
    for (int i = 0; i < messages.size(); i++) {
      if (!messages.get(i).role().equals("assistant")) {
        continue;
      }
      if (i == 0) {
        throw new DataException(
            "the conversation begins with the assistant, and the chat template has no generation"
                + " blocks that would mark what it says");
      }
      String prompt = render(conversation, i, true).text();
      String answered = render(conversation, i + 1, false).text();
      if (!answered.startsWith(prompt) || !whole.startsWith(answered)) {
        throw new DataException(
            "the chat template renders the turns before messages["
                + (answered.startsWith(prompt) ? i + 1 : i)
                + "] differently once it follows, so what the assistant says cannot be told apart;"
                + " use a template with {% generation %} blocks, or chatMl(...)");
      }
      spans.add(
          new Span(
              whole.codePointCount(0, prompt.length()),
              whole.codePointCount(0, endOfTurn(answered))));
    }
    return spans;
  }

  // White space after the closing token separates turns; the model is to stop at the token.
  private int endOfTurn(String answered) {
    String stripped = answered.stripTrailing();
    return specialTokens.stream().anyMatch(stripped::endsWith)
        ? stripped.length()
        : answered.length();
  }

  private ChatTemplate.Rendered render(
      Conversation conversation, int messages, boolean addGenerationPrompt) {
    RenderOptions.Builder options =
        RenderOptions.builder().addGenerationPrompt(addGenerationPrompt);
    if (!conversation.tools().isEmpty()) {
      options.tools(conversation.tools());
    }
    return template.render(conversation.messages().subList(0, messages), options.build());
  }
}
