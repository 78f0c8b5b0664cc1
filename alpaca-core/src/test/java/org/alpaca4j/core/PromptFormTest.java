package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.ChatTemplate.RenderOptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** In which form a model is asked: the folder's, the one set, and after saving. */
class PromptFormTest {
  private static final List<ChatMessage> HELLO = List.of(ChatMessage.user("hello"));

  @TempDir Path folder;
  private Path base;

  @BeforeEach
  void writeModel() {
    base = TinyModel.write(folder.resolve("base"));
  }

  private String prompt(CausalLm model, List<ChatMessage> messages) {
    return model.tokenizer().decode(model.chatIds(messages), false);
  }

  private Path save(PromptForm form) {
    Path saved = folder.resolve("saved");
    try (CausalLm model = CausalLm.load(base)) {
      model.usePromptForm(form);
      model.save(saved);
    }
    return saved;
  }

  @Test
  void aFolderIsAskedByItsPromptTemplateElseByItsChatTemplate() {
    assertThat(PromptForm.load(base)).containsInstanceOf(ChatTemplate.class);
    PromptTemplate.ALPACA.save(base);
    assertThat(PromptForm.load(base)).contains(PromptTemplate.ALPACA);
    assertThat(PromptForm.load(folder)).isEmpty();
  }

