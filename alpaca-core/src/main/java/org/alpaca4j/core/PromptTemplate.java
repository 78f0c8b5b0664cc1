package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.alpaca4j.core.internal.JsonProblem;
import org.jspecify.annotations.Nullable;

/**
 * Turns an instruction and its optional input into the prompt that a model is trained on and asked
 * with. A pair of patterns: one for records with an input, one for records without.
 *
 * <p>In a pattern, <code>{instruction}</code> and <code>{input}</code> stand for the record's
 * fields; all other text, braces included, is literal. Fields are filled in once: a field that
 * itself contains <code>{input}</code> keeps it as text.
 *
 * <p>Immutable and thread-safe.
 */
public final class PromptTemplate implements PromptForm {

  /**
   * Stanford Alpaca's pair of prompts (train.py, {@code PROMPT_DICT}). Ends with {@code Response:}
   * and no newline; the answer follows directly.
   */
  public static final PromptTemplate ALPACA =
      of(
          "Below is an instruction that describes a task, paired with an input that provides further"
              + " context. Write a response that appropriately completes the request.\n\n"
              + "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:",
          "Below is an instruction that describes a task. "
              + "Write a response that appropriately completes the request.\n\n"
              + "### Instruction:\n{instruction}\n\n### Response:");

  /** The file in a checkpoint folder that holds the template used in training. */
  public static final String FILE_NAME = "prompt_template.json";

  private static final Pattern FIELD = Pattern.compile("\\{(instruction|input)}");

  private final String withInput;
  private final String withoutInput;

  private PromptTemplate(String withInput, String withoutInput) {
    this.withInput = withInput;
    this.withoutInput = withoutInput;
  }

  /**
   * Creates a template.
   *
   * @param withInput pattern for records with an input; has both fields
   * @param withoutInput pattern for records without one; has <code>{instruction}</code> only
   * @throws IllegalArgumentException if a pattern lacks a field, or the second has <code>{input}
   *     </code>
   */
  public static PromptTemplate of(String withInput, String withoutInput) {
    Objects.requireNonNull(withInput, "withInput is null");
    Objects.requireNonNull(withoutInput, "withoutInput is null");
    require(withInput.contains("{instruction}"), "withInput lacks {instruction}", withInput);
    require(withInput.contains("{input}"), "withInput lacks {input}", withInput);
    require(
        withoutInput.contains("{instruction}"), "withoutInput lacks {instruction}", withoutInput);
    require(
        !withoutInput.contains("{input}"),
        "withoutInput has {input}, which its records lack",
        withoutInput);
    return new PromptTemplate(withInput, withoutInput);
  }

  private static void require(boolean condition, String problem, String pattern) {
    if (!condition) {
      throw new IllegalArgumentException(problem + ": \"" + pattern + "\"");
    }
  }

  /**
   * Returns the prompt of a record.
   *
   * @param instruction what is asked for
   * @param input what it is asked about; null or the empty string choose the pattern without input,
   *     any other text, white space included, the one with
   */
  public String render(String instruction, @Nullable String input) {
    Objects.requireNonNull(instruction, "instruction is null");
    String pattern = input == null || input.isEmpty() ? withoutInput : withInput;
    Matcher field = FIELD.matcher(pattern);
    StringBuilder prompt = new StringBuilder(pattern.length() + instruction.length() + 64);
    int position = 0;
    while (field.find()) {
      prompt.append(pattern, position, field.start());
      prompt.append(field.group(1).equals("instruction") ? instruction : input);
      position = field.end();
    }
    return prompt.append(pattern, position, pattern.length()).toString();
  }

