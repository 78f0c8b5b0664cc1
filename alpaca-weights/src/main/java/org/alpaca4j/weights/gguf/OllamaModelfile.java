package org.alpaca4j.weights.gguf;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.ChatTemplateException;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.PromptForm;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;

/**
 * The Modelfile that has Ollama run a GGUF file as the model's folder says: template, stop texts,
 * options of generation.
 */
final class OllamaModelfile {
  static final String NAME = "Modelfile";

  /** Ollama's own; a longer context takes memory that the machine may not have. */
  private static final int USUAL_CONTEXT = 4096;

  private final Path folder;
  private final Tokenizer tokenizer;
  private final List<String> lines = new ArrayList<>();

  private OllamaModelfile(Path folder, Tokenizer tokenizer) {
    this.folder = folder;
    this.tokenizer = tokenizer;
  }

  /** Returns where the Modelfile of a GGUF file is. */
  static Path beside(Path gguf) {
    return gguf.toAbsolutePath().resolveSibling(NAME);
  }

  /** Writes the Modelfile of a folder's GGUF file beside it, whole or not at all. */
  static void write(Path folder, Path gguf) {
    Path target = beside(gguf);
    Path unfinished = target.resolveSibling("." + NAME + ".tmp");
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      Files.writeString(unfinished, new OllamaModelfile(folder, tokenizer).text(gguf));
      Files.move(unfinished, target, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new CheckpointException(target + ": cannot be written: " + e, e);
    }
  }

  private String text(Path gguf) {
    lines.add("FROM ./" + gguf.getFileName());
    addTemplate();
    addParameters(GenerationConfig.load(folder), ModelConfig.load(folder.resolve("config.json")));
    return String.join("\n", lines) + "\n";
  }

  private void comment(String text) {
    lines.add("# " + text);
  }

  private void addTemplate() {
    lines.add("");
    Optional<PromptForm> form = form();
    if (form.isEmpty()) {
      comment("The model has no chat template; Ollama sends what it is asked as it stands.");
      return;
    }
    Optional<OllamaTemplate> template =
        form.get() instanceof PromptTemplate prompt
            ? Optional.of(OllamaTemplate.of(prompt))
            : OllamaTemplate.of(messages -> rendered((ChatTemplate) form.get(), messages));
    if (template.isEmpty()) {
      comment(
          "No template of Ollama is known that renders what the model's chat template renders.");
      comment("Without one, Ollama chooses by the chat template in the GGUF file; compare what it");
      comment("sends with the texts in alpaca4j_conformance.json.");
      return;
    }
    if (form.get() instanceof PromptTemplate) {
      comment("The model was trained on single instructions: the last message alone is sent.");
    }
    if (!template.get().takesSystem()) {
      comment("The model takes no system message; one is left out.");
    }
    if (form.get() instanceof ChatTemplate chat && trims(chat)) {
      comment("The model's own template strips white space around messages; Ollama's cannot.");
    }
    lines.add("TEMPLATE \"\"\"" + template.get().go() + "\"\"\"");
  }

  /** A template that cannot be read or parsed is none that could be translated. */
  private Optional<PromptForm> form() {
    try {
      return PromptForm.load(folder);
    } catch (ChatTemplateException e) {
      comment(
          "The chat template cannot be used: " + String.valueOf(e.getMessage()).replace('\n', ' '));
      return Optional.empty();
    }
  }

  /**
   * Returns what Ollama has to send: the tokenizer in the GGUF file puts its own first token before
   * that. Empty if the chat template refuses the messages, prints the time, or has no such token.
   */
  private Optional<String> rendered(ChatTemplate template, List<ChatMessage> messages) {
    String first = tokenizer.decode(tokenizer.prefixIds(), false);
    try {
      String text = render(template, messages, Instant.EPOCH);
      boolean printsTime =
          !text.equals(render(template, messages, Instant.parse("2001-12-30T11:22:33Z")));
      return printsTime || !text.startsWith(first)
          ? Optional.empty()
          : Optional.of(text.substring(first.length()));
    } catch (ChatTemplateException e) {
      return Optional.empty();
    }
  }

  private static String render(ChatTemplate template, List<ChatMessage> messages, Instant time) {
    return template
        .render(
            messages,
            ChatTemplate.RenderOptions.builder()
                .addGenerationPrompt(true)
                .clock(Clock.fixed(time, ZoneOffset.UTC))
                .build())
        .text();
  }

  private boolean trims(ChatTemplate template) {
    return !rendered(template, List.of(ChatMessage.user(" alpaca4j\n")))
        .orElse("")
        .contains(" alpaca4j\n");
  }

  private void addParameters(GenerationConfig generation, ModelConfig config) {
    lines.add("");
    Set<String> stops = new LinkedHashSet<>();
    for (int end : generation.eosTokenIds().orElseGet(config::eosTokenIds)) {
      if (end >= 0 && end < tokenizer.requiredEmbeddingRows()) {
        stops.add(tokenizer.decode(new int[] {end}, false));
      }
    }
    stops.addAll(generation.stopStrings());
    stops.remove("");
    stops.forEach(stop -> parameter("stop", quoted(stop)));
    if (generation.doSample()) {
      parameter("temperature", generation.temperature());
      parameter("top_k", generation.topK());
      parameter("top_p", generation.topP());
      parameter("min_p", generation.minP());
    } else {
      parameter("temperature", 0); // the most likely token, as the model answers elsewhere
    }
    parameter("repeat_penalty", generation.repetitionPenalty());
    if (generation.repetitionPenalty() != 1) {
      parameter("repeat_last_n", -1);
    }
    int longest = config.maxPositionEmbeddings();
    if (longest > USUAL_CONTEXT) {
      comment("The model is made for " + longest + " tokens; more of them take more memory.");
    }
    parameter("num_ctx", Math.min(longest, USUAL_CONTEXT));
  }

  private void parameter(String name, Object value) {
    lines.add("PARAMETER " + name + " " + value);
  }

  private static String quoted(String text) {
    String quotes = text.contains("\"") || text.contains("\n") ? "\"\"\"" : "\"";
    return quotes + text + quotes;
  }
}
