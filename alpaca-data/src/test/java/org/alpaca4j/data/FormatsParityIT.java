package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** The same records from every format, and the error at the place where a file is broken. */
@Tag("parity")
class FormatsParityIT {

  @TestFactory
  Stream<DynamicTest> givesTheSameRecordsInEveryFormat() throws IOException {
    List<DynamicTest> cases = new ArrayList<>();
    for (Path file : Fixtures.files("formats", "")) {
      String name = file.getFileName().toString();
      if (Files.isRegularFile(file) && !name.equals("faults.json") && !name.endsWith(".md")) {
        cases.add(DynamicTest.dynamicTest(name, () -> checkRecords(file, name)));
      }
    }
    return cases.stream();
  }

  private static void checkRecords(Path file, String name) throws IOException {
    List<InstructionRecord> expected = new ArrayList<>();
    for (JsonNode record : Fixtures.JSON.readTree(file.resolveSibling("alpaca.json").toFile())) {
      expected.add(
          new InstructionRecord(
              record.get("instruction").textValue(),
              record.get("input").textValue(),
              record.get("output").textValue()));
    }
    RecordSource<DataRecord> records = DataFile.detect(file);
    if (name.startsWith("sharegpt")) {
      assertThat(all(records.map(ConversationReader.shareGpt())))
          .isEqualTo(expected.stream().map(r -> conversation(r, false)).toList());
    } else if (name.startsWith("openai")) {
      assertThat(all(records.map(ConversationReader.messages())))
          .isEqualTo(expected.stream().map(r -> conversation(r, true)).toList());
    } else {
      assertThat(all(records.map(instructions(name)))).isEqualTo(expected);
    }
  }

  private static InstructionReader instructions(String name) {
    return name.startsWith("columns_renamed")
        ? InstructionReader.fields("prompt", "query", "response")
        : InstructionReader.alpaca();
  }

  private static Conversation conversation(InstructionRecord record, boolean system) {
    List<ChatMessage> messages = new ArrayList<>();
    if (system) {
      messages.add(ChatMessage.system("You are a helpful assistant."));
    }
    String input = record.input().isEmpty() ? "" : "\n" + record.input();
    messages.add(ChatMessage.user(record.instruction() + input));
    messages.add(ChatMessage.assistant(record.output()));
    return new Conversation(messages);
  }

  /**
   * Faults that are none any more: train.py prints numbers and booleans into its prompts, and a
   * {@code .json} file may hold JSON lines.
   */
  private static final Set<String> READ =
      Set.of(
          "wrong_type_number.json",
          "wrong_type_bool.json",
          "jsonl_named_json.json",
          "wrong_column_type.parquet");

  @TestFactory
  Stream<DynamicTest> namesThePlaceOfAFault() throws IOException {
    Path faults = Fixtures.area("formats").resolve("faults.json");
    if (!Files.exists(faults)) {
      return Stream.empty();
    }
    List<DynamicTest> cases = new ArrayList<>();
    for (JsonNode fault : Fixtures.JSON.readTree(faults.toFile())) {
      cases.add(
          DynamicTest.dynamicTest(fault.get("file").asText(), () -> checkFault(faults, fault)));
    }
    return cases.stream();
  }

  private static void checkFault(Path faults, JsonNode fault) {
    String name = fault.get("file").asText();
    Path file = faults.resolveSibling("broken").resolve(name);
    Throwable failure =
        catchThrowable(
            () -> {
              RecordSource<DataRecord> records = DataFile.detect(file);
              if (name.startsWith("sharegpt")) {
                all(records.map(ConversationReader.shareGpt()));
              } else if (name.startsWith("openai")) {
                all(records.map(ConversationReader.messages()));
              } else {
                all(records.map(instructions(name)));
              }
            });
    if (!fault.get("error").asBoolean() || READ.contains(name)) {
      assertThat(failure).isNull();
      return;
    }
    assertThat(failure).isInstanceOf(DataException.class).hasMessageStartingWith(file.toString());
    if (fault.hasNonNull("line")) {
      assertThat(failure.getMessage())
          .containsPattern(", line " + fault.get("line").asInt() + "[,:]");
    }
    if (fault.hasNonNull("record")) {
      assertThat(failure.getMessage())
          .containsPattern(", record " + fault.get("record").asInt() + "[,:]");
    }
    if (fault.hasNonNull("field")) {
      assertThat(failure.getMessage()).contains(", field \"" + fault.get("field").asText() + "\":");
    }
  }

  private static <R> List<R> all(RecordSource<R> source) {
    try (Stream<R> records = source.stream()) {
      return records.toList();
    }
  }
}
