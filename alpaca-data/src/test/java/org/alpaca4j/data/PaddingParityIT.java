package org.alpaca4j.data;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.alpaca4j.core.Tokenizer;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Batches of texts, cut and padded on either side, against the tokenizers library's own. */
@Tag("parity")
class PaddingParityIT {

  @TestFactory
  Stream<DynamicTest> padsLikeTheTokenizersLibrary() throws IOException {
    return Fixtures.files("tokenizers", "").stream()
        .filter(folder -> Files.exists(folder.resolve("padding.jsonl")))
        .map(
            folder ->
                DynamicTest.dynamicTest(folder.getFileName().toString(), () -> check(folder)));
  }

  private static void check(Path folder) throws IOException {
    SoftAssertions softly = new SoftAssertions();
    try (Tokenizer tokenizer = Fixtures.tokenizer(folder.getFileName().toString())) {
      for (JsonNode line : Fixtures.lines(folder.resolve("padding.jsonl"))) {
        int maxLength = line.get("max_length").isNull() ? 1 << 20 : line.get("max_length").asInt();
        List<String> texts = new ArrayList<>();
        line.get("texts").forEach(text -> texts.add(text.textValue()));
        List<SupervisedExample> examples = new ArrayList<>();
        for (int[] ids : tokenizer.encodeBatchIds(texts, true)) {
          int[] cut = Arrays.copyOf(ids, Math.min(ids.length, maxLength));
          examples.add(new SupervisedExample(cut, cut));
        }
        PaddedBatch batch =
            PaddingCollator.builder()
                .padId(line.get("pad_id").intValue())
                .side(
                    PaddingCollator.Side.valueOf(
                        line.get("padding_side").textValue().toUpperCase(Locale.ROOT)))
                .build()
                .collate(examples);
        softly.assertThat(batch.inputIds()).isDeepEqualTo(Fixtures.rows(line.get("input_ids")));
        softly
            .assertThat(batch.attentionMask())
            .isDeepEqualTo(Fixtures.rows(line.get("attention_mask")));
      }
    }
    softly.assertAll();
  }
}
