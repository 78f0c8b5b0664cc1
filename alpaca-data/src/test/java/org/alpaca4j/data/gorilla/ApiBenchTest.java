package org.alpaca4j.data.gorilla;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.data.DataException;
import org.alpaca4j.data.InstructionRecord;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ApiBenchTest {
  private static final String DICT =
      "{'Instruction': Say \"hi\"., 'Output': {'domain': 'Audio', 'api_call': 'm = load('a')',"
          + " 'api_provider': 'Y', 'explanation': \"It's fine.\", 'code': 'import x\nload('a')' }}";

  @TempDir Path folder;

  @Test
  void aDictThatIsNoneIsCutAtItsKeys() {
    ApiBenchCode code = ApiBenchCode.parse(DICT);

    assertThat(code)
        .isEqualTo(
            new ApiBenchCode(
                "Say \"hi\".",
                null,
                null,
                "Audio",
                "m = load('a')",
                "Y",
                "It's fine.",
                "import x\nload('a')",
                true));
  }

  @Test
  void aTextThatEndsEarlyIsIncomplete() {
    ApiBenchCode code = ApiBenchCode.parse(DICT.substring(0, DICT.length() - 10));

    assertThat(code.complete()).isFalse();
    assertThat(code.code()).isEqualTo("import x\nloa");
  }

  @Test
  void aKeyOfTheAuthorsOwnIsLeftOut() {
    ApiBenchCode code =
        ApiBenchCode.parse(
            "{'Instruction': x, 'Output': {'domain': 'A', 'solution': {'how': 'b', 'api_call':"
                + " \"f('c')\", 'why': 'd'}, 'explanation': 'e'}}");

    assertThat(code.domain()).isEqualTo("A");
    assertThat(code.apiCall()).isEqualTo("f('c')");
    assertThat(code.explanation()).isEqualTo("e");
    assertThat(code.complete()).isFalse();
  }

  @Test
  void aDictWithinACallIsPartOfIt() {
    String call = "f('a', **{'b': 1, 'c':'d', 'e': 2})";
    ApiBenchCode code =
        ApiBenchCode.parse("{'Instruction': x, 'Output': {'api_call': '" + call + "'}}");

    assertThat(code.apiCall()).isEqualTo(call);
    assertThat(code.complete()).isTrue();
  }

  @Test
  void aPlainOutputIsTheAnswer() {
    ApiBenchCode code = ApiBenchCode.parse("{'Instruction': x, 'Input': 'y', 'Output': 'z'}");

    assertThat(code.input()).isEqualTo("y");
    assertThat(code.answer()).isEqualTo("z");
  }

  @Test
  void sectionsAreReadAndWrittenAlike() {
    String answer =
        "<<<domain>>>: A\n<<<api_call>>>: f(a=1, b='x, y')\n<<<api_provider>>>: B\n"
            + "<<<explanation>>>: C\n<<<code>>>: a << b";
    ApiBenchCode code = ApiBenchCode.parse("###Instruction: Do it.\n###Output: " + answer);

    assertThat(code.instruction()).isEqualTo("Do it.");
    assertThat(code.answer()).isEqualTo(answer);
  }

  @Test
  void anyTextIsReadAsSomething() {
    assertThat(ApiBenchCode.parse("")).extracting(ApiBenchCode::answer).isEqualTo("");
    assertThat(ApiBenchCode.parse("{'code': '")).extracting(ApiBenchCode::code).isEqualTo("");
  }

  @Test
  void recordsAreReadWithTheirDocumentation() throws IOException {
    Path file =
        write(
            "{\"code\": \"###Instruction: A\\n###Output: <<<api_call>>>: f()\", \"api_call\":"
                + " \"f()\", \"provider\": \"P\", \"api_data\": {\"b\": 76.10, \"a\": [1, \"é\","
                + " null]}}");

    ApiBenchRecord record = ApiBenchReader.readJsonl(file).get(0);

    assertThat(record.line()).isEqualTo(1);
    assertThat(record.document()).isEqualTo("{\"b\": 76.1, \"a\": [1, \"é\", null]}");
    assertThat(GorillaInstructions.zeroShot(record))
        .isEqualTo(InstructionRecord.of("A", "<<<api_call>>>: f()"));
    assertThat(GorillaInstructions.withOwnDocument(record).instruction())
        .isEqualTo(
            "A\n Use this API documentation for reference: {\"b\": 76.1, \"a\": [1, \"é\", null]}");
  }

  @Test
  void errorsNameLineAndField() throws IOException {
    Path file = write("{\"code\": \"\", \"api_call\": \"f()\", \"api_data\": {}}", "{\"code\": 1}");

    assertThatThrownBy(() -> ApiBenchReader.readJsonl(file))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("line 2, record 1, field \"api_data\": is missing");
  }

  @Test
  void theCallMayStandInTheDocumentation() throws IOException {
    Path file = write("", "{\"code\": \"\", \"api_data\": {\"api_call\": \"f()\"}}");

    ApiBenchRecord record = ApiBenchReader.readJsonl(file).get(0);

    assertThat(record.apiCall()).isEqualTo("f()");
    assertThat(record.provider()).isEmpty();
    assertThat(record.line()).isEqualTo(2);
    Path neither = write("{\"code\": \"\", \"api_data\": {\"api_call\": 1}}");
    assertThatThrownBy(() -> ApiBenchReader.readJsonl(neither))
        .hasMessageContaining("field \"api_call\": is missing");
  }

  @Test
  void aRecordWithoutInstructionIsRefusedByItsLine() {
    ApiBenchRecord record =
        new ApiBenchRecord(7, ApiBenchCode.parse("<<<api_call>>>: f()"), "f()", "", Map.of());

    assertThatThrownBy(() -> GorillaInstructions.zeroShot(record))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("line 7 has no instruction");
  }

  @Test
  void theBestDocumentIsFoundByItsWords() {
    List<ApiBenchRecord> records =
        List.of(
            record("classify photos", "image classification"),
            record("speak a text", "speech synthesis of a text"),
            record("find objects in photos", "object detection in images"));
    Bm25Retriever retriever = Bm25Retriever.ofRecords(records);

    assertThat(retriever.retrieve("Which API does speech synthesis?", 2))
        .containsExactly(records.get(1).document());
    assertThat(
            GorillaInstructions.withRetriever(record("speech synthesis", "x"), retriever)
                .instruction())
        .endsWith(records.get(1).document());
    assertThat(GorillaInstructions.withRetriever(record("nothing", "x"), retriever).instruction())
        .isEqualTo("nothing");
  }

  @Test
  void documentsOfEqualScoreKeepTheirOrderAndLongQuestionsAreNoProblem() {
    List<String> documents = new ArrayList<>();
    StringBuilder question = new StringBuilder("same");
    for (int i = 0; i < 3000; i++) {
      documents.add("same w" + (i + 10_000));
      question.append(" q").append(i);
    }
    Bm25Retriever retriever = Bm25Retriever.of(documents);

    assertThat(retriever.retrieve(question.toString(), 5)).isEqualTo(documents.subList(0, 5));
  }

  @Test
  void anInstructionBecomesAConversationOfTwoMessages() {
    assertThat(GorillaInstructions.conversation(new InstructionRecord("a", "b", "c")).messages())
        .containsExactly(ChatMessage.user("a\nb"), ChatMessage.assistant("c"));
  }

  private static ApiBenchRecord record(String instruction, String description) {
    Map<String, @Nullable Object> data = new LinkedHashMap<>();
    data.put("description", description);
    return new ApiBenchRecord(
        1,
        ApiBenchCode.parse("###Instruction: " + instruction + "\n###Output: <<<api_call>>>: f()"),
        "f()",
        "",
        data);
  }

  private Path write(String... lines) throws IOException {
    return Files.write(folder.resolve("records.jsonl"), List.of(lines));
  }
}
