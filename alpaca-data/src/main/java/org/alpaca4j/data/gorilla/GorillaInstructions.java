package org.alpaca4j.data.gorilla;

import java.util.Objects;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.data.Conversation;
import org.alpaca4j.data.DataException;
import org.alpaca4j.data.InstructionRecord;

/**
 * Makes training data of APIBench's records, in both of Gorilla's ways:
 *
 * <pre>{@code
 * List<ApiBenchRecord> records = ApiBenchReader.readJsonl(Path.of("torchhub_train.jsonl"));
 * ApiRetriever retriever = Bm25Retriever.ofRecords(records);
 * SupervisedDataset.builder()
 *     .records(records.stream().map(r -> GorillaInstructions.withRetriever(r, retriever)).toList())
 * }</pre>
 *
 * <p>The answer is {@link ApiBenchCode#answer}.
 */
public final class GorillaInstructions {
  private static final String REFERENCE = "\n Use this API documentation for reference: ";

  private GorillaInstructions() {}

  /** Returns the question as a retriever-aware model is asked it. */
  public static String prompt(String question, String document) {
    Objects.requireNonNull(question, "question is null");
    Objects.requireNonNull(document, "document is null");
    return question + REFERENCE + document;
  }

  /**
   * Returns the instruction alone and its answer.
   *
   * @throws DataException if the record has no instruction or no answer
   */
  public static InstructionRecord zeroShot(ApiBenchRecord record) {
    Objects.requireNonNull(record, "record is null");
    return instruction(record, question(record));
  }

  /**
   * Returns the instruction with the record's own documentation, what an ideal retriever would
   * find; Gorilla was trained on this.
   *
   * @throws DataException if the record has no instruction or no answer
   */
  public static InstructionRecord withOwnDocument(ApiBenchRecord record) {
    Objects.requireNonNull(record, "record is null");
    return instruction(record, prompt(question(record), record.document()));
  }

  /**
   * Returns the instruction with the best document that a retriever finds, right or wrong; without
   * any, as {@link #zeroShot}.
   *
   * @throws DataException if the record has no instruction or no answer
   */
  public static InstructionRecord withRetriever(ApiBenchRecord record, ApiRetriever retriever) {
    Objects.requireNonNull(record, "record is null");
    Objects.requireNonNull(retriever, "retriever is null");
    String question = question(record);
    return retriever.retrieve(question, 1).stream()
        .findFirst()
        .map(document -> instruction(record, prompt(question, document)))
        .orElseGet(() -> instruction(record, question));
  }

  /** Returns an instruction as a conversation of two messages, for a chat template. */
  public static Conversation conversation(InstructionRecord record) {
    Objects.requireNonNull(record, "record is null");
    String question =
        record.input().isEmpty()
            ? record.instruction()
            : record.instruction() + "\n" + record.input();
    return Conversation.of(ChatMessage.user(question), ChatMessage.assistant(record.output()));
  }

  private static String question(ApiBenchRecord record) {
    String instruction = record.code().instruction();
    if (instruction == null) {
      throw new DataException(
          "the record of line " + record.line() + " has no instruction; leave it out");
    }
    return instruction;
  }

  private static InstructionRecord instruction(ApiBenchRecord record, String question) {
    String answer = record.code().answer();
    if (answer.isEmpty()) {
      throw new DataException(
          "the record of line " + record.line() + " has no answer; leave it out");
    }
    String input = record.code().input();
    return new InstructionRecord(question, input == null ? "" : input, answer);
  }
}
