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
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.Tokenizer;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Ids, labels and batches of ChatML conversations, and the ids printed in the original article. */
@Tag("parity")
class ChatMlParityIT {

  @TestFactory
  Stream<DynamicTest> givesIdsAndAllThreeLabelMasks() throws IOException {
    return tests(
        "cases",
        file -> {
          List<List<ChatMessage>> conversations = conversations();
          SoftAssertions softly = new SoftAssertions();
          withTokenizers(
              Fixtures.lines(file),
              (tokenizer, line) -> {
                int index = line.get("index").intValue();
                for (Map.Entry<String, JsonNode> labels : line.get("labels").properties()) {
                  ChatMlPreprocessor.LabelMask mask =
                      ChatMlPreprocessor.LabelMask.valueOf(labels.getKey());
                  softly
                      .assertThat(
                          ChatMlPreprocessor.of(tokenizer, mask).example(conversations.get(index)))
                      .as("%s, %s", line.get("name"), mask)
                      .isEqualTo(
                          new SupervisedExample(
                              Fixtures.ints(line.get("input_ids")),
                              Fixtures.ints(labels.getValue())));
                }
              });
          softly.assertAll();
        });
  }

  @TestFactory
  Stream<DynamicTest> collatesConversations() throws IOException {
    return tests(
        "batches",
        file -> {
          List<List<ChatMessage>> conversations = conversations();
          SoftAssertions softly = new SoftAssertions();
          withTokenizers(
              Fixtures.lines(file),
              (tokenizer, line) -> {
                int[][] ids = Fixtures.rows(line.get("input_ids"));
                for (Map.Entry<String, JsonNode> labels : line.get("labels").properties()) {
                  ChatMlPreprocessor.LabelMask labelMask =
                      ChatMlPreprocessor.LabelMask.valueOf(labels.getKey());
                  ChatMlPreprocessor chatMl = ChatMlPreprocessor.of(tokenizer, labelMask);
                  softly.assertThat(chatMl.padId()).isEqualTo(line.get("pad_id").intValue());
                  List<SupervisedExample> examples = new ArrayList<>();
                  for (int index : Fixtures.ints(line.get("indices"))) {
                    examples.add(chatMl.example(conversations.get(index)));
                  }
                  for (PaddingCollator.Mask mask : PaddingCollator.Mask.values()) {
                    softly
                        .assertThat(
                            PaddingCollator.builder()
                                .padId(chatMl.padId())
                                .side(
                                    PaddingCollator.Side.valueOf(
                                        line.get("side").textValue().toUpperCase(Locale.ROOT)))
                                .padToMultipleOf(line.get("multiple").intValue())
                                .mask(mask)
                                .build()
                                .collate(examples))
                        .as("%s, %s, %s", line.get("indices"), labelMask, mask)
                        .isEqualTo(
                            new PaddedBatch(
                                ids,
                                Fixtures.rows(labels.getValue()),
                                Fixtures.rows(
                                    line.get(
                                        "attention_mask_"
                                            + mask.name().toLowerCase(Locale.ROOT)))));
                  }
                }
              });
          softly.assertAll();
        });
  }

  @TestFactory
  Stream<DynamicTest> givesTheIdsPrintedInTheOriginalArticle() throws IOException {
    return tests(
        "seed003_check.json",
        file -> {
          JsonNode check = Fixtures.JSON.readTree(file.toFile());
          try (Tokenizer tokenizer = Fixtures.tokenizer("qwen2")) {
            SupervisedExample prompt =
                ChatMlPreprocessor.of(tokenizer)
                    .example(
                        List.of(
                            ChatMessage.of("system", "You are a helpful assistant."),
                            ChatMessage.of("user", "你是谁？")));
            int[] printed = Fixtures.ints(check.get("printed_prompt_ids"));
            assertThat(printed).startsWith(prompt.ids());
            int[] reply = Fixtures.ints(check.get("printed_reply_ids"));
            assertThat(tokenizer.decode(reply, false))
                .isEqualTo(check.get("reply_text").textValue());
            assertThat(tokenizer.decode(reply, true))
                .isEqualTo(check.get("reply_without_special").textValue());
            assertThat(tokenizer.encodeIds(check.get("reply_text").textValue(), false))
                .isEqualTo(reply);
          }
        });
  }

  private interface LineCheck {
    void run(Tokenizer tokenizer, JsonNode line);
  }

  private static void withTokenizers(List<JsonNode> lines, LineCheck check) {
    Map<String, Tokenizer> tokenizers = new HashMap<>();
    try {
      for (JsonNode line : lines) {
        check.run(
            tokenizers.computeIfAbsent(line.get("tokenizer").textValue(), Fixtures::tokenizer),
            line);
      }
    } finally {
      tokenizers.values().forEach(Tokenizer::close);
    }
  }

  private static List<List<ChatMessage>> conversations() throws IOException {
    List<List<ChatMessage>> all = new ArrayList<>();
    Path file = Fixtures.area("chatml").resolve("conversations.json");
    for (JsonNode conversation : Fixtures.JSON.readTree(file.toFile())) {
      List<ChatMessage> messages = new ArrayList<>();
      for (JsonNode message : conversation.get("messages")) {
        messages.add(
            ChatMessage.of(message.get("role").textValue(), message.get("content").textValue()));
      }
      all.add(messages);
    }
    return all;
  }

  private interface FileCheck {
    void run(Path file) throws IOException;
  }

  private static Stream<DynamicTest> tests(String prefix, FileCheck check) throws IOException {
    return Fixtures.files("chatml", prefix).stream()
        .map(f -> DynamicTest.dynamicTest(f.getFileName().toString(), () -> check.run(f)));
  }
}
