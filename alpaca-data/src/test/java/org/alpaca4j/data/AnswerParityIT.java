package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.ChatTemplate.RenderOptions;
import org.alpaca4j.core.ChatTemplateException;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.SupervisedDataset.Thinking;
import org.alpaca4j.data.SupervisedDataset.Turns;
import org.assertj.core.api.SoftAssertions;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/**
 * Real chat templates: each answer is learnt behind the tokens that a chat would give the model,
 * and is what the template then expects.
 */
@Tag("parity")
class AnswerParityIT {
  private static final List<String> TOKENIZERS = List.of("qwen2", "llama2", "smollm2");

  /** It prints features of Jinja and has no answers. */
  private static final String NO_CHAT = "own_features";

  private static final List<Map<String, Object>> TOOLS =
      List.of(
          Map.of(
              "type",
              "function",
              "function",
              Map.of(
                  "name",
                  "weather",
                  "description",
                  "Weather of a city.",
                  "parameters",
                  Map.of(
                      "type",
                      "object",
                      "properties",
                      Map.of("city", Map.of("type", "string", "description", "where"))))));

  /** What the assistant's messages have beside their answer. */
  private enum Kind {
    PLAIN,
    REASONING_CONTENT,
    THINK_TAGS,
    TOOL_CALLS
  }

  @TestFactory
  Stream<DynamicTest> learnsEachAnswerBehindThePromptOfAChat() throws IOException {
    if (Fixtures.files("chat-templates", "index").isEmpty()) {
      return Stream.empty();
    }
    List<DynamicTest> tests = new ArrayList<>();
    Path area = Fixtures.area("chat-templates");
    for (JsonNode entry : Fixtures.JSON.readTree(Files.readString(area.resolve("index.json")))) {
      String name = entry.get("name").textValue();
      Path file = area.resolve("templates").resolve(name + ".jinja");
      if (Files.exists(file) && !name.equals(NO_CHAT)) {
        tests.add(DynamicTest.dynamicTest(name, () -> check(Files.readString(file), entry)));
      }
    }
    return tests.stream();
  }

  private static void check(String source, JsonNode entry) {
    Map<String, String> tokens = new HashMap<>();
    entry.get("specials").properties().forEach(t -> tokens.put(t.getKey(), t.getValue().asText()));
    ChatTemplate template = ChatTemplate.of(source, tokens);
    SoftAssertions softly = new SoftAssertions();
    int learnt = 0;
    for (String name : TOKENIZERS) {
      try (Tokenizer tokenizer = Fixtures.tokenizer(name)) {
        for (int turns = 1; turns <= 6; turns++) {
          for (Kind kind : Kind.values()) {
            for (boolean system : new boolean[] {false, true}) {
              Conversation conversation = conversation(turns, system, kind);
              String what =
                  "%s, %d turns, %s%s".formatted(name, turns, kind, system ? ", system" : "");
              learnt += check(template, tokenizer, conversation, what, softly);
            }
          }
        }
      }
    }
    softly.assertThat(learnt).as("answers").isPositive();
    softly.assertAll();
  }

  private static Conversation conversation(int turns, boolean system, Kind kind) {
    List<ChatMessage> messages = new ArrayList<>();
    if (system) {
      messages.add(ChatMessage.system("Be brief, 请。"));
    }
    for (int turn = 1; turn <= turns; turn++) {
      messages.add(ChatMessage.user("Question " + turn + " of 你: 3+4?"));
      String answer = "Answer " + turn + ": it's 7.";
      switch (kind) {
        case PLAIN -> messages.add(ChatMessage.assistant(answer));
        case REASONING_CONTENT ->
            messages.add(
                new ChatMessage(
                    "assistant", answer, Map.of("reasoning_content", "thought " + turn)));
        case THINK_TAGS ->
            messages.add(
                ChatMessage.assistant("<think>\nthought " + turn + "\n</think>\n\n" + answer));
        case TOOL_CALLS -> {
          String id = "call0000" + turn;
          Map<String, Object> function =
              Map.of("name", "weather", "arguments", Map.of("city", "Bonn " + turn));
          messages.add(
              ChatMessage.ofMap(
                  Map.of(
                      "role",
                      "assistant",
                      "content",
                      "",
                      "tool_calls",
                      List.of(Map.of("id", id, "type", "function", "function", function)))));
          messages.add(
              ChatMessage.ofMap(
                  Map.of(
                      "role", "tool", "tool_call_id", id, "name", "weather", "content", "12 C")));
          messages.add(ChatMessage.assistant(answer));
        }
      }
    }
    return new Conversation(messages, kind == Kind.TOOL_CALLS ? TOOLS : List.of());
  }

