package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ChatTemplate.RenderOptions;
import org.alpaca4j.core.ChatTemplate.Span;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatTemplateTest {
  private static final String CHATML =
      "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n"
          + "' + m['content'] + '<|im_end|>\\n"
          + "' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n"
          + "' }}{% endif %}";

  private static final List<ChatMessage> GREETING =
      List.of(ChatMessage.user("Hi"), ChatMessage.assistant("Hello! 😀"));

  @Test
  void rendersChatMl() {
    assertThat(ChatTemplate.of(CHATML).render(GREETING).text())
        .isEqualTo("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello! 😀<|im_end|>\n");
  }

  @Test
  void opensAnAssistantMessageOnRequest() {
    assertThat(
            ChatTemplate.of(CHATML)
                .render(List.of(ChatMessage.user("Hi")), RenderOptions.withGenerationPrompt())
                .text())
        .endsWith("<|im_start|>assistant\n");
  }

  @Test
  void continuesTheFinalMessage() {
    RenderOptions options = RenderOptions.builder().continueFinalMessage(true).build();
    assertThat(ChatTemplate.of(CHATML).render(GREETING, options).text())
        .endsWith("<|im_start|>assistant\nHello! 😀");
  }

  @Test
  void refusesAGenerationPromptTogetherWithAContinuedMessage() {
    RenderOptions.Builder options =
        RenderOptions.builder().continueFinalMessage(true).addGenerationPrompt(true);
    assertThatThrownBy(options::build)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("exclude each other");
  }

  @Test
  void marksGenerationBlocksInCodePoints() {
    ChatTemplate template =
        ChatTemplate.of(
            "😀{% for m in messages %}{% if m.role == 'assistant' %}"
                + "{% generation %}{{ m.content }}{% endgeneration %}"
                + "{% else %}{{ m.content }}{% endif %}{% endfor %}");
    ChatTemplate.Rendered rendered = template.render(GREETING);
    assertThat(rendered.text()).isEqualTo("😀HiHello! 😀");
    assertThat(rendered.assistantSpans()).containsExactly(new Span(3, 11));
    assertThat(template.hasGenerationBlocks()).isTrue();
  }

  @Test
  void passesOnTheTemplatesOwnRefusal() {
    ChatTemplate template = ChatTemplate.of("\n{{ raise_exception('Only users here.') }}");
    ChatTemplateException error =
        catchThrowableOfType(ChatTemplateException.class, () -> template.render(GREETING));
    assertThat(error).hasMessage("Only users here.");
    assertThat(error.raisedByTemplate()).isTrue();
    assertThat(error.line()).hasValue(2);
  }

  @Test
  void namesTheLineOfAnError() {
    ChatTemplate template = ChatTemplate.of("a\nb\n{{ messages[0].nothing.more }}");
    assertThatThrownBy(() -> template.render(GREETING))
        .isInstanceOf(ChatTemplateException.class)
        .hasMessage("chat template, line 3: 'dict object' has no attribute 'nothing'");
  }

  @Test
  void refusesUnknownTagsAndFiltersWhenParsing() {
    assertThatThrownBy(() -> ChatTemplate.of("{% do x %}"))
        .hasMessage("chat template, line 1: Encountered unknown tag 'do'.");
    assertThatThrownBy(() -> ChatTemplate.of("{{ x | markdown }}"))
        .hasMessage("chat template, line 1: No filter named 'markdown'.");
  }

  @Test
  void refusesAnEmptyConversation() {
    assertThatThrownBy(() -> ChatTemplate.of(CHATML).render(List.of()))
        .isInstanceOf(ChatTemplateException.class)
        .hasMessageContaining("empty conversation");
  }

  @Test
  void leavesOutFieldsThatAreNull() {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("role", "assistant");
    fields.put("content", null);
    fields.put("tool_calls", List.of(Map.of("name", "add")));
    assertThat(
            ChatTemplate.of("{{ messages[0] | tojson }}")
                .render(List.of(ChatMessage.ofMap(fields)))
                .text())
        .isEqualTo("{\"role\": \"assistant\", \"tool_calls\": [{\"name\": \"add\"}]}");
  }

  @Test
  void givesToolsAndVariablesToTheTemplate() {
    RenderOptions options =
        RenderOptions.builder()
            .tools(List.of(Map.of("name", "add")))
            .variable("enable_thinking", false)
            .clock(Clock.fixed(Instant.parse("2024-07-26T12:00:00Z"), ZoneOffset.UTC))
            .build();
    assertThat(
            ChatTemplate.of(
                    "{{ tools | tojson }} {{ enable_thinking }} {{ strftime_now('%d %b %Y') }}")
                .render(GREETING, options)
                .text())
        .isEqualTo("[{\"name\": \"add\"}] False 26 Jul 2024");
  }

  @Test
  void aHostileTemplateEndsInAnError() {
    List<String> hostile =
        List.of(
            "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{%"
                + " endfor %}",
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
            "{{ 9 ** (9 ** 9) }}",
            "{{ 'x' * 10 ** 12 }}",
            "{{ range(10 ** 9) }}",
            "{{ '%999999999d' % 1 }}");
    for (String source : hostile) {
      ChatTemplate template = ChatTemplate.of(source);
      assertThatThrownBy(() -> template.render(GREETING))
          .as(source)
          .isInstanceOf(ChatTemplateException.class);
    }
    assertThatThrownBy(() -> ChatTemplate.of("{{ " + "(".repeat(5000) + "1" + ")".repeat(5000)))
        .isInstanceOf(ChatTemplateException.class);
  }

  @Test
  void aTemplateCannotReachObjectsOrChangeThem() {
    assertThatThrownBy(() -> ChatTemplate.of("{{ messages.append(1) }}").render(GREETING))
        .hasMessageContaining("access to attribute 'append' of 'list' object is unsafe");
    assertThat(ChatTemplate.of("[{{ ''.__class__ }}]").render(GREETING).text()).isEqualTo("[]");
  }

  @Test
  void loadsTheTemplateAndSpecialTokensOfAFolder(@TempDir Path folder) throws Exception {
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        "{\"chat_template\": \"{{ bos_token }}{{ eos_token }}{{ pad_token }}\\n"
            + "\", \"bos_token\": null, \"eos_token\": {\"content\": \"</s>\"}, \"pad_token\":"
            + " \"<p>\"}");
    ChatTemplate template = ChatTemplate.load(folder).orElseThrow();
    assertThat(template.render(GREETING).text()).isEqualTo("</s><p>");
    assertThat(template.source()).isEqualTo("{{ bos_token }}{{ eos_token }}{{ pad_token }}\n");
  }

  @Test
  void prefersTemplateFilesAndPicksToolUseForTools(@TempDir Path folder) throws Exception {
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"chat_template\": \"config\"}");
    Files.writeString(folder.resolve("chat_template.jinja"), "file");
    Files.createDirectory(folder.resolve("additional_chat_templates"));
    Files.writeString(folder.resolve("additional_chat_templates/tool_use.jinja"), "tools");
    ChatTemplate template = ChatTemplate.load(folder).orElseThrow();
    assertThat(template.render(GREETING).text()).isEqualTo("file");
    assertThat(template.render(GREETING, RenderOptions.builder().tools(List.of()).build()).text())
        .isEqualTo("tools");
    assertThat(ChatTemplate.load(folder, "tool_use").orElseThrow().source()).isEqualTo("tools");
    assertThat(ChatTemplate.loadAll(folder)).containsOnlyKeys("default", "tool_use");
  }

  @Test
  void readsNamedTemplatesFromTheConfiguration(@TempDir Path folder) throws Exception {
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"r\"}]}");
    assertThat(ChatTemplate.load(folder, "rag").orElseThrow().source()).isEqualTo("r");
    assertThatThrownBy(() -> ChatTemplate.load(folder))
        .isInstanceOf(ChatTemplateException.class)
        .hasMessageContaining("[rag]");
  }

  @Test
  void aFolderWithoutATemplateHasNone(@TempDir Path folder) {
    assertThat(ChatTemplate.load(folder)).isEmpty();
  }
}
