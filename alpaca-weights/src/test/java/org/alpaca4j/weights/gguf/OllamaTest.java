package org.alpaca4j.weights.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.ChatTemplateException;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.ConformanceReport;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.PromptTemplate;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What a GGUF file carries for those who run it: the conformance file and a Modelfile. The Go
 * templates were executed by Go's text/template, with the messages as Ollama's template.go gives
 * them, against what the chat templates render.
 */
class OllamaTest {
  private static final String CHATML =
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
          + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  private static final List<ChatMessage> TURNS =
      List.of(
          ChatMessage.system("S"),
          ChatMessage.user("a"),
          ChatMessage.assistant("b"),
          ChatMessage.user("c"));

  @TempDir Path folder;
  private Path model;

  @BeforeEach
  void writeModel() {
    model =
        TinyModel.write(
            folder.resolve("model"),
            TinyModel.config("llama").build(),
            DType.F32,
            TinyModel.byteLevel(GgufPreTokenizer.LLAMA3));
  }

  private String modelfile() throws IOException {
    GgufExport.builder(model)
        .modelfile(true)
        .replaceExisting(true)
        .build()
        .write(folder.resolve("my.gguf"));
    return Files.readString(folder.resolve("Modelfile"));
  }

  private void chatTemplate(String source) throws IOException {
    Files.writeString(model.resolve("chat_template.jinja"), source);
  }

  private static Optional<OllamaTemplate> template(String source) {
    ChatTemplate chat = ChatTemplate.of(source, Map.of("bos_token", "<s>", "eos_token", "</s>"));
    return OllamaTemplate.of(
        messages -> {
          try {
            return Optional.of(
                chat.render(messages, ChatTemplate.RenderOptions.withGenerationPrompt()).text());
          } catch (ChatTemplateException e) {
            return Optional.empty();
          }
        });
  }

  // ---- templates ----

  @Test
  void chatMl() {
    OllamaTemplate template = template(CHATML).orElseThrow();
    assertThat(template.go())
        .isEqualTo(
            """
            {{- $first := true }}
            {{- range $i, $_ := .Messages }}
            {{- $last := eq (len (slice $.Messages $i)) 1 }}
            {{- if eq .Role "user" }}
            {{- if and $first $.System }}{{- "<|im_start|>system\\n" -}}{{- $.System -}}\
            {{- "<|im_end|>\\n<|im_start|>user\\n" -}}{{ else }}\
            {{- if $first }}{{- "<|im_start|>user\\n" -}}{{ else }}\
            {{- "<|im_end|>\\n<|im_start|>user\\n" -}}{{ end }}{{ end }}
            {{- .Content -}}
            {{- if $last }}{{- "<|im_end|>\\n<|im_start|>assistant\\n" -}}{{ end }}
            {{- $first = false }}
            {{- else if eq .Role "assistant" }}{{- "<|im_end|>\\n<|im_start|>assistant\\n" -}}
            {{- .Content -}}
            {{- end }}
            {{- end }}""");
    assertThat(template.render(TURNS))
        .isEqualTo(
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
                + "b<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n");
  }

  @Test
  void aSystemMessageInTheLastQuestion() {
    OllamaTemplate template =
        template(
                "{% if messages[0].role == 'system' %}{% set s = messages[0].content %}"
                    + "{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}"
                    + "{{ bos_token }}{% for m in rest %}{% if m.role == 'user' %}[INST] "
                    + "{% if loop.last and s is defined %}{{ s + '\n\n' }}{% endif %}"
                    + "{{ m.content }}[/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}"
                    + "{% endfor %}")
            .orElseThrow();
    assertThat(template.render(TURNS)).isEqualTo("<s>[INST] a[/INST] b</s>[INST] S\n\nc[/INST]");
    assertThat(template.go())
        .contains("{{- if and $last $.System }}{{- $.System -}}{{- \"\\n\\n\" -}}{{ end }}");
  }

  @Test
  void noSystemMessageWhereTheTemplateRefusesOne() {
    OllamaTemplate template =
        template(
                "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
                    + CHATML)
            .orElseThrow();
    assertThat(template.takesSystem()).isFalse();
    assertThat(template.go()).doesNotContain("System");
    assertThat(template.render(TURNS)).startsWith("<|im_start|>user\na");
  }

  @Test
  void textsAreQuotedForGoAndForTheModelfile() {
    assertThat(
            template(CHATML.replace("<|im_start|>", "\"\"\" \\t\t{{ '{{' }}")).orElseThrow().go())
        .contains("\"\\u0022\\u0022\\u0022 \\\\t\\u0009{{user\\n\"")
        .doesNotContain("\"\"\"");
  }

  @ParameterizedTest
  @CsvSource({
    "{{ loop.index }}", // counts
    "{% if loop.index > 3 %}!{% endif %}", // differs late
    "{{ m.content | length }}", // looks at the text
    "{{ m.content }}", // says it twice
  })
  void whatIsNotOfThisShapeHasNone(String more) {
    assertThat(template(CHATML.replace("<|im_end|>", more + "<|im_end|>"))).isEmpty();
  }

  // ---- the file ----