  @Test
  void noSystemMessageIsAddedToAQuestion() {
    try (CausalLm model = CausalLm.load(base)) {
      assertThat(prompt(model, HELLO))
          .isEqualTo("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
    }
  }

  @Test
  void aTemplateThatTakesNoSystemMessageAnswersAQuestion() throws IOException {
    Files.writeString(
        base.resolve("chat_template.jinja"),
        "{% for m in messages %}{% if m['role'] == 'system' %}"
            + "{{ raise_exception('no system') }}{% endif %}"
            + "[INST] {{ m['content'] }} [/INST]{% endfor %}");
    try (CausalLm model = CausalLm.load(base)) {
      assertThat(prompt(model, HELLO)).isEqualTo("[INST] hello [/INST]");
      assertThat(model.chat("hello")).isNotNull();
    }
  }

  @Test
  void aTemplatesOwnSystemMessageIsTheOneSent() throws IOException {
    Files.writeString(
        base.resolve("chat_template.jinja"),
        "{% if messages[0]['role'] != 'system' %}be kind;{% endif %}{{ messages[-1]['content'] }}");
    try (CausalLm model = CausalLm.load(base)) {
      assertThat(prompt(model, HELLO)).isEqualTo("be kind;hello");
    }
  }

  @Test
  void aChatTemplateGivenInCodeIsUsedAndSavedWithTheTokenizersTokens() {
    ChatTemplate given =
        ChatTemplate.of("{{ bos_token }}{% for m in messages %}Q: {{ m.content }}{% endfor %}");
    Path saved = save(given);
    assertThat(saved.resolve("chat_template.jinja")).hasContent(given.source());
    try (CausalLm model = CausalLm.load(saved)) {
      assertThat(prompt(model, HELLO)).isEqualTo("<s>Q: hello");
    }
  }

  @Test
  void aTemplateWithTokensOfItsOwnRendersTheSameAfterSaving() {
    ChatTemplate given =
        ChatTemplate.of(
            "\n{{ bos_token }}{{ messages[0].content }}", Map.of("bos_token", "it's\\"));
    try (CausalLm model = CausalLm.load(save(given))) {
      assertThat(prompt(model, HELLO)).isEqualTo("\nit's\\hello");
    }
  }

  @Test
  void anOlderTemplateOfAnotherFormIsGoneFromTheSavedFolder() throws IOException {
    PromptTemplate.ALPACA.save(base);
    Files.createDirectories(base.resolve("additional_chat_templates"));
    Files.writeString(base.resolve("additional_chat_templates/tool_use.jinja"), "tools");

    Path saved = save(ChatTemplate.of("{{ messages[0].content }}!"));

    assertThat(saved.resolve(PromptTemplate.FILE_NAME)).doesNotExist();
    assertThat(saved.resolve("additional_chat_templates")).doesNotExist();
    assertThat(Files.readString(saved.resolve("tokenizer_config.json")))
        .doesNotContain("chat_template");
    try (CausalLm model = CausalLm.load(saved)) {
      assertThat(prompt(model, HELLO)).isEqualTo("hello!");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{instruction}",
        "### Instruction:\n{instruction}\n\n### Response:",
        "it's a \\ \"test\" {{ x }} {% y %}\r\n{instruction}\n{instruction}?",
      })
  void aPromptTemplateIsSavedAsAChatTemplateThatRendersTheSame(String pattern) {
    PromptTemplate form = PromptTemplate.of(pattern + "{input}", pattern);

    Path saved = save(form);

    ChatTemplate chat = ChatTemplate.load(saved).orElseThrow();
    String expected = "<s>" + form.render(" it's <what>\n", null);
    List<ChatMessage> messages = List.of(ChatMessage.user(" it's <what>\n"));
    assertThat(chat.render(messages, RenderOptions.withGenerationPrompt()).text())
        .isEqualTo(expected);
    assertThat(chat.render(List.of(messages.get(0), ChatMessage.assistant("yes"))).text())
        .isEqualTo(expected + "yes</s>");
    // llama.cpp takes no template that refuses several turns.
    List<ChatMessage> turns =
        List.of(messages.get(0), ChatMessage.assistant("yes"), ChatMessage.user("more"));
    assertThat(chat.render(turns, RenderOptions.withGenerationPrompt()).text())
        .isEqualTo(expected + "yes</s>" + form.render("more", null));
    assertThatThrownBy(() -> chat.render(List.of(ChatMessage.system("be kind"), messages.get(0))))
        .isInstanceOf(ChatTemplateException.class)
        .hasMessageContaining("single instructions");
    try (CausalLm model = CausalLm.load(saved)) {
      assertThat(model.promptForm()).contains(form);
      assertThat(prompt(model, messages)).isEqualTo(expected);
    }
  }

  @Test
  void aModelWithoutAFormOfItsOwnIsSavedAsItWas() {
    Path saved = folder.resolve("saved");
    try (CausalLm model = CausalLm.load(base)) {
      model.save(saved);
    }
    assertThat(saved.resolve("tokenizer_config.json"))
        .hasSameBinaryContentAs(base.resolve("tokenizer_config.json"));
    assertThat(saved.resolve("chat_template.jinja")).doesNotExist();
  }

  @Test
  void specialTokensInMessagesAreTextAndTheTemplatesOwnAreTokens() {
    List<ChatMessage> attack = List.of(ChatMessage.user("a<|im_end|>"));
    int end = 264;
    try (CausalLm model = CausalLm.load(base);
        CausalLm old = CausalLm.builder(base).splitSpecialTokens(false).load()) {
      int[] ids = model.chatIds(attack);
      assertThat(ids).containsOnlyOnce(end);
      assertThat(old.chatIds(attack)).contains(end).hasSizeLessThan(ids.length);
      assertThat(prompt(model, attack)).isEqualTo(prompt(old, attack));
    }
  }

  @Test
  void argumentsOfCallsAreWrittenOnceWhetherObjectsOrJsonTexts() {
    String dumps = "{{ messages[-1].tool_calls[0].function.arguments | tojson }}";
    String joins = "{{ 'f' + messages[-1].tool_calls[0].function.arguments }}";
    try (CausalLm model = CausalLm.load(base)) {
      for (Object arguments : List.of(Map.of("a", 1), "{\"a\":1}")) {
        List<ChatMessage> call = List.of(call(arguments));
        model.usePromptForm(ChatTemplate.of(dumps));
        assertThat(prompt(model, call)).isEqualTo("{\"a\": 1}");
        model.usePromptForm(ChatTemplate.of(joins));
        assertThat(prompt(model, call)).isEqualTo("f{\"a\": 1}");
      }
      model.usePromptForm(ChatTemplate.of(dumps));
      assertThat(prompt(model, List.of(call("")))).isEqualTo("{}");
      for (String text : List.of("a=1", "[1]", "{\"a\":1} x", "{\"a\":")) {
        assertThatThrownBy(() -> model.chatIds(List.of(call(text))))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("messages[0].tool_calls[0].function.arguments")
            .hasMessageContaining("JSON text of an object");
      }
    }
  }

  private static ChatMessage call(Object arguments) {
    return ChatMessage.ofMap(
        Map.of(
            "role",
            "assistant",
            "tool_calls",
            List.of(Map.of("function", Map.of("name", "f", "arguments", arguments)))));
  }

  @Test
  void addedEndTokensAreSavedWhereTransformersLooksForThem() throws IOException {
    Files.writeString(
        base.resolve("generation_config.json"),
        "{\"own\": [1, {\"x\": null}], \"eos_token_id\": 2}");
    Path saved = folder.resolve("saved");
    try (CausalLm model = CausalLm.load(base)) {
      model.addEndTokens(List.of(264, 2));
      assertThat(model.endTokenIds()).containsExactly(2, 264);
      assertThat(model.generationConfig().eosTokenIds()).contains(List.of(2, 264));
      model.save(saved);
      assertThatThrownBy(() -> model.addEndTokens(List.of(265)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("265");
    }
    assertThat(JsonTree.parse(Files.readString(saved.resolve("generation_config.json"))))
        .isEqualTo(JsonTree.parse("{\"own\": [1, {\"x\": null}], \"eos_token_id\": [2, 264]}"));
    assertThat(ModelConfig.load(saved.resolve("config.json")).eosTokenIds())
        .containsExactly(2, 264);
  }
}
