package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.ChatTemplate.Span;
import org.alpaca4j.core.Encoding;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.core.internal.ToolArguments;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where the label mask of a conversation is decided: a chat template makes the texts, and exactly
 * the tokens of what the assistant says are supervised.
 *
 * <p>Each answer is learnt behind the prompt that a model would be asked for it with. Where the
 * prompt of an answer goes on from the answer before, both are in one sequence; where the template
 * renders that answer otherwise by then (as Qwen 3, which leaves out old thoughts), or where a
 * token reaches over the border of an answer, another sequence begins. In a template with
 * generation blocks, these say what is learnt, in one rendering of the whole conversation.
 */
final class ConversationTokenizer {

  private static final Logger log = LoggerFactory.getLogger(ConversationTokenizer.class);

  private final Tokenizer tokenizer;
  private final SupervisedDataset.Turns turns;
  private final SupervisedDataset.Thinking thinking;
  private final boolean generationBlocks;
  private final AnswerRenderer renderer;
  private final int bos;
  private final BitSet specialIds = new BitSet();
  private final Set<String> warned = ConcurrentHashMap.newKeySet();

  ConversationTokenizer(
      Tokenizer tokenizer,
      ChatTemplate template,
      SupervisedDataset.Turns turns,
      SupervisedDataset.Thinking thinking) {
    this.tokenizer = tokenizer;
    this.turns = turns;
    this.thinking = thinking;
    this.generationBlocks = template.hasGenerationBlocks();
    this.bos = tokenizer.bosId().orElse(-1);
    List<String> specialTokens = List.copyOf(tokenizer.specialTokens());
    specialTokens.forEach(token -> tokenizer.tokenToId(token).ifPresent(specialIds::set));
    this.renderer = new AnswerRenderer(template, specialTokens);
  }

  /** See {@link ExampleMaker#withoutThinking}. */
  boolean withoutThinking() {
    return renderer.withoutThinking();
  }

  SupervisedExample example(Conversation given) {
    Conversation kept = Reasoning.kept(given, thinking);
    return ToolArguments.rendered(
        kept.messages(), messages -> rendered(new Conversation(messages, kept.tools())));
  }

  private SupervisedExample rendered(Conversation conversation) {
    ChatTemplate.Rendered whole = renderer.render(conversation, conversation.messages().size());
    SupervisedExample example =
        generationBlocks
            ? mask(
                whole.text(),
                whole.assistantSpans(),
                weights(conversation, whole.assistantSpans().size()))
            : SupervisedExample.of(sequences(conversation, whole.text()));
    if (example.supervisedTokens() > 0 && !supervisesASpecialToken(example)) {
      warn(
          "the chat template closes the assistant's turns with no special token that is supervised,"
              + " so the model may not learn to stop");
    }
    return example;
  }

  private void warn(String message) {
    if (warned.add(message)) {
      log.warn(message);
    }
  }

  /** Returns what each of the spans that a template marks weighs; 0 where it is not learnt. */
  private float[] weights(Conversation conversation, int spans) {
    List<ChatMessage> messages = conversation.messages();
    float[] ofMessages = turns.weights(messages);
    float[] weights = new float[spans];
    Arrays.fill(weights, 1);
    boolean alike = true;
    int answer = 0;
    for (int i = 0; i < ofMessages.length; i++) {
      if (messages.get(i).role().equals("assistant")) {
        if (answer < spans) {
          weights[answer] = ofMessages[i];
        }
        alike &= ofMessages[i] == 1;
        answer++;
      }
    }
    if (!alike && answer != spans) {
      throw new DataException(
          "the chat template marks "
              + spans
              + " generation blocks for "
              + answer
              + " messages of the assistant, so those that are not to be learnt, or have a weight,"
              + " cannot be told apart; use another template, or chatMl(...)");
    }
    return weights;
  }

  private boolean supervisesASpecialToken(SupervisedExample example) {
    for (int label : example.labels()) {
      if (label != SupervisedExample.IGNORE_INDEX && specialIds.get(label)) {
        return true;
      }
    }
    return false;
  }

  /** Supervises every token that has a part inside a span, unless the span weighs 0. */
  SupervisedExample mask(String text, List<Span> spans, float[] weights) {
    Encoding encoding = encode(text);
    Labels labels = new Labels(encoding.ids());
    for (int s = 0; s < weights.length; s++) {
      Span span = spans.get(s);
      for (int t = 0; t < encoding.size() && encoding.starts()[t] < span.end(); t++) {
        if (encoding.ends()[t] > span.start() && weights[s] > 0) {
          labels.learn(t, t + 1, weights[s]);
        }
      }
    }
    return labels.example();
  }

  /** The labels of a sequence, and their weights; nothing is learnt at first. */
  private static final class Labels {
    private final int[] ids;
    private final int[] labels;
    private final float[] weights;

    Labels(int[] ids) {
      this.ids = ids;
      labels = new int[ids.length];
      Arrays.fill(labels, SupervisedExample.IGNORE_INDEX);
      weights = new float[ids.length];
    }

    void learn(int from, int to, float weight) {
      System.arraycopy(ids, from, labels, from, to - from);
      Arrays.fill(weights, from, to, weight);
    }

    SupervisedExample example() {
      return new SupervisedExample(ids, labels, new int[1], weights);
    }
  }

  private List<SupervisedExample> sequences(Conversation conversation, String whole) {
    List<Chain> chains = chains(conversation, whole);
    if (chains.isEmpty()) {
      return List.of(mask(whole, List.of(), new float[0]));
    }
    Chain last = chains.get(chains.size() - 1);
    if (whole.startsWith(last.text)) {
      last.text = whole;
    }
    List<SupervisedExample> sequences = new ArrayList<>();
    chains.forEach(chain -> tokenize(chain, sequences));
    return sequences;
  }

