package org.alpaca4j.core;

import com.fasterxml.jackson.databind.JsonNode;
import com.google.common.base.Supplier;
import com.google.common.base.Suppliers;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.alpaca4j.core.internal.JsonProblem;
import org.alpaca4j.core.internal.jinja.JinjaException;
import org.alpaca4j.core.internal.jinja.JinjaTemplate;
import org.jspecify.annotations.Nullable;

/**
 * A checkpoint's own Jinja chat template: turns messages into the one text the model was trained
 * on, exactly as {@code apply_chat_template(tokenize=False)} of Hugging Face transformers does.
 *
 * <p>The engine is our own and covers Jinja2 as transformers configures it (sandbox, trim_blocks,
 * lstrip_blocks, loop controls, {@code tojson}, {@code raise_exception}, {@code strftime_now},
 * generation blocks). What it does not know is a {@link ChatTemplateException} that names the
 * template line, never another text. A template may be hostile: it can neither reach Java objects
 * nor run without end; texts and lists are limited to 16 Mi characters or items, calls to 200
 * levels, ranges to 100,000 items, and a rendering to 50 million steps.
 *
 * <p>Immutable and thread-safe; the template is parsed once.
 */
public final class ChatTemplate implements PromptForm {
  private static final Set<String> RESERVED = Set.of("messages", "tools", "add_generation_prompt");
  private static final List<String> REASONING =
      List.of("reasoning_content", "thinking", "reasoning");
  private static final List<String> STANDARD_TOKENS =
      List.of(
          "bos_token",
          "eos_token",
          "unk_token",
          "sep_token",
          "pad_token",
          "cls_token",
          "mask_token");
  private static final Pattern GENERATION = Pattern.compile("\\{%[-+]?\\s*generation\\s*[-+]?%}");
  private static final String CONTINUE_TAG = "CONTINUE_FINAL_MESSAGE_TAG ";
  private static final String DEFAULT = "default";
  private static final String TOOL_USE = "tool_use";

  private final String source;
  private final Map<String, String> specialTokens;
  private final Supplier<JinjaTemplate> parsed;
  private final @Nullable ChatTemplate toolUse;

  private ChatTemplate(
      String source, Map<String, String> specialTokens, @Nullable ChatTemplate toolUse) {
    Map<String, String> tokens = new LinkedHashMap<>(specialTokens);
    tokens.putIfAbsent("bos_token", "");
    tokens.remove("eos_token", "");
    this.source = source;
    this.specialTokens = Collections.unmodifiableMap(tokens);
    this.toolUse = toolUse;
    this.parsed = Suppliers.memoize(() -> parse(source));
  }

  private JinjaTemplate parsed() {
    return Objects.requireNonNull(parsed.get());
  }

  /** A rendered conversation; {@code assistantSpans} come from the template's generation blocks. */
  public record Rendered(String text, List<Span> assistantSpans) {
    /** Creates a result; the list is copied. */
    public Rendered {
      assistantSpans = List.copyOf(assistantSpans);
    }
  }

  /**
   * A part of the rendered text written by the assistant, in code points, {@code end} exclusive. As
   * in transformers, a span can be empty, and spans of blocks inside macros start where the macro's
   * text starts.
   */
  public record Span(int start, int end) {}

  /**
   * Returns a template from its Jinja text, without special tokens.
   *
   * @throws ChatTemplateException if it cannot be parsed
   */
  public static ChatTemplate of(String jinja) {
    return of(jinja, Map.of());
  }

  /**
   * Returns a template from its Jinja text and the special tokens it can print by name ({@code
   * bos_token}, {@code eos_token}, ...). {@code bos_token} is defined in any case, possibly empty;
   * an empty {@code eos_token} counts as not given.
   *
   * @throws ChatTemplateException if it cannot be parsed
   */
  public static ChatTemplate of(String jinja, Map<String, String> specialTokens) {
    Objects.requireNonNull(specialTokens, "specialTokens is null");
    Objects.requireNonNull(jinja, "jinja is null");
    ChatTemplate template = new ChatTemplate(jinja, specialTokens, null);
    Objects.requireNonNull(template.parsed());
    return template;
  }

