package org.alpaca4j.core;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Makes a written folder say in which form its model is asked, to this library and to transformers:
 * what an earlier form has left there goes.
 */
final class PromptFormFiles {
  static final String CHAT_TEMPLATE = "chat_template.jinja";

  private PromptFormFiles() {}

  /**
   * Writes a form over what the folder says; nothing is touched where that is the form already.
   *
   * @param tokenizer the model's, whose files are in the folder; null if it has none
   */
  static void save(PromptForm form, @Nullable Tokenizer tokenizer, Path folder) throws IOException {
    if (isThere(form, folder)) {
      return;
    }
    Files.deleteIfExists(folder.resolve(PromptTemplate.FILE_NAME));
    if (form instanceof PromptTemplate prompt) {
      prompt.save(folder);
      if (tokenizer != null) {
        String prefix = tokenizer.decode(tokenizer.prefixIds(), false);
        replaceChatTemplates(folder, prompt.toJinja(prefix), Map.of());
      }
    } else if (form instanceof ChatTemplate chat) {
      Map<String, String> known = ChatTemplate.specialTokens(folder);
      Optional<ChatTemplate> tools = chat.toolUse();
      replaceChatTemplates(
          folder,
          chat.sourceFor(known),
          tools.isPresent() ? Map.of("tool_use", tools.get().sourceFor(known)) : Map.of());
    }
  }

  private static boolean isThere(PromptForm form, Path folder) {
    Optional<PromptTemplate> prompt = PromptTemplate.load(folder);
    if (form instanceof PromptTemplate || prompt.isPresent()) {
      return prompt.filter(form::equals).isPresent() && Files.exists(folder.resolve(CHAT_TEMPLATE));
    }
    return ChatTemplate.loadAll(folder).containsKey("default")
        && ChatTemplate.load(folder).filter(form::equals).isPresent();
  }

  private static void replaceChatTemplates(Path folder, String source, Map<String, String> named)
      throws IOException {
    Path additional = folder.resolve(TokenizerFiles.TEMPLATE_FOLDER);
    if (Files.isDirectory(additional)) {
      try (Stream<Path> files = Files.list(additional)) {
        for (Path file : files.toList()) {
          Files.delete(file);
        }
      }
      Files.delete(additional);
    }
    Files.deleteIfExists(folder.resolve("chat_template.json"));
    Files.writeString(folder.resolve(CHAT_TEMPLATE), source);
    for (Map.Entry<String, String> template : named.entrySet()) {
      Files.createDirectories(additional);
      Files.writeString(additional.resolve(template.getKey() + ".jinja"), template.getValue());
    }
    removeFromConfig(folder.resolve(TokenizerFiles.CONFIG));
  }

  /** Old readers look for a template there, and would find that of another form. */
  private static void removeFromConfig(Path file) throws IOException {
    if (!Files.exists(file)) {
      return;
    }
    JsonNode config = JsonTree.parse(Files.readAllBytes(file));
    if (config instanceof ObjectNode object && object.remove("chat_template") != null) {
      Files.write(
          file, JsonTree.writer().writerWithDefaultPrettyPrinter().writeValueAsBytes(config));
    }
  }
}
