package org.alpaca4j.core;

import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;

/**
 * In which form a model is asked: by a {@link PromptTemplate} for single instructions, or by a
 * {@link ChatTemplate} for conversations. A model answers as it was taught only if it is asked in
 * the form that it was trained in.
 *
 * <p>A folder with {@value PromptTemplate#FILE_NAME} has that prompt template, even if it has a
 * chat template as well; any other has its chat template.
 */
public sealed interface PromptForm permits PromptTemplate, ChatTemplate {
  /**
   * Returns the form in which a folder's model is asked; empty if the folder names none.
   *
   * @throws AlpacaException if the prompt template is malformed
   * @throws ChatTemplateException see {@link ChatTemplate#load(Path)}
   */
  static Optional<PromptForm> load(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    Optional<PromptTemplate> prompt = PromptTemplate.load(folder);
    return prompt.isPresent()
        ? Optional.of(prompt.get())
        : ChatTemplate.load(folder).map(template -> template);
  }
}