  /**
   * Returns the default template of a checkpoint folder, or empty if it has none. Read from {@code
   * chat_template.jinja} and {@code additional_chat_templates/*.jinja}, else from {@code
   * chat_template} in {@code tokenizer_config.json} (a text, or a list of named texts); the special
   * tokens come from the tokenizer configuration. Where there is a template named {@code tool_use},
   * it is used for renderings with tools. Parsed at the first rendering, so that a folder with a
   * broken template can still be loaded and saved.
   *
   * @throws ChatTemplateException if a file cannot be read, or there are only named templates
   */
  public static Optional<ChatTemplate> load(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    Map<String, ChatTemplate> all = loadAll(folder);
    ChatTemplate fallback = all.get(DEFAULT);
    if (fallback == null && !all.isEmpty()) {
      throw new ChatTemplateException(
          folder
              + " has several chat templates and no default; choose one by name: "
              + all.keySet());
    }
    ChatTemplate tools = all.get(TOOL_USE);
    return Optional.ofNullable(fallback)
        .map(template -> new ChatTemplate(template.source, template.specialTokens, tools));
  }

  /**
   * Returns the template of this name in a checkpoint folder, or empty if there is none; {@code
   * default} is the one without a name.
   *
   * @throws ChatTemplateException if a file cannot be read
   */
  public static Optional<ChatTemplate> load(Path folder, String name) {
    Objects.requireNonNull(name, "name is null");
    return Optional.ofNullable(loadAll(folder).get(name));
  }

  /**
   * Returns all templates of a checkpoint folder by name, {@code default} first; see {@link
   * #load(Path)}.
   *
   * @throws ChatTemplateException if a file cannot be read
   */
  public static Map<String, ChatTemplate> loadAll(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    JsonNode config = json(folder.resolve("tokenizer_config.json"));
    Map<String, String> tokens = specialTokens(folder, config);
    Map<String, ChatTemplate> templates = new LinkedHashMap<>();
    sources(folder, config)
        .forEach((name, source) -> templates.put(name, new ChatTemplate(source, tokens, null)));
    return Collections.unmodifiableMap(templates);
  }

  /** Returns this template with further special tokens, which replace those of the same name. */
  ChatTemplate withSpecialTokens(Map<String, String> tokens) {
    Map<String, String> merged = new LinkedHashMap<>(specialTokens);
    merged.putAll(tokens);
    return new ChatTemplate(
        source, merged, toolUse == null ? null : toolUse.withSpecialTokens(tokens));
  }

  /**
   * Returns this template with a tokenizer's special tokens by name, where it has none of its own,
   * as transformers renders a template that is given to it.
   */
  public ChatTemplate withTokensOf(Tokenizer tokenizer) {
    Objects.requireNonNull(tokenizer, "tokenizer is null");
    Map<String, String> missing = new LinkedHashMap<>();
    for (SpecialToken role : SpecialToken.values()) {
      tokenizer
          .token(role)
          .filter(token -> specialTokens.getOrDefault(role.key(), "").isEmpty())
          .ifPresent(token -> missing.put(role.key(), token));
    }
    return missing.isEmpty() ? this : withSpecialTokens(missing);
  }

  /** Returns the template for renderings with tools, if there is one of its own. */
  Optional<ChatTemplate> toolUse() {
    return Optional.ofNullable(toolUse);
  }

  /**
   * Returns Jinja text that renders in a folder what this template renders: the tokens that the
   * text may name and that the folder gives other texts are set first.
   *
   * @param known what the folder's files give the names
   */
  String sourceFor(Map<String, String> known) {
    StringBuilder settings = new StringBuilder();
    specialTokens.forEach(
        (name, token) -> {
          if (source.contains(name) && !token.equals(known.getOrDefault(name, ""))) {
            String text = token.replace("\\", "\\\\").replace("'", "\\'");
            settings.append("{%- set ").append(name).append(" = '").append(text).append("' %}");
          }
        });
    boolean lineBreakWouldGo = settings.length() > 0 && source.startsWith("\n");
    return settings + (lineBreakWouldGo ? "\n" : "") + source;
  }

  /** Returns the special tokens that a folder's templates see, by name. */
  static Map<String, String> specialTokens(Path folder) {
    return specialTokens(folder, json(folder.resolve("tokenizer_config.json")));
  }