  /** Returns how many answers were compared. */
  private static int check(
      ChatTemplate template,
      Tokenizer tokenizer,
      Conversation conversation,
      String what,
      SoftAssertions softly) {
    List<Expected> expected = new ArrayList<>();
    try {
      for (int i = 0; i < conversation.messages().size(); i++) {
        if (conversation.messages().get(i).role().equals("assistant")) {
          Expected answer = expected(template, conversation, i);
          if (!answer.isSilent()) {
            expected.add(answer);
          }
        }
      }
    } catch (ChatTemplateException e) {
      return 0; // nobody can chat like that
    }
    SupervisedExample example;
    try {
      example =
          new ConversationTokenizer(tokenizer, template, Turns.ALL, Thinking.KEEP)
              .example(conversation);
    } catch (DataException e) {
      softly.fail(what + ": " + e.getMessage());
      return 0;
    }
    List<Learnt> learnt = learnt(example);
    softly.assertThat(learnt).as(what).hasSameSizeAs(expected);
    if (template.hasGenerationBlocks()) {
      return learnt.size(); // the tags decide; AssistantMaskParityIT compares them
    }
    for (Expected answer : expected) {
      Optional<Learnt> found =
          learnt.stream()
              .filter(l -> answer.prompts().stream().anyMatch(p -> l.isBehind(tokenizer, p)))
              .findFirst();
      softly.assertThat(found).as("%s: prompt <%s>", what, answer.prompts()).isPresent();
      found.ifPresent(
          l -> {
            String said = tokenizer.decode(l.answer(), false);
            softly
                .assertThat(answer.rendered())
                .as("%s: <%s> at the end", what, said)
                .satisfies(text -> assertThat(plain(text)).contains(plain(said)));
            softly.assertThat(said).as(what).contains(answer.content());
          });
    }
    return learnt.size();
  }

  /** Without what SentencePiece makes of the sign that it uses for a space. */
  private static String plain(String text) {
    return text.replace('\u2581', ' ').strip();
  }

  /** What a chat would give the model, with and without thinking, and the text with the answer. */
  private record Expected(List<String> prompts, String rendered, String content) {
    /** Whether the template renders nothing of it, as some do with tool calls. */
    boolean isSilent() {
      return prompts.contains(rendered);
    }
  }

  private static Expected expected(ChatTemplate template, Conversation conversation, int index) {
    List<ChatMessage> before = conversation.messages().subList(0, index);
    String prompt = template.render(before, options(conversation, true, null)).text();
    List<String> prompts = new ArrayList<>(List.of(prompt));
    String rendered =
        template
            .render(
                conversation.messages().subList(0, index + 1), options(conversation, false, null))
            .text();
    if (Reasoning.of(conversation.messages().get(index)).isEmpty()) {
      String without = template.render(before, options(conversation, true, false)).text();
      String renderedOff =
          template
              .render(
                  conversation.messages().subList(0, index + 1),
                  options(conversation, false, false))
              .text();
      if (rendered.startsWith(without)) {
        prompts = List.of(without);
      } else if (asksTheBlock(prompt, rendered, without, renderedOff)) {
        prompts = List.of(without);
        rendered = renderedOff;
      }
    }
    String content = conversation.messages().get(index).content();
    return new Expected(prompts, rendered, content.substring(content.lastIndexOf('\n') + 1));
  }

  /** GLM: the question is another one without thinking, and the empty block belongs to it. */
  private static boolean asksTheBlock(
      String prompt, String rendered, String without, String renderedOff) {
    if (!renderedOff.startsWith(without) || !rendered.startsWith(prompt)) {
      return false;
    }
    String said = renderedOff.substring(without.length());
    String saidByDefault = rendered.substring(prompt.length());
    return saidByDefault.endsWith(said) && said.length() < saidByDefault.length();
  }

  private static RenderOptions options(
      Conversation conversation, boolean prompt, @Nullable Boolean thinking) {
    RenderOptions.Builder options = RenderOptions.builder().addGenerationPrompt(prompt);
    if (!conversation.tools().isEmpty()) {
      options.tools(conversation.tools());
    }
    if (thinking != null) {
      options.variable("enable_thinking", thinking);
    }
    return options.build();
  }

  /** A run of supervised tokens and what is before it. */
  private record Learnt(int[] before, int[] answer) {
    boolean isBehind(Tokenizer tokenizer, String prompt) {
      return Arrays.equals(before, tokenizer.encodeIds(prompt, false));
    }
  }

  private static List<Learnt> learnt(SupervisedExample example) {
    List<Learnt> runs = new ArrayList<>();
    for (SupervisedExample sequence : example.sequences()) {
      int[] labels = sequence.labels();
      int from = -1;
      for (int t = 0; t <= labels.length; t++) {
        boolean supervised = t < labels.length && labels[t] >= 0;
        if (supervised && from < 0) {
          from = t;
        } else if (!supervised && from >= 0) {
          runs.add(
              new Learnt(
                  Arrays.copyOf(sequence.ids(), from),
                  Arrays.copyOfRange(sequence.ids(), from, t)));
          from = -1;
        }
      }
    }
    return runs;
  }
}
