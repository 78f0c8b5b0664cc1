package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InstructionReaderTest {

  @TempDir Path folder;

  @Test
  void readsAnArrayOfRecords() throws IOException {
    Path file =
        file(
            "[{\"instruction\": \"a\", \"input\": \"b\", \"output\": \"c\", \"id\": 7},\n{\"instruction\": \"d\", \"output\": \"\"}]");

    assertThat(InstructionReader.readJson(file))
        .containsExactly(new InstructionRecord("a", "b", "c"), InstructionRecord.of("d", ""));
  }

  @Test
  void takesANullInputAsNone() throws IOException {
    Path file = file("[{\"instruction\": \"a\", \"input\": null, \"output\": \"c\"}]");

    assertThat(InstructionReader.readJson(file)).containsExactly(InstructionRecord.of("a", "c"));
  }

  @Test
  void readsLinesWithByteOrderMarkCarriageReturnsAndBlankLines() throws IOException {
    Path file =
        file(
            "\uFEFF{\"instruction\": \"a\", \"output\": \"b\"}\r\n\r\n  \n{\"instruction\": \"c\", \"output\": \"d\"}");

    assertThat(InstructionReader.readJsonl(file))
        .containsExactly(InstructionRecord.of("a", "b"), InstructionRecord.of("c", "d"));
  }

  @Test
  void endsLinesAtLineFeedsAlone() throws IOException {
    String separators = "x\u2028y\u0085z";
    Path file = file("{\"instruction\": \"" + separators + "\", \"output\": \"b\"}\n");

    assertThat(InstructionReader.readJsonl(file))
        .containsExactly(InstructionRecord.of(separators, "b"));
  }

  @Test
  void namesLineRecordAndFieldOfAMissingField() throws IOException {
    Path file =
        file("[\n{\"instruction\": \"a\", \"output\": \"b\"},\n\n{\"instruction\": \"a\"}]");

    assertThatThrownBy(() -> InstructionReader.readJson(file))
        .isInstanceOf(DataException.class)
        .hasMessage(file + ", line 4, record 1, field \"output\": is missing");
  }

  @Test
  void namesLineRecordAndFieldOfAWrongType() throws IOException {
    Path file =
        file(
            "{\"instruction\": \"a\", \"output\": \"b\"}\n\n{\"instruction\": [1], \"output\": \"b\"}");

    assertThatThrownBy(() -> InstructionReader.readJsonl(file))
        .isInstanceOf(DataException.class)
        .hasMessage(
            file + ", line 3, record 1, field \"instruction\": expected a string, found an array");
  }

  @Test
  void refusesANullOutput() throws IOException {
    Path file = file("[{\"instruction\": \"a\", \"output\": null}]");

    assertThatThrownBy(() -> InstructionReader.readJson(file))
        .hasMessageContaining("field \"output\": expected a string, found null");
  }

  @Test
  void namesLineAndRecordOfMalformedJson() throws IOException {
    Path array = file("[{\"instruction\": \"a\", \"output\": \"b\"},\n{\"instruction\": \"a\", }]");

    assertThatThrownBy(() -> InstructionReader.readJson(array))
        .isInstanceOf(DataException.class)
        .hasMessageContaining(array + ", line 2, record 1: not readable as JSON");

    Path lines = file("{\"instruction\": \"a\", \"output\": \"b\"}\n{\"instruction\": \"a");

    assertThatThrownBy(() -> InstructionReader.readJsonl(lines))
        .isInstanceOf(DataException.class)
        .hasMessageContaining(
            lines + ", line 2, record 1, field \"instruction\": not readable as JSON");
  }

  @Test
  void refusesAnArrayThatIsCutOff() throws IOException {
    Path file = file("[{\"instruction\": \"a\", \"output\": \"b\"},");

    assertThatThrownBy(() -> InstructionReader.readJson(file))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("record 1");
  }

  @Test
  void refusesTextAfterTheArrayAndTwoObjectsOnALine() throws IOException {
    Path array = file("[] []");
    assertThatThrownBy(() -> InstructionReader.readJson(array))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("text after the end of the array");

    Path lines =
        file(
            "{\"instruction\": \"a\", \"output\": \"b\"} {\"instruction\": \"a\", \"output\": \"b\"}");
    assertThatThrownBy(() -> InstructionReader.readJsonl(lines))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("line 1, record 0");
  }

  @Test
  void refusesAnEmptyFileAsAnArray() throws IOException {
    Path file = file("");

    assertThatThrownBy(() -> InstructionReader.readJson(file))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("is empty");
  }

  @Test
  void pointsToTheOtherReaderWhenTheFormatIsTheOther() throws IOException {
    Path lines = file("{\"instruction\": \"a\", \"output\": \"b\"}\n");
    assertThatThrownBy(() -> InstructionReader.readJson(lines)).hasMessageContaining("jsonl(...)");

    Path array = file("[{\"instruction\": \"a\",\n \"output\": \"b\"}]");
    assertThatThrownBy(() -> InstructionReader.readJsonl(array)).hasMessageContaining("json(...)");
  }

  @Test
  void refusesRecordsThatAreNoObjects() throws IOException {
    Path file = file("[\"text\"]");

    assertThatThrownBy(() -> InstructionReader.readJson(file))
        .hasMessage(file + ", line 1, record 0: expected an object, found a string");
  }

  @Test
  void refusesBytesThatAreNotUtf8() throws IOException {
    Path file = folder.resolve("latin1.jsonl");
    Files.write(file, new byte[] {'{', '"', 'a', '"', ':', '"', (byte) 0xE4, '"', '}'});

    assertThatThrownBy(() -> InstructionReader.readJsonl(file))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("line 1, record 0, field \"a\": is not UTF-8");
  }

  @Test
  void namesAFileThatDoesNotExist() {
    Path file = folder.resolve("nothing.json");

    assertThatThrownBy(() -> InstructionReader.readJson(file))
        .isInstanceOf(DataException.class)
        .hasMessage(file + ": does not exist");
    assertThatThrownBy(() -> InstructionReader.readJsonl(folder))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("is a folder");
  }

  @Test
  void readsConversationsAndNamesTheMessageAtFault() throws IOException {
    Path good =
        file(
            "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\","
                + " \"content\": \"ho\"}]}\n");
    assertThat(ConversationReader.readJsonl(good).get(0).messages().get(0).content())
        .isEqualTo("hi");

    Path bad =
        file(
            "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\"}]}");
    assertThatThrownBy(() -> ConversationReader.readJsonl(bad))
        .isInstanceOf(DataException.class)
        .hasMessage(bad + ", line 1, record 0, field \"messages[1].content\": is missing");

    Path empty = file("[{\"messages\": []}]");
    assertThatThrownBy(() -> ConversationReader.readJson(empty))
        .hasMessageContaining("field \"messages\": is empty");
  }

  @Test
  void keepsWhatElseAMessageHoldsAndTheTools() throws IOException {
    Path file =
        file(
            "{\"messages\": [{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\":"
                + " 1}]}], \"tools\": [{\"name\": \"f\"}], \"other\": 1}\n");

    Conversation conversation = ConversationReader.readJsonl(file).get(0);

    assertThat(conversation.messages().get(0).toMap())
        .containsEntry("tool_calls", List.of(Map.of("id", 1)));
    assertThat(conversation.tools()).containsExactly(Map.of("name", "f"));
  }

  private Path file(String text) throws IOException {
    return Files.writeString(folder.resolve("data.json"), text);
  }
}