  /** Returns whether the other has the same text, special tokens and template for tools. */
  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof ChatTemplate that
        && source.equals(that.source)
        && specialTokens.equals(that.specialTokens)
        && Objects.equals(toolUse, that.toolUse);
  }

  @Override
  public int hashCode() {
    return Objects.hash(source, specialTokens);
  }

  /** Returns the Jinja text, unchanged. */
  public String source() {
    return source;
  }

  /** Returns the special tokens that the template sees, by name, unmodifiable. */
  public Map<String, String> specialTokens() {
    return specialTokens;
  }

  /** Returns whether the template marks what the assistant says, see {@link Rendered}. */
  public boolean hasGenerationBlocks() {
    return GENERATION.matcher(source).find();
  }

  /**
   * Renders a conversation with default options.
   *
   * @throws ChatTemplateException if the template refuses the messages or fails
   */
  public Rendered render(List<ChatMessage> messages) {
    return render(messages, RenderOptions.DEFAULT);
  }

  /**
   * Renders a conversation. Fields that are null are left out of a message, and a reasoning text is
   * passed under both its usual names, as transformers does it.
   *
   * @throws ChatTemplateException if the conversation is empty, the template refuses it or fails,
   *     or the final message cannot be continued
   */
  public Rendered render(List<ChatMessage> messages, RenderOptions options) {
    Objects.requireNonNull(messages, "messages is null");
    Objects.requireNonNull(options, "options is null");
    if (options.tools != null && toolUse != null) {
      return toolUse.render(messages, options);
    }
    if (messages.isEmpty()) {
      throw new ChatTemplateException(
          "Cannot apply chat template to an empty conversation. Provide at least one message.");
    }
    List<Map<String, Object>> chat = new ArrayList<>(messages.size());
    for (ChatMessage message : messages) {
      chat.add(fields(message));
    }
    String continued = options.continueField == null ? null : tagFinal(chat, options.continueField);
    Map<String, @Nullable Object> variables = new LinkedHashMap<>(specialTokens);
    variables.put("documents", null);
    variables.putAll(options.variables);
    variables.put("messages", chat);
    variables.put("tools", options.tools);
    variables.put("add_generation_prompt", options.addGenerationPrompt);
    JinjaTemplate.Rendered rendered;
    try {
      rendered = parsed().render(variables, options.clock);
    } catch (JinjaException e) {
      throw failure(e);
    }
    String text = rendered.text();
    if (continued != null) {
      text = cutAtTag(text, continued);
    }
    return new Rendered(text, spans(rendered.generationSpans(), text));
  }

  private static List<Span> spans(List<int[]> spans, String text) {
    if (spans.isEmpty()) {
      return List.of();
    }
    int length = text.codePointCount(0, text.length());
    return spans.stream()
        .map(span -> new Span(Math.min(span[0], length), Math.min(span[1], length)))
        .toList();
  }

  private static JinjaTemplate parse(String source) {
    try {
      return JinjaTemplate.parse(source);
    } catch (JinjaException e) {
      throw failure(e);
    }
  }

  private static ChatTemplateException failure(JinjaException e) {
    String message = String.valueOf(e.getMessage());
    boolean raised = e.kind() == JinjaException.Kind.RAISED;
    if (!raised) {
      String where = e.line() > 0 ? "chat template, line " + e.line() : "chat template";
      message = where + ": " + message;
    }
    return new ChatTemplateException(message, e.line(), raised, e);
  }

  // ---- messages ----

  private static Map<String, Object> fields(ChatMessage message) {
    Map<String, Object> fields = new LinkedHashMap<>();
    Object reasoning = null;
    for (String name : REASONING) {
      reasoning = reasoning == null ? message.toMap().get(name) : reasoning;
    }
    if (reasoning != null) {
      fields.put("thinking", reasoning);
    }
    message
        .toMap()
        .forEach(
            (name, value) -> {
              if (value != null) {
                fields.put(name, value);
              }
            });
    if (reasoning != null) {
      fields.put("reasoning_content", reasoning);
    }
    return fields;
  }

  /** Marks the end of the final message and returns its text. */
  private String tagFinal(List<Map<String, Object>> chat, String field) {
    Map<String, Object> last = chat.get(chat.size() - 1);
    Object value = last.get(field);
    if (value == null) {
      throw new ChatTemplateException(
          "continue_final_message is set but the final message has no \""
              + field
              + "\" to continue!");
    }
    List<String> fields = new ArrayList<>();
    if (REASONING.contains(field)) {
      REASONING.stream().filter(name -> value.equals(last.get(name))).forEach(fields::add);
    } else {
      fields.add(field);
    }
    if (fields.stream().noneMatch(source::contains)) {
      throw new ChatTemplateException(
          "continue_final_message is set to \""
              + field
              + "\" but this is not an accepted field in the chat_template");
    }
    if (value instanceof String text) {
      fields.forEach(name -> last.put(name, text + CONTINUE_TAG));
      return text;
    }
    if (value instanceof List<?> parts) {
      List<Object> tagged = new ArrayList<>(parts);
      for (int i = parts.size() - 1; i >= 0; i--) {
        if (parts.get(i) instanceof Map<?, ?> part && part.get("text") instanceof String text) {
          Map<Object, Object> copy = new LinkedHashMap<>(part);
          copy.put("text", text + CONTINUE_TAG);
          tagged.set(i, copy);
          last.put(field, tagged);
          return text;
        }
      }
    }
    throw new ChatTemplateException(
        "continue_final_message is set but we could not find any text to continue in the final "
            + "message!");
  }

  private static String cutAtTag(String rendered, String continued) {
    String tag = CONTINUE_TAG.strip();
    int at = rendered.lastIndexOf(tag);
    if (at < 0 || !rendered.contains(strip(continued))) {
      throw new ChatTemplateException(
          "continue_final_message is set but the final message does not appear in the chat after "
              + "applying the chat template! This can happen if the chat template deletes portions "
              + "of the final message. Final message to continue: "
              + strip(continued));
    }
    String text = rendered.substring(0, at);
    return rendered.startsWith(CONTINUE_TAG, at) ? text : JinjaTemplate.rstrip(text);
  }

  private static String strip(String text) {
    return JinjaTemplate.strip(text);
  }

  // ---- files ----

  private static Map<String, String> sources(Path folder, @Nullable JsonNode config) {
    Map<String, String> sources = new LinkedHashMap<>();
    Path single = folder.resolve(PromptFormFiles.CHAT_TEMPLATE);
    if (Files.isRegularFile(single)) {
      sources.put(DEFAULT, read(single));
    }
    Path additional = folder.resolve("additional_chat_templates");
    if (Files.isDirectory(additional)) {
      Map<String, String> named = new TreeMap<>();
      try (DirectoryStream<Path> files = Files.newDirectoryStream(additional, "*.jinja")) {
        for (Path file : files) {
          String name = file.getFileName().toString();
          named.put(name.substring(0, name.length() - ".jinja".length()), read(file));
        }
      } catch (IOException e) {
        throw new ChatTemplateException("cannot list " + additional, e);
      }
      sources.putAll(named);
    }
    JsonNode inConfig = config == null ? null : config.get("chat_template");
    if (!sources.isEmpty() || inConfig == null || inConfig.isNull()) {
      return sources;
    }
    if (inConfig.isTextual()) {
      sources.put(DEFAULT, inConfig.textValue());
      return sources;
    }
    for (JsonNode entry : inConfig) {
      if (!entry.path("name").isTextual() || !entry.path("template").isTextual()) {
        throw new ChatTemplateException(
            folder.resolve("tokenizer_config.json")
                + ": chat_template must be a text or a list of {name, template}, but has "
                + entry);
      }
      sources.put(entry.get("name").textValue(), entry.get("template").textValue());
    }
    return sources;
  }

  /** Returns the named special tokens, as transformers' special_tokens_map has them. */
  private static Map<String, String> specialTokens(Path folder, @Nullable JsonNode config) {
    Map<String, String> tokens = new LinkedHashMap<>();
    if (config != null) {
      config
          .properties()
          .forEach(
              entry -> {
                boolean standard = STANDARD_TOKENS.contains(entry.getKey());
                boolean specific =
                    entry.getKey().endsWith("_token") && entry.getValue().isTextual();
                if (standard || specific) {
                  putToken(tokens, entry.getKey(), entry.getValue());
                }
              });
      addExtra(tokens, config);
    }
    if (config == null || !config.has("added_tokens_decoder")) {
      JsonNode map = json(folder.resolve("special_tokens_map.json"));
      if (map != null) {
        STANDARD_TOKENS.forEach(name -> putToken(tokens, name, map.get(name)));
        addExtra(tokens, map);
      }
    }
    return tokens;
  }

  private static void addExtra(Map<String, String> tokens, JsonNode config) {
    JsonNode extra = config.get("extra_special_tokens");
    if (extra != null && extra.isObject()) {
      extra.properties().forEach(entry -> putToken(tokens, entry.getKey(), entry.getValue()));
    }
  }

  private static void putToken(Map<String, String> tokens, String name, @Nullable JsonNode value) {
    if (value != null && value.isTextual()) {
      tokens.put(name, value.textValue());
    } else if (value != null && value.path("content").isTextual()) {
      tokens.put(name, value.get("content").textValue());
    }
  }

  private static @Nullable JsonNode json(Path file) {
    if (!Files.isRegularFile(file)) {
      return null;
    }
    try {
      return JsonTree.parse(read(file));
    } catch (IOException e) {
      throw new ChatTemplateException(file + " is not valid JSON: " + JsonProblem.describe(e), e);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new ChatTemplateException("cannot read " + file + ": " + e, e);
    }
  }

  // ---- options ----

  /** How to render; immutable and thread-safe. */
  public static final class RenderOptions {
    /** No generation prompt, no tools, no variables, the system clock. */
    public static final RenderOptions DEFAULT = builder().build();

    private final boolean addGenerationPrompt;
    private final @Nullable String continueField;
    private final @Nullable List<Map<String, @Nullable Object>> tools;
    private final Map<String, @Nullable Object> variables;
    private final Clock clock;

    private RenderOptions(Builder builder) {
      addGenerationPrompt = builder.addGenerationPrompt;
      continueField = builder.continueField;
      tools = builder.tools;
      variables = Collections.unmodifiableMap(new LinkedHashMap<>(builder.variables));
      clock = builder.clock;
    }

    /** Returns a builder with the defaults. */
    public static Builder builder() {
      return new Builder();
    }

    /** Returns options with only the generation prompt switched on, as chatting needs it. */
    public static RenderOptions withGenerationPrompt() {
      return builder().addGenerationPrompt(true).build();
    }

    /** Builds {@link RenderOptions}; not thread-safe. */
    public static final class Builder {
      private boolean addGenerationPrompt;
      private @Nullable String continueField;
      private @Nullable List<Map<String, @Nullable Object>> tools;
      private final Map<String, @Nullable Object> variables = new LinkedHashMap<>();
      private Clock clock = Clock.system(ZoneId.systemDefault());

      private Builder() {}

      /** Sets whether the text ends with the start of an assistant message; default false. */
      public Builder addGenerationPrompt(boolean add) {
        addGenerationPrompt = add;
        return this;
      }

      /** Sets whether the text ends inside the final message's content; default false. */
      public Builder continueFinalMessage(boolean continueFinal) {
        continueField = continueFinal ? "content" : null;
        return this;
      }

      /** Sets the field of the final message to continue, such as {@code reasoning_content}. */
      public Builder continueFinalMessage(String field) {
        Objects.requireNonNull(field, "field is null");
        continueField = field;
        return this;
      }

      /** Sets the tools as JSON schemas; by default the template sees none. */
      public Builder tools(List<? extends Map<String, ? extends @Nullable Object>> schemas) {
        Objects.requireNonNull(schemas, "schemas is null");
        List<Map<String, @Nullable Object>> copy = new ArrayList<>();
        schemas.forEach(schema -> copy.add(new LinkedHashMap<>(schema)));
        tools = Collections.unmodifiableList(copy);
        return this;
      }

      /** Sets a variable for the template, such as {@code enable_thinking}. */
      public Builder variable(String name, @Nullable Object value) {
        Objects.requireNonNull(name, "name is null");
        if (RESERVED.contains(name)) {
          throw new IllegalArgumentException(
              "'" + name + "' is set by its own option, not as a variable");
        }
        variables.put(name, value);
        return this;
      }

      /** Sets several variables, see {@link #variable}. */
      public Builder variables(Map<String, ? extends @Nullable Object> values) {
        Objects.requireNonNull(values, "values is null");
        values.forEach(this::variable);
        return this;
      }

      /** Sets the clock that {@code strftime_now} reads; default the system's. */
      public Builder clock(Clock value) {
        Objects.requireNonNull(value, "clock is null");
        clock = value;
        return this;
      }

      /**
       * Returns the options.
       *
       * @throws IllegalArgumentException if a generation prompt and a continued message are both
       *     asked for
       */
      public RenderOptions build() {
        if (addGenerationPrompt && continueField != null) {
          throw new IllegalArgumentException(
              "addGenerationPrompt and continueFinalMessage exclude each other: use one to start a "
                  + "new assistant message, the other to continue the last");
        }
        return new RenderOptions(this);
      }
    }
  }
}