  /** An answer that is learnt, and what its tokens weigh. */
  private record Learnt(AnswerRenderer.Answer answer, float weight) {}

  /** Answers in one text, each behind the prompt that a model would be asked for it with. */
  private static final class Chain {
    final List<Learnt> answers = new ArrayList<>();
    String text = "";

    void add(Learnt learnt) {
      answers.add(learnt);
      text = learnt.answer().text();
    }
  }

  private List<Chain> chains(Conversation conversation, String whole) {
    List<ChatMessage> messages = conversation.messages();
    float[] weights = turns.weights(messages);
    List<Chain> chains = new ArrayList<>();
    for (int i = 0; i < messages.size(); i++) {
      if (!messages.get(i).role().equals("assistant") || weights[i] == 0) {
        continue;
      }
      String answered =
          i + 1 == messages.size() ? whole : renderer.render(conversation, i + 1).text();
      Optional<AnswerRenderer.Answer> found = renderer.answer(conversation, i, answered);
      if (found.isEmpty()) {
        warn(
            "the chat template does not say how an answer begins, so an assistant's message that"
                + " begins a conversation is not learnt");
        continue;
      }
      AnswerRenderer.Answer answer = found.get();
      warnIfIncomplete(messages.get(i), answer.said());
      Chain last = chains.isEmpty() ? null : chains.get(chains.size() - 1);
      if (last == null || !answer.prompt().startsWith(last.text)) {
        last = new Chain();
        chains.add(last);
      }
      last.add(new Learnt(answer, weights[i]));
    }
    return chains;
  }

  private void warnIfIncomplete(ChatMessage message, String said) {
    if (!said.contains(Reasoning.of(message))) {
      warn("the chat template leaves out what the assistant thinks, so that is not learnt");
    }
    if (said.isBlank() && message.toMap().get("tool_calls") != null) {
      warn("the chat template leaves out the assistant's tool calls, so they are not learnt");
    }
  }

  private void tokenize(Chain chain, List<SupervisedExample> sequences) {
    Encoding encoding = encode(chain.text);
    Labels labels = new Labels(encoding.ids());
    List<Learnt> apart = new ArrayList<>();
    boolean learns = false;
    for (Learnt learnt : chain.answers) {
      AnswerRenderer.Answer answer = learnt.answer();
      int from = token(encoding, chain.text, answer.prompt().length());
      int to = token(encoding, chain.text, answer.text().length());
      if (from < 0 || to < 0 || !asAlone(encoding, from, answer.prompt())) {
        apart.add(learnt);
      } else {
        labels.learn(from, to, learnt.weight());
        learns = true;
      }
    }
    if (learns) {
      sequences.add(labels.example());
    }
    apart.forEach(learnt -> sequences.add(alone(learnt.answer(), learnt.weight())));
  }

  /** Returns the first token behind a place in a text, or -1 if a token reaches over it. */
  private static int token(Encoding encoding, String text, int at) {
    int place = text.codePointCount(0, at);
    int token = encoding.size();
    while (token > 0 && encoding.starts()[token - 1] >= place) {
      token--;
    }
    return token > 0 && encoding.ends()[token - 1] > place ? -1 : token;
  }

  /**
   * Returns whether the tokens before an answer are those of the prompt alone. With a border
   * between tokens they are, but that pre-tokenizers of BPE look at what follows white space: there
   * the end of the prompt is tokenised again, from its last special token on.
   */
  private boolean asAlone(Encoding encoding, int border, String prompt) {
    int end = prompt.length();
    if (end < 2
        || !Character.isWhitespace(prompt.charAt(end - 1))
        || !Character.isWhitespace(prompt.charAt(end - 2))) {
      return true;
    }
    int first = border - 1;
    while (first > 0 && !specialIds.get(encoding.ids()[first])) {
      first--;
    }
    int from = first <= 0 ? 0 : prompt.offsetByCodePoints(0, encoding.starts()[first]);
    int[] alone = tokenizer.encodePromptIds(prompt.substring(from));
    return Arrays.equals(
        alone, 0, alone.length, encoding.ids(), Math.max(0, first), Math.max(0, border));
  }

  /** An answer in a sequence of its own; if need be, prompt and answer are tokenised apart. */
  private SupervisedExample alone(AnswerRenderer.Answer answer, float weight) {
    Encoding whole = encode(answer.text());
    int from = token(whole, answer.text(), answer.prompt().length());
    int[] ids = whole.ids();
    if (from < 0 || !asAlone(whole, from, answer.prompt())) {
      int[] prompt = encode(answer.prompt()).ids();
      int[] said = continuation(answer.said());
      from = prompt.length;
      ids = Arrays.copyOf(prompt, from + said.length);
      System.arraycopy(said, 0, ids, from, said.length);
    }
    Labels labels = new Labels(ids);
    labels.learn(from, ids.length, weight);
    return labels.example();
  }

  /** Tokenises a text without the space that SentencePiece puts before the first word of one. */
  private int[] continuation(String said) {
    Encoding encoding = tokenizer.encodePrompt("\n" + said);
    int from = token(encoding, "\n" + said, 1);
    return from < 0
        ? tokenizer.encodePromptIds(said)
        : Arrays.copyOfRange(encoding.ids(), from, encoding.size());
  }

  private Encoding encode(String text) {
    // The template writes its special tokens itself.
    Encoding encoding = tokenizer.encodePrompt(text);
    int[] ids = encoding.ids();
    if (bos >= 0 && ids.length > 1 && ids[0] == bos && ids[1] == bos) {
      throw new DataException(
          "the chat template's text begins with more than one begin-of-sequence token");
    }
    return encoding;
  }
}
