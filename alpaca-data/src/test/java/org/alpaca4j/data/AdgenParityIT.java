package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.AdgenPreprocessor.Prompt;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** The prompts of ChatGLM-6B's P-Tuning script, text for text. */
@Tag("parity")
class AdgenParityIT {

  @TestFactory
  Stream<DynamicTest> makesThePromptsOfTheOriginal() throws IOException {
    List<DynamicTest> cases = new ArrayList<>();
    for (Path file : Fixtures.files("chatglm-adgen", "prompts")) {
      for (JsonNode row : Fixtures.lines(file)) {
        cases.add(
            DynamicTest.dynamicTest(
                file.getFileName() + ", line " + (cases.size() + 1), () -> check(row)));
      }
    }
    return cases.stream();
  }

  private static void check(JsonNode row) {
    List<AdgenRecord.Round> history = new ArrayList<>();
    for (JsonNode round : row.get("history")) {
      history.add(new AdgenRecord.Round(round.get(0).textValue(), round.get(1).textValue()));
    }
    String content = row.at("/record/content").textValue();
    String summary = row.at("/record/summary").textValue();
    AdgenRecord alone = AdgenRecord.of(content, summary);
    AdgenRecord whole = new AdgenRecord(content, summary, history);

    assertThat(AdgenPreprocessor.prompt(alone, Prompt.QUERY_ONLY))
        .isEqualTo(row.get("prompt_query_only").textValue());
    assertThat(AdgenPreprocessor.prompt(alone, Prompt.WRAPPED))
        .isEqualTo(row.get("prompt_wrapped").textValue());
    assertThat(AdgenPreprocessor.prompt(alone, Prompt.ROUNDS))
        .isEqualTo(row.get("prompt_rounds_without_history").textValue());
    assertThat(AdgenPreprocessor.prompt(whole, Prompt.ROUNDS))
        .isEqualTo(row.get("prompt_rounds").textValue());
    try (Tokenizer tokenizer = TestTokenizer.load()) {
      assertThat(AdgenPreprocessor.of(tokenizer, Prompt.ROUNDS, 64, 64).example(whole).isEmpty())
          .isEqualTo(row.get("skipped_by_original").asBoolean());
    }
  }

  @TestFactory
  Stream<DynamicTest> readsTheRecords() throws IOException {
    return Fixtures.files("chatglm-adgen", "records").stream()
        .map(file -> DynamicTest.dynamicTest(file.getFileName().toString(), () -> read(file)));
  }

  private static void read(Path file) throws IOException {
    List<AdgenRecord> expected = new ArrayList<>();
    for (JsonNode record : Fixtures.JSON.readTree(file.toFile())) {
      expected.add(
          AdgenRecord.of(record.get("content").textValue(), record.get("summary").textValue()));
    }
    try (Stream<AdgenRecord> records = DataFile.detect(file).map(AdgenReader.adgen()).stream()) {
      assertThat(records.map(r -> AdgenRecord.of(r.content(), r.summary())).toList())
          .isEqualTo(expected);
    }
  }
}
