package org.alpaca4j.data;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.Tokenizer;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/**
 * Token masks from generation blocks against transformers' {@code return_assistant_tokens_mask}.
 */
@Tag("parity")
class AssistantMaskParityIT {

  private static final TypeReference<LinkedHashMap<String, Object>> MAP = new TypeReference<>() {};

  @TestFactory
  Stream<DynamicTest> supervisesTheTokensOfGenerationBlocks() throws IOException {
    return Fixtures.files("chat-templates", "assistant_masks").stream()
        .map(f -> DynamicTest.dynamicTest(f.getFileName().toString(), () -> check(f)));
  }

  private static void check(Path file) throws IOException {
    JsonNode conversations = json("conversations.json");
    Map<String, JsonNode> index = new HashMap<>();
    for (JsonNode entry : json("index.json")) {
      index.put(entry.get("name").textValue(), entry);
    }
    Map<String, Tokenizer> tokenizers = new HashMap<>();
    SoftAssertions softly = new SoftAssertions();
    try {
      for (JsonNode line : Fixtures.lines(file)) {
        String name = line.get("template").textValue();
        JsonNode conversation = conversations.get(line.get("conversation").textValue());
        Tokenizer tokenizer =
            tokenizers.computeIfAbsent(line.get("tokenizer").textValue(), Fixtures::tokenizer);
        ChatTemplate template = template(name, index);
        ChatTemplate.Rendered rendered =
            template.render(
                messages(conversation),
                options(conversation, line.get("add_generation_prompt").booleanValue()));
        float[] ones = new float[rendered.assistantSpans().size()];
        Arrays.fill(ones, 1);
        SupervisedExample example =
            new ConversationTokenizer(
                    tokenizer,
                    template,
                    SupervisedDataset.Turns.ALL,
                    SupervisedDataset.Thinking.KEEP)
                .mask(rendered.text(), rendered.assistantSpans(), ones);
        int[] labels = Fixtures.ints(line.get("input_ids"));
        int[] mask = Fixtures.ints(line.get("assistant_masks"));
        for (int t = 0; t < labels.length; t++) {
          labels[t] = mask[t] == 1 ? labels[t] : SupervisedExample.IGNORE_INDEX;
        }
        softly
            .assertThat(example)
            .as("%s, %s, %s", name, line.get("conversation"), line.get("tokenizer"))
            .isEqualTo(new SupervisedExample(Fixtures.ints(line.get("input_ids")), labels));
      }
    } finally {
      tokenizers.values().forEach(Tokenizer::close);
    }
    softly.assertAll();
  }

  private static ChatTemplate template(String name, Map<String, JsonNode> index)
      throws IOException {
    JsonNode entry = index.get(name);
    Path file = Fixtures.area("chat-templates").resolve("templates").resolve(name + ".jinja");
    Map<String, String> tokens = new HashMap<>();
    for (String token : List.of("bos_token", "eos_token")) {
      if (entry != null && entry.path("specials").path(token).isTextual()) {
        tokens.put(token, entry.get("specials").get(token).textValue());
      }
    }
    return ChatTemplate.of(Files.readString(file), tokens);
  }

  private static ChatTemplate.RenderOptions options(JsonNode conversation, boolean prompt) {
    ChatTemplate.RenderOptions.Builder options =
        ChatTemplate.RenderOptions.builder()
            .addGenerationPrompt(prompt)
            .clock(Clock.fixed(Instant.parse("2024-07-26T12:34:56Z"), ZoneOffset.UTC));
    if (conversation.path("tools").isArray()) {
      List<Map<String, Object>> tools = new ArrayList<>();
      conversation.get("tools").forEach(t -> tools.add(Fixtures.JSON.convertValue(t, MAP)));
      options.tools(tools);
    }
    if (conversation.path("kwargs").isObject()) {
      options.variables(Fixtures.JSON.convertValue(conversation.get("kwargs"), MAP));
    }
    return options.build();
  }

  private static List<ChatMessage> messages(JsonNode conversation) {
    List<ChatMessage> messages = new ArrayList<>();
    for (JsonNode message : conversation.get("messages")) {
      messages.add(ChatMessage.ofMap(Fixtures.JSON.convertValue(message, MAP)));
    }
    return messages;
  }

  private static JsonNode json(String name) throws IOException {
    return Fixtures.JSON.readTree(Files.readString(Fixtures.area("chat-templates").resolve(name)));
  }
}
