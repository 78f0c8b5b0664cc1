package org.alpaca4j.data;

import java.util.List;

/** What the fields of a record mean, as far as it is known by their names. */
public enum RecordLayout {
  /** Stanford Alpaca: {@code instruction}, {@code input}, {@code output}. */
  ALPACA("Stanford Alpaca", "InstructionReader.fields(...)", "instruction", "output"),
  /** OpenAI and TRL: {@code messages} of {@code role} and {@code content}. */
  MESSAGES("OpenAI messages", "ConversationReader.messages(...)", "messages"),
  /** ShareGPT: {@code conversations} of {@code from} and {@code value}. */
  SHARE_GPT("ShareGPT", "ConversationReader.shareGpt(...)", "conversations"),
  /** ADGEN: {@code content} and {@code summary}. */
  ADGEN("ADGEN", "AdgenReader.fields(...)", "content", "summary"),
  /** Gorilla's APIBench: {@code code}, {@code api_call} and {@code api_data}. */
  API_BENCH("Gorilla's APIBench", "ApiBenchReader.apiBench()", "code", "api_call");

  private final String words;
  private final String reader;

  @SuppressWarnings("ImmutableEnumChecker") // made by List.of
  private final List<String> fields;

  RecordLayout(String words, String reader, String... fields) {
    this.words = words;
    this.reader = reader;
    this.fields = List.of(fields);
  }

  /** What a message calls it. */
  String words() {
    return words;
  }

  /** What reads it. */
  String reader() {
    return reader;
  }

  /** The dataset that takes it. */
  String use() {
    return switch (this) {
      case ALPACA -> "SupervisedDataset.builder() or conversations()";
      case MESSAGES, SHARE_GPT -> "SupervisedDataset.conversations()";
      case ADGEN -> "SupervisedDataset.adgen()";
      case API_BENCH -> "ApiBenchReader and GorillaInstructions";
    };
  }

  /** The fields that no such record lacks. */
  List<String> fields() {
    return fields;
  }
}