  @Test
  void theModelfileHasTemplateStopsAndParameters() throws IOException {
    chatTemplate("{{ bos_token }}" + CHATML);
    Files.writeString(
        model.resolve("generation_config.json"),
        """
        {"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.9,
         "repetition_penalty": 1.05, "eos_token_id": [2, 1], "stop_strings": ["say \\"end\\" now"]}
        """);
    String go = template("{{ bos_token }}" + CHATML).orElseThrow().go();
    assertThat(modelfile())
        .isEqualTo(
            """
            FROM ./my.gguf

            TEMPLATE %s

            PARAMETER stop "</s>"
            PARAMETER stop "<s>"
            PARAMETER stop %s
            PARAMETER temperature 0.6
            PARAMETER top_k 20
            PARAMETER top_p 0.9
            PARAMETER min_p 0.0
            PARAMETER repeat_penalty 1.05
            PARAMETER repeat_last_n -1
            PARAMETER num_ctx 128
            """
                .formatted("\"\"\"" + go + "\"\"\"", "\"\"\"say \"end\" now\"\"\""));
  }

  @Test
  void withoutOptionsTheMostLikelyTokenIsTaken() throws IOException {
    chatTemplate(CHATML);
    assertThat(modelfile())
        .contains("PARAMETER temperature 0\nPARAMETER repeat_penalty 1.0\nPARAMETER num_ctx 128\n")
        .doesNotContain("top_k");
  }

  @Test
  void aFirstTokenOfTheTokenizersIsLeftToIt() throws IOException {
    model =
        TinyModel.write(
            folder.resolve("pieces"),
            TinyModel.config("llama").build(),
            DType.F32,
            TinyModel.sentencePiece());
    chatTemplate("{{ bos_token }}" + CHATML);
    assertThat(modelfile()).contains("{{- \"<|im_start|>user\\n\" -}}").doesNotContain("<s>");
    chatTemplate(CHATML); // no such token in training, but Ollama puts it there
    assertThat(modelfile()).contains("# No template of Ollama is known").doesNotContain("TEMPLATE");
  }

  @Test
  void aTemplateThatPrintsTheDateIsLeftOut() throws IOException {
    chatTemplate("{{ strftime_now('%Y') }}" + CHATML);
    assertThat(modelfile())
        .contains("# No template of Ollama is known")
        .doesNotContain("TEMPLATE")
        .contains("PARAMETER stop \"</s>\"");
  }

  @Test
  void trimmingIsSaid() throws IOException {
    chatTemplate(CHATML.replace("m.content", "m.content | trim"));
    assertThat(modelfile())
        .contains("# The model's own template strips white space around messages")
        .contains("TEMPLATE");
  }

  @Test
  void aModelOfInstructionsIsAskedOneAtATime() throws IOException {
    PromptTemplate.ALPACA.save(model);
    assertThat(modelfile())
        .contains("# The model was trained on single instructions")
        .contains(
            "TEMPLATE \"\"\"{{- range $i, $_ := .Messages }}\n"
                + "{{- if and (eq .Role \"user\") (eq (len (slice $.Messages $i)) 1) }}"
                + "{{- \"Below is an instruction that describes a task.")
        .contains("### Instruction:\\n\" -}}{{- .Content -}}{{- \"\\n\\n### Response:\" -}}");
  }

  @Test
  void aModelfileThatIsThereIsRefusedBeforeAnythingIsWritten() throws IOException {
    Files.writeString(folder.resolve("Modelfile"), "FROM other\n");
    GgufExport export = GgufExport.builder(model).modelfile(true).build();
    assertThatThrownBy(() -> export.write(folder.resolve("my.gguf")))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("Modelfile is there already")
        .hasMessageContaining("replaceExisting(true)");
    assertThat(folder.resolve("my.gguf")).doesNotExist();
    GgufExport.builder(model).build().write(folder.resolve("my.gguf"));
    assertThat(folder.resolve("Modelfile")).hasContent("FROM other");
  }

  // ---- the conformance file ----

  private void recordConformance() throws IOException {
    chatTemplate(CHATML);
    try (CausalLm loaded = CausalLm.load(model)) {
      Files.writeString(
          model.resolve(Conformance.FILE_NAME),
          Conformance.make(
                  loaded,
                  DType.F32,
                  List.of(Conformance.Prompt.of(List.of(ChatMessage.user("a")))),
                  1)
              .orElseThrow());
    }
  }

  private ConformanceReport backAndForth(GgufExport.Builder export) {
    Path gguf = folder.resolve("my.gguf");
    Path back = folder.resolve("back");
    export.replaceExisting(true).build().write(gguf);
    GgufImport.builder(gguf).replaceExisting(true).build().write(back);
    return Conformance.verify(back);
  }

  @Test
  void theConformanceFileGoesThroughAGgufFile() throws IOException {
    recordConformance();
    assertThat(backAndForth(GgufExport.builder(model)).requirePassed().weights())
        .isEqualTo("float32");
    assertThat(backAndForth(GgufExport.builder(model).type(GgufType.Q8_0)).weights())
        .isEqualTo("Q8_0");
    assertThat(backAndForth(GgufExport.builder(model).quantise(GgufQuantisation.Q6_K)).weights())
        .isEqualTo("Q6_K");
    assertThat(backAndForth(GgufExport.builder(model).type(GgufType.BF16)).weights())
        .isEqualTo("bfloat16");
  }

  @Test
  void aDamagedConformanceFileDoesNotGoAlong() throws IOException {
    Files.writeString(model.resolve(Conformance.FILE_NAME), "{");
    assertThatThrownBy(() -> backAndForth(GgufExport.builder(model)))
        .hasMessageContaining("has no alpaca4j_conformance.json");
  }
}