  /**
   * Returns a Jinja chat template that renders what {@link #render} gives for an instruction
   * without input: for each message of the user, with the answer behind it if there is one. Other
   * roles are refused: the model was trained on none. Several instructions are not, although it was
   * trained on single ones: llama.cpp renders a conversation of several turns to try a template,
   * and does without one that refuses it.
   *
   * @param prefix text before the prompt, such as the begin-of-sequence token
   */
  String toJinja(String prefix) {
    String[] parts = withoutInput.split(FIELD.pattern(), -1);
    StringBuilder pattern = new StringBuilder();
    for (int i = 0; i < parts.length; i++) {
      pattern.append(i == 0 ? "" : " + message['content'] + ").append(jinja(parts[i]));
    }
    return "{{- "
        + jinja(prefix)
        + " }}"
        + "{%- for message in messages %}{%- if message['role'] == 'user' %}"
        + "{{- "
        + pattern
        + " }}"
        + "{%- elif message['role'] == 'assistant' %}"
        + "{{- message['content'] + eos_token }}"
        + "{%- else %}"
        + "{{- raise_exception('this model was trained on single instructions: give messages of"
        + " user and assistant') }}{%- endif %}{%- endfor %}";
  }

  private static String jinja(String text) {
    return "'"
        + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
        + "'";
  }

  /** Returns the pattern for records with an input. */
  public String withInput() {
    return withInput;
  }

  /** Returns the pattern for records without an input. */
  public String withoutInput() {
    return withoutInput;
  }

  /**
   * Returns the template as JSON text: an object with {@code with_input} and {@code without_input}.
   */
  public String toJson() {
    Map<String, String> json = new LinkedHashMap<>();
    json.put("with_input", withInput);
    json.put("without_input", withoutInput);
    try {
      return JsonTree.writer().writerWithDefaultPrettyPrinter().writeValueAsString(json);
    } catch (JsonProcessingException e) {
      throw new AlpacaException("cannot write the prompt template: " + e.getMessage(), e);
    }
  }

  /**
   * Reads what {@link #toJson} wrote.
   *
   * @throws AlpacaException if the text is not such an object, or its patterns are not valid
   */
  public static PromptTemplate fromJson(String json) {
    Objects.requireNonNull(json, "json is null");
    return fromJson(json, "prompt template");
  }

  private static PromptTemplate fromJson(String json, String origin) {
    try {
      JsonNode node = JsonTree.parse(json);
      return of(text(node, "with_input", origin), text(node, "without_input", origin));
    } catch (JsonProcessingException e) {
      throw new AlpacaException(
          origin + ": not readable as JSON: " + JsonProblem.describeWithPlace(e), e);
    } catch (IllegalArgumentException e) {
      throw new AlpacaException(origin + ": " + e.getMessage(), e);
    }
  }

  private static String text(JsonNode node, String field, String origin) {
    JsonNode value = node.get(field);
    if (value == null || !value.isTextual()) {
      throw new AlpacaException(origin + ": expected a string in the field \"" + field + "\"");
    }
    return value.textValue();
  }

  /**
   * Writes the template into a checkpoint folder, as {@value #FILE_NAME}. The folder is made if it
   * is missing.
   *
   * @throws AlpacaException if the file cannot be written
   */
  public void save(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    Path file = folder.resolve(FILE_NAME);
    try {
      Files.createDirectories(folder);
      Files.writeString(file, toJson() + "\n");
    } catch (IOException e) {
      throw new AlpacaException(file + ": cannot be written: " + e.getMessage(), e);
    }
  }

  /**
   * Reads the template of a checkpoint folder; empty if the folder has no {@value #FILE_NAME}.
   *
   * @throws AlpacaException if the file is malformed
   */
  public static Optional<PromptTemplate> load(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    Path file = folder.resolve(FILE_NAME);
    if (!Files.isRegularFile(file)) {
      return Optional.empty();
    }
    try {
      return Optional.of(fromJson(Files.readString(file), file.toString()));
    } catch (IOException e) {
      throw new AlpacaException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof PromptTemplate that
        && withInput.equals(that.withInput)
        && withoutInput.equals(that.withoutInput);
  }

  @Override
  public int hashCode() {
    return Objects.hash(withInput, withoutInput);
  }

  @Override
  public String toString() {
    return "PromptTemplate" + toJson();
  }
}
