package org.alpaca4j.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.jspecify.annotations.Nullable;

/**
 * Reads conversations, in OpenAI's, ShareGPT's or Stanford Alpaca's layout. A conversation without
 * an assistant's message has nothing to learn and is an error. Immutable and thread-safe.
 *
 * <p>The record can have {@code tools}, a list of JSON schemas or the same as a JSON text, OpenAI's
 * older {@code functions}, and a {@code system} message that is put before the others. Fields
 * without a meaning are ignored; {@link DataReport#unusedFields} names them.
 *
 * <p>A turn of the assistant has a {@linkplain Conversation#WEIGHT weight} in the loss: {@code
 * weight}, {@code loss}, {@code train} or {@code train_on_turn}, each a number of 0 or more, true
 * (1) or false (0); 1 if it is missing or null. With 0 it is not learnt. A turn of anybody else
 * cannot be learnt.
 *
 * <p>Tool calls are {@code tool_calls}, or one {@code function_call}; their arguments may be an
 * object or its JSON text, and are an object for the chat template either way.
 */
public final class ConversationReader implements Function<DataRecord, Conversation> {

  private enum Layout {
    MESSAGES,
    SHARE_GPT,
    ALPACA
  }

  private static final ConversationReader MESSAGES = messages("messages");
  private static final ConversationReader SHARE_GPT = shareGpt("conversations");
  private static final ConversationReader ALPACA =
      new ConversationReader("instruction", Layout.ALPACA);

  private final String field;
  private final Layout layout;

  private ConversationReader(String field, Layout layout) {
    this.field = Objects.requireNonNull(field, "field is null");
    this.layout = layout;
  }

  /**
   * Returns the reader of OpenAI's fine-tuning files and TRL: a list {@code messages} of objects
   * with the strings {@code role} and {@code content}. Other fields of a message are kept for the
   * chat template, unless they are null; {@code content} may be a list of parts, of which texts are
   * joined and others refused, and may be missing beside tool calls. ShareGPT's names of roles are
   * understood, too.
   */
  public static ConversationReader messages() {
    return MESSAGES;
  }

  /** Returns the reader of that layout with another name for the list. */
  public static ConversationReader messages(String field) {
    return new ConversationReader(field, Layout.MESSAGES);
  }

  /**
   * Returns the reader of ShareGPT's layout: a list {@code conversations} of objects with the
   * strings {@code from} (human, gpt, model, system, function_call, observation, function, ...) and
   * {@code value}. A turn of {@code function_call} is the assistant's; its value is the JSON text
   * of a call, or of a list of calls. {@code observation}, {@code function} and {@code tool} are
   * what a tool answered.
   */
  public static ConversationReader shareGpt() {
    return SHARE_GPT;
  }

  /** Returns the reader of that layout with another name for the list. */
  public static ConversationReader shareGpt(String field) {
    return new ConversationReader(field, Layout.SHARE_GPT);
  }

  /**
   * Returns the reader of Stanford Alpaca's records as conversations, as LLaMA-Factory has them:
   * the rounds of {@code history} (pairs of question and answer), then {@code instruction} with
   * {@code input} on the next line, answered by {@code output}. All answers are learnt.
   */
  public static ConversationReader alpaca() {
    return ALPACA;
  }

  /**
   * Reads a file that holds one JSON array of conversations in OpenAI's layout.
   *
   * @throws DataException if the file is not such an array, naming line, record and field
   */
  public static List<Conversation> readJson(Path file) {
    Objects.requireNonNull(file, "file is null");
    return readAll(DataFile.json(file));
  }

  /**
   * Reads a file with one conversation in OpenAI's layout per line. Lines end at LF (a CR before it
   * is allowed); blank lines and a byte order mark are skipped.
   *
   * @throws DataException if a line is not such a record, naming line, record and field
   */
  public static List<Conversation> readJsonl(Path file) {
    Objects.requireNonNull(file, "file is null");
    return readAll(DataFile.jsonl(file));
  }

  private static List<Conversation> readAll(RecordSource<DataRecord> file) {
    try (Stream<Conversation> records = file.map(MESSAGES).stream()) {
      return records.toList();
    }
  }

  /**
   * Returns the conversation that a record holds.
   *
   * @throws DataException if it holds none, naming file, line, record and field
   */
  @Override
  public Conversation apply(DataRecord from) {
    Objects.requireNonNull(from, "from is null");
    List<ChatMessage> messages = layout == Layout.ALPACA ? rounds(from) : turns(from);
    putSystemFirst(from, messages);
    return new Conversation(messages, tools(from));
  }

  private List<ChatMessage> turns(DataRecord from) {
    List<?> entries = from.list(field);
    if (entries.isEmpty()) {
      throw from.error(field, "is empty");
    }
    List<ChatMessage> messages = new ArrayList<>();
    boolean assistant = false;
    for (int i = 0; i < entries.size(); i++) {
      TurnReader turn = new TurnReader(from, field, i, entries.get(i));
      ChatMessage message = layout == Layout.SHARE_GPT ? turn.shareGpt() : turn.message();
      assistant |= message.role().equals("assistant");
      messages.add(message);
    }
    if (!assistant) {
      throw from.error(field, "has no message of the assistant, so there is nothing to learn");
    }
    return messages;
  }

  private static List<ChatMessage> rounds(DataRecord from) {
    List<ChatMessage> messages = new ArrayList<>();
    for (AdgenRecord.Round round : AdgenReader.rounds(from, "history")) {
      messages.add(ChatMessage.user(round.question()));
      messages.add(ChatMessage.assistant(round.answer()));
    }
    InstructionRecord last = InstructionReader.lastRound(from);
    messages.add(
        ChatMessage.user(
            last.instruction()
                + (last.instruction().isEmpty() || last.input().isEmpty() ? "" : "\n")
                + last.input()));
    messages.add(ChatMessage.assistant(last.output()));
    return messages;
  }

  private static void putSystemFirst(DataRecord from, List<ChatMessage> messages) {
    String system = from.textOrEmpty("system");
    if (system.isEmpty()) {
      return;
    }
    ChatMessage first = messages.get(0);
    if (!first.role().equals("system")) {
      messages.add(0, ChatMessage.system(system));
    } else if (!first.content().equals(system)) {
      throw from.error(
          "system", "differs from the system's message that the conversation begins with");
    }
  }

  private static List<Map<String, @Nullable Object>> tools(DataRecord from) {
    List<Map<String, @Nullable Object>> tools =
        TurnReader.objects(from, "tools", from.value("tools"));
    List<Map<String, @Nullable Object>> functions =
        TurnReader.objects(from, "functions", from.value("functions"));
    if (functions.isEmpty()) {
      return tools;
    }
    if (!tools.isEmpty()) {
      throw from.error("functions", "stands beside tools; keep one of the two");
    }
    return functions.stream().map(ToolCalls::wrapped).toList();
  }
}
