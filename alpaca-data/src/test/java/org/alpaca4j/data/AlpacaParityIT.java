package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Prompts, ids and labels against train.py's, and against segments made by transformers. */
@Tag("parity")
class AlpacaParityIT {

  @TestFactory
  Stream<DynamicTest> rendersPromptsLikeTrainPy() throws IOException {
    return tests(
        "prompts",
        file -> {
          List<InstructionRecord> records = records();
          for (JsonNode line : Fixtures.lines(file)) {
            InstructionRecord record = records.get(line.get("index").intValue());
            assertThat(PromptTemplate.ALPACA.render(record.instruction(), record.input()))
                .isEqualTo(line.get("prompt").textValue());
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> addsTheSpecialTokensThatTrainPyAdds() throws IOException {
    return tests(
        "tokenizers.json",
        file -> {
          for (Map.Entry<String, JsonNode> entry :
              Fixtures.JSON.readTree(file.toFile()).properties()) {
            JsonNode expected = entry.getValue();
            try (Tokenizer plain = Fixtures.tokenizer(entry.getKey());
                Tokenizer tokenizer = plain.withMissingSpecialTokens().tokenizer()) {
              assertThat(tokenizer.size()).isEqualTo(expected.get("length").intValue());
              assertThat(tokenizer.padId()).hasValue(expected.get("pad_id").intValue());
              assertThat(tokenizer.eosId()).hasValue(expected.get("eos_id").intValue());
              assertThat(tokenizer.eosToken()).hasValue(expected.get("eos").textValue());
              for (JsonNode added : expected.get("added")) {
                assertThat(tokenizer.tokenToId(added.get("text").textValue()))
                    .hasValue(added.get("id").intValue());
              }
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> compatibleModeGivesTrainPysIdsAndLabels() throws IOException {
    return tests(
        "compatible_",
        file -> {
          String[] name = file.getFileName().toString().replace(".jsonl", "").split("_");
          int limit = Integer.parseInt(name[2]);
          checkExamples(file, name[1], SupervisedDataset.Mode.COMPATIBLE, limit);
        });
  }

  @TestFactory
  Stream<DynamicTest> segmentModeGivesSegmentIdsAndLabels() throws IOException {
    return tests(
        "segment_",
        file -> {
          String[] name = file.getFileName().toString().replace(".jsonl", "").split("_");
          checkExamples(file, name[1], SupervisedDataset.Mode.SEGMENTS, 1 << 20);
        });
  }

  private static void checkExamples(
      Path file, String tokenizerName, SupervisedDataset.Mode mode, int limit) throws IOException {
    List<JsonNode> lines = Fixtures.lines(file);
    try (Tokenizer plain = Fixtures.tokenizer(tokenizerName);
        Tokenizer tokenizer = plain.withMissingSpecialTokens().tokenizer()) {
      SupervisedDataset dataset =
          SupervisedDataset.builder()
              .tokenizer(tokenizer)
              .json(Fixtures.area("alpaca").resolve("records.json"))
              .maxLength(limit)
              .mode(mode)
              .splitSpecialTokens(false) // as the reference
              .onFullyMasked(SupervisedDataset.OnFullyMasked.KEEP)
              .build();
      SoftAssertions softly = new SoftAssertions();
      List<Integer> masked = new ArrayList<>();
      softly.assertThat(dataset.size()).isEqualTo(lines.size());
      for (JsonNode line : lines) {
        int index = line.get("index").intValue();
        SupervisedExample expected =
            new SupervisedExample(
                Fixtures.ints(line.get("input_ids")), Fixtures.ints(line.get("labels")));
        if (expected.supervisedTokens() == 0) {
          masked.add(index);
        }
        softly.assertThat(dataset.get(index)).as("record %d", index).isEqualTo(expected);
      }
      softly.assertThat(dataset.report().fullyMasked()).isEqualTo(masked);
      softly.assertAll();
    }
  }

  @TestFactory
  Stream<DynamicTest> collatesLikeTrainPy() throws IOException {
    return tests(
        "batches",
        file -> {
          SoftAssertions softly = new SoftAssertions();
          Map<String, List<JsonNode>> byTokenizer =
              Fixtures.lines(file).stream()
                  .collect(Collectors.groupingBy(line -> line.get("tokenizer").textValue()));
          for (Map.Entry<String, List<JsonNode>> entry : byTokenizer.entrySet()) {
            try (Tokenizer plain = Fixtures.tokenizer(entry.getKey());
                Tokenizer tokenizer = plain.withMissingSpecialTokens().tokenizer()) {
              checkBatches(tokenizer, entry.getValue(), softly);
            }
          }
          softly.assertAll();
        });
  }

  private static void checkBatches(
      Tokenizer tokenizer, List<JsonNode> lines, SoftAssertions softly) {
    Map<Integer, SupervisedDataset> datasets = new HashMap<>();
    for (JsonNode line : lines) {
      assertThat(line.get("mode").textValue()).isEqualTo("compatible");
      SupervisedDataset dataset =
          datasets.computeIfAbsent(
              line.get("limit").intValue(),
              limit ->
                  SupervisedDataset.builder()
                      .tokenizer(tokenizer)
                      .records(records())
                      .maxLength(limit)
                      .mode(SupervisedDataset.Mode.COMPATIBLE)
                      .onFullyMasked(SupervisedDataset.OnFullyMasked.KEEP)
                      .build());
      List<SupervisedExample> examples = new ArrayList<>();
      for (int index : Fixtures.ints(line.get("indices"))) {
        examples.add(dataset.get(index));
      }
      int[][] ids = Fixtures.rows(line.get("input_ids"));
      int[][] labels = Fixtures.rows(line.get("labels"));
      for (PaddingCollator.Mask mask : PaddingCollator.Mask.values()) {
        softly
            .assertThat(
                PaddingCollator.builder().tokenizer(tokenizer).mask(mask).build().collate(examples))
            .as("%s, %s", line.get("indices"), mask)
            .isEqualTo(
                new PaddedBatch(
                    ids,
                    labels,
                    Fixtures.rows(
                        line.get("attention_mask_" + mask.name().toLowerCase(Locale.ROOT)))));
      }
    }
  }

  private static List<InstructionRecord> records() {
    return InstructionReader.readJson(Fixtures.area("alpaca").resolve("records.json"));
  }

  private interface FileCheck {
    void run(Path file) throws IOException;
  }

  private static Stream<DynamicTest> tests(String prefix, FileCheck check) throws IOException {
    return Fixtures.files("alpaca", prefix).stream()
        .map(f -> DynamicTest.dynamicTest(f.getFileName().toString(), () -> check.run(f)));
  }
}
