package org.alpaca4j.data.gorilla;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/**
 * APIBench's records and the judgement of calls, against values made with Python's own {@code ast}.
 */
@Tag("parity")
class GorillaParityIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String DOCUMENT = "\n Use this API documentation for reference: ";

  @TestFactory
  Stream<DynamicTest> readsTheFieldsOfRecords() throws IOException {
    return tests("records.jsonl", GorillaParityIT::checkRecord);
  }

  private static void checkRecord(JsonNode line, SoftAssertions softly) {
    ApiBenchCode code = ApiBenchCode.parse(line.get("code").textValue());
    JsonNode fields = line.get("fields");
    String place = line.path("line").asText();
    softly.assertThat(code.instruction()).as(place).isEqualTo(text(fields, "Instruction"));
    softly.assertThat(code.input()).as(place).isEqualTo(text(fields, "Input"));
    softly.assertThat(code.output()).as(place).isEqualTo(text(fields, "Output"));
    softly.assertThat(code.domain()).as(place).isEqualTo(text(fields, "domain"));
    softly.assertThat(code.apiCall()).as(place).isEqualTo(text(fields, "api_call"));
    softly.assertThat(code.apiProvider()).as(place).isEqualTo(text(fields, "api_provider"));
    softly.assertThat(code.explanation()).as(place).isEqualTo(text(fields, "explanation"));
    softly.assertThat(code.code()).as(place).isEqualTo(text(fields, "code"));
    if (line.has("complete")) {
      softly.assertThat(code.complete()).as(place).isEqualTo(line.get("complete").booleanValue());
    }
    if (line.has("prompt_retriever")) {
      checkPrompts(line, code, softly);
    }
  }

  private static void checkPrompts(JsonNode line, ApiBenchCode code, SoftAssertions softly) {
    String prompt = line.get("prompt_retriever").textValue();
    String document = prompt.substring(prompt.indexOf(DOCUMENT) + DOCUMENT.length());
    try {
      // The documentation itself is a further file; its text, read back, must give itself.
      Path file = Files.createTempFile("record", ".jsonl");
      Files.writeString(
          file,
          "{\"code\":" + line.get("code") + ",\"api_call\":\"\",\"api_data\":" + document + "}\n");
      ApiBenchRecord record = ApiBenchReader.readJsonl(file).get(0);
      Files.delete(file);
      softly.assertThat(record.code()).isEqualTo(code);
      if (!code.answer().isEmpty()) {
        softly
            .assertThat(GorillaInstructions.zeroShot(record).instruction())
            .isEqualTo(line.get("prompt_zero_shot").textValue());
        softly
            .assertThat(GorillaInstructions.withOwnDocument(record).instruction())
            .isEqualTo(prompt);
      }
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @TestFactory
  Stream<DynamicTest> judgesCandidatesByTheirSyntaxTrees() throws IOException {
    Path base = area().resolve("api_base.json");
    if (!Files.exists(base)) {
      return Stream.empty();
    }
    List<String> calls = new ArrayList<>();
    JSON.readTree(base.toFile()).forEach(call -> calls.add(call.textValue()));
    ApiCallEvaluator evaluator = ApiCallEvaluator.of(ApiHub.TORCH_HUB, calls);
    return tests(
        "cases.jsonl",
        (line, softly) -> {
          ApiJudgement found =
              evaluator.judge(line.get("candidate").textValue(), line.get("reference").textValue());
          String note = line.get("note").textValue();
          softly
              .assertThat(found.verdict().name().replace('_', ' ').toLowerCase(Locale.ROOT))
              .as(note)
              .isEqualTo(line.get("verdict").textValue());
          softly.assertThat(found.reason()).as(note).startsWith(line.get("why").textValue());
        });
  }

  private static String text(JsonNode fields, String name) {
    return fields.path(name).textValue();
  }

  private interface Check {
    void run(JsonNode line, SoftAssertions softly);
  }

  private static Path area() {
    return Path.of(System.getProperty("fixtures"), "gorilla");
  }

  /** One test per file whose name ends so, over all its lines. */
  private static Stream<DynamicTest> tests(String ending, Check check) throws IOException {
    if (!Files.isDirectory(area())) {
      return Stream.empty();
    }
    List<Path> files;
    try (Stream<Path> all = Files.list(area())) {
      files = all.filter(f -> f.getFileName().toString().endsWith(ending)).sorted().toList();
    }
    return files.stream()
        .map(
            file ->
                DynamicTest.dynamicTest(
                    file.getFileName().toString(),
                    () -> {
                      SoftAssertions softly = new SoftAssertions();
                      int lines = 0;
                      for (String line : Files.readString(file).split("\n")) {
                        check.run(JSON.readTree(line), softly);
                        lines++;
                      }
                      softly.assertAll();
                      assertThat(lines).isPositive();
                    }));
  }
}
