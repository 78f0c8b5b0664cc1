package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatTemplate.RenderOptions;
import org.alpaca4j.core.ChatTemplate.Span;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/**
 * Renders the conversations of the fixtures area {@code chat-templates} with every template and
 * expects the texts, refusals and assistant spans of transformers.
 */
@Tag("parity")
class ChatTemplateParityIT {
  private static final JsonMapper JSON = new JsonMapper();

  /** What strftime_now saw when the fixtures were made. */
  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2024-07-26T12:34:56Z"), ZoneOffset.UTC);

  private final Map<String, ChatTemplate> templates = new HashMap<>();

  @TestFactory
  Stream<DynamicTest> rendersLikeTransformers() {
    return tests("cases.jsonl", this::checkText);
  }

  @TestFactory
  Stream<DynamicTest> marksTheAssistantLikeTransformers() {
    return tests("assistant_masks.jsonl", this::checkSpans);
  }

  /** One test per line of a file, in every folder of the area that has it. */
  private static Stream<DynamicTest> tests(String file, BiConsumer<Path, JsonNode> check) {
    String fixtures = System.getProperty("fixtures");
    if (fixtures == null) {
      return Stream.empty();
    }
    Path area = Path.of(fixtures).resolve("chat-templates");
    if (!Files.isRegularFile(area.resolve(file))) {
      return Stream.empty();
    }
    return read(area.resolve(file))
        .lines()
        .map(ChatTemplateParityIT::parse)
        .map(row -> DynamicTest.dynamicTest(name(row), () -> check.accept(area, row)));
  }

  private static String name(JsonNode row) {
    Set<String> parts = new LinkedHashSet<>();
    parts.add(row.get("template").asText());
    parts.add(row.get("conversation").asText());
    parts.add(row.get("add_generation_prompt").asBoolean() ? "generation prompt" : "as it is");
    if (row.has("tokenizer")) {
      parts.add(row.get("tokenizer").asText());
    }
    return String.join(" / ", parts);
  }

  private void checkText(Path area, JsonNode row) {
    if (row.has("text")) {
      assertThat(render(area, row).text()).isEqualTo(row.get("text").asText());
      return;
    }
    Throwable error = catchThrowable(() -> render(area, row));
    assertThat(error).isInstanceOf(ChatTemplateException.class);
    boolean raised = row.get("error").asText().equals("raised_by_template");
    assertThat(((ChatTemplateException) error).raisedByTemplate()).isEqualTo(raised);
    if (raised) {
      assertThat(error).hasMessage(row.get("message").asText());
    }
  }

  private void checkSpans(Path area, JsonNode row) {
    List<Span> expected = new ArrayList<>();
    row.get("spans").forEach(s -> expected.add(new Span(s.get(0).asInt(), s.get(1).asInt())));
    assertThat(render(area, row).assistantSpans()).isEqualTo(expected);
  }

  private ChatTemplate.Rendered render(Path area, JsonNode row) {
    ChatTemplate template =
        templates.computeIfAbsent(row.get("template").asText(), name -> template(area, name));
    JsonNode conversation =
        parse(read(area.resolve("conversations.json"))).get(row.get("conversation").asText());
    List<ChatMessage> messages = new ArrayList<>();
    conversation.get("messages").forEach(message -> messages.add(ChatMessage.ofMap(map(message))));
    RenderOptions.Builder options =
        RenderOptions.builder()
            .clock(CLOCK)
            .addGenerationPrompt(row.get("add_generation_prompt").asBoolean())
            .continueFinalMessage(conversation.path("continue_final_message").asBoolean());
    if (conversation.has("kwargs")) {
      options.variables(map(conversation.get("kwargs")));
    }
    if (conversation.hasNonNull("tools")) {
      List<Map<String, Object>> tools = new ArrayList<>();
      conversation.get("tools").forEach(tool -> tools.add(map(tool)));
      options.tools(tools);
    }
    return template.render(messages, options.build());
  }

  private static ChatTemplate template(Path area, String name) {
    Map<String, String> specials = new HashMap<>();
    for (JsonNode entry : parse(read(area.resolve("index.json")))) {
      if (entry.get("name").asText().equals(name)) {
        entry
            .get("specials")
            .properties()
            .forEach(e -> specials.put(e.getKey(), e.getValue().asText()));
      }
    }
    return ChatTemplate.of(read(templateFile(area, name)), specials);
  }

  /**
   * A folder of further cases may leave out templates that the public one, {@code fixtures.public}
   * or a sibling named fixtures, already has.
   */
  private static Path templateFile(Path area, String name) {
    Path file = area.resolve("templates").resolve(name + ".jinja");
    if (Files.exists(file)) {
      return file;
    }
    Path fixtures = area.toAbsolutePath().normalize().getParent();
    String others =
        System.getProperty("fixtures.public", fixtures.resolveSibling("fixtures").toString());
    return Path.of(others).resolve("chat-templates/templates").resolve(name + ".jinja");
  }

  private static Map<String, Object> map(JsonNode node) {
    return JSON.convertValue(node, new TypeReference<Map<String, Object>>() {});
  }

  private static JsonNode parse(String json) {
    try {
      return JSON.readTree(json);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
