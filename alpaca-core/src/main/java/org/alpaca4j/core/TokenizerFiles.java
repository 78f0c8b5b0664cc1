package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.alpaca4j.core.internal.JsonProblem;
import org.alpaca4j.core.internal.Placeholder;
import org.jspecify.annotations.Nullable;

/**
 * The files beside a {@code tokenizer.json}: which token has which role, which tokens are still to
 * be added, and the bytes to write them back unchanged. Follows transformers' reading order: with
 * an {@code added_tokens_decoder}, {@code tokenizer_config.json} decides; without one (files of
 * 2023 and older), {@code special_tokens_map.json} and {@code added_tokens.json} override it.
 */
final class TokenizerFiles {

  static final String TOKENIZER = "tokenizer.json";
  static final String CONFIG = "tokenizer_config.json";
  static final String SPECIAL_TOKENS_MAP = "special_tokens_map.json";
  static final String ADDED_TOKENS = "added_tokens.json";
  static final String TEMPLATE_FOLDER = "additional_chat_templates";

  /** Small files that are kept in memory and written back by {@link #save}. */
  private static final List<String> KEPT =
      List.of(
          CONFIG,
          SPECIAL_TOKENS_MAP,
          ADDED_TOKENS,
          PromptFormFiles.CHAT_TEMPLATE,
          "chat_template.json");

  /** Vocabularies of the slow tokenizers, copied when they are still there. */
  private static final List<String> COPIED =
      List.of(
          "tokenizer.model",
          "ice_text.model",
          "qwen.tiktoken",
          "vocab.json",
          "merges.txt",
          "vocab.txt",
          "spiece.model");

  private static final String MODEL_CONFIG = "config.json";
  private static final String AUTO_MAP = "auto_map";
  private static final String AUTO_TOKENIZER = "AutoTokenizer";
  private static final String FAST_CLASS = "PreTrainedTokenizerFast";
  private static final Pattern PYTHON_CLASS = Pattern.compile("(\\w{1,100})\\.\\w+");

  final Path folder;
  final Map<SpecialToken, String> roles;
  final Set<String> otherSpecialTokens;
  private final Map<String, byte[]> kept;

  private TokenizerFiles(
      Path folder,
      Map<SpecialToken, String> roles,
      Set<String> otherSpecialTokens,
      Map<String, byte[]> kept) {
    this.folder = folder;
    this.roles = roles;
    this.otherSpecialTokens = otherSpecialTokens;
    this.kept = kept;
  }

  static TokenizerFiles read(Path folder) {
    Map<String, byte[]> kept = new LinkedHashMap<>();
    for (String name : KEPT) {
      readIfPresent(folder, name, kept);
    }
    Path templates = folder.resolve(TEMPLATE_FOLDER);
    if (Files.isDirectory(templates)) {
      try (Stream<Path> files = Files.list(templates)) {
        for (Path file : files.sorted().toList()) {
          readIfPresent(folder, TEMPLATE_FOLDER + "/" + file.getFileName(), kept);
        }
      } catch (IOException e) {
        throw new TokenizerException(templates + ": cannot be listed: " + e.getMessage(), e);
      }
    }
    Map<String, @Nullable Object> config = json(folder, CONFIG, kept);
    Map<String, @Nullable Object> map = json(folder, SPECIAL_TOKENS_MAP, kept);
    boolean legacy = !(config.get("added_tokens_decoder") instanceof Map);
    Map<SpecialToken, String> roles = new EnumMap<>(SpecialToken.class);
    for (SpecialToken role : SpecialToken.values()) {
      boolean mapDecides =
          map.containsKey(role.key()) && (legacy || !config.containsKey(role.key()));
      String token = content((mapDecides ? map : config).get(role.key()));
      if (token != null) {
        roles.put(role, token);
      }
    }
    // ChatGLM-6B's first release names an end of its own, and the end of an answer apart.
    String endOfAnswer = content(config.get("eop_token"));
    if (endOfAnswer != null) {
      roles.put(SpecialToken.EOS, endOfAnswer);
    }
    Set<String> others = new LinkedHashSet<>();
    for (Map<String, @Nullable Object> source : List.of(config, map)) {
      for (String key : List.of("additional_special_tokens", "extra_special_tokens")) {
        Object value = source.get(key);
        Iterable<?> tokens =
            value instanceof Map<?, ?> named
                ? named.values()
                : value instanceof List<?> list ? list : List.of();
        for (Object token : tokens) {
          String content = content(token);
          if (content != null) {
            others.add(content);
          }
        }
      }
    }
    return new TokenizerFiles(folder, roles, others, kept);
  }

  /** Returns what {@code tokenizer_config.json} says; nothing if there is none. */
  Map<String, @Nullable Object> config() {
    return json(folder, CONFIG, kept);
  }

  /** Returns the {@code model_type} of {@code config.json}, else an empty text. */
  String modelType() {
    return modelConfig().get("model_type") instanceof String type ? type : "";
  }

  /** Returns the number of embedding rows that {@code config.json} states, else -1. */
  int vocabSize() {
    Map<String, @Nullable Object> config = modelConfig();
    for (String key : List.of("padded_vocab_size", "vocab_size")) {
      if (config.get(key) instanceof Number rows) {
        return rows.intValue();
      }
    }
    return -1;
  }

  /** Returns the names that the files know the model by, in lower case. */
  String modelName() {
    return (config().get("name_or_path") + " " + modelConfig().get("_name_or_path"))
        .toLowerCase(Locale.ROOT);
  }

  /** Whether a ChatGLM is the first one: the classes of all of them have one name. */
  boolean isOfFirstChatGlm() {
    return Files.exists(folder.resolve(VocabularyFile.ICE_TEXT.fileName()))
        || config().containsKey("gmask_token")
        || config().containsKey("num_image_tokens");
  }

  private Map<String, @Nullable Object> modelConfig() {
    Map<String, byte[]> read = new LinkedHashMap<>();
    readIfPresent(folder, MODEL_CONFIG, read);
    return json(folder, MODEL_CONFIG, read);
  }

  /**
   * Returns these files with tokens for the roles that no file gives; a role that is null in {@code
   * tokenizer_config.json} stays without.
   */
  TokenizerFiles withDefaultRoles(Map<SpecialToken, String> defaults) {
    Map<SpecialToken, String> complete = missingRoles(defaults);
    complete.putAll(roles);
    return new TokenizerFiles(folder, complete, otherSpecialTokens, kept);
  }

  /** Returns those of the tokens whose roles no file gives. */
  Map<SpecialToken, String> missingRoles(Map<SpecialToken, String> defaults) {
    Map<String, @Nullable Object> config = config();
    Map<SpecialToken, String> missing = new EnumMap<>(SpecialToken.class);
    defaults.forEach(
        (role, token) -> {
          boolean refused = config.containsKey(role.key()) && config.get(role.key()) == null;
          if (!roles.containsKey(role) && !refused) {
            missing.put(role, token);
          }
        });
    return missing;
  }

  /** Returns these files with a configuration that names the roles, if there is none. */
  TokenizerFiles withDefaultConfig() {
    return withDefaultConfig(
        () -> {
          Map<String, @Nullable Object> config = new LinkedHashMap<>();
          withoutPython(config, roles);
          return write(config);
        });
  }

  /** Returns these files with a configuration, if there is none. */
  TokenizerFiles withDefaultConfig(Supplier<byte[]> config) {
    if (kept.containsKey(CONFIG)) {
      return this;
    }
    Map<String, byte[]> files = new LinkedHashMap<>(kept);
    files.put(CONFIG, config.get());
    return new TokenizerFiles(folder, roles, otherSpecialTokens, files);
  }

  private static void readIfPresent(Path folder, String name, Map<String, byte[]> kept) {
    Path file = folder.resolve(name);
    if (Files.isRegularFile(file)) {
      try {
        kept.put(name, Files.readAllBytes(file));
      } catch (IOException e) {
        throw new TokenizerException(file + ": cannot be read: " + e.getMessage(), e);
      }
    }
  }

  private static Map<String, @Nullable Object> json(
      Path folder, String name, Map<String, byte[]> kept) {
    byte[] bytes = kept.get(name);
    if (bytes == null) {
      return new LinkedHashMap<>();
    }
    try {
      JsonNode document = JsonTree.parse(bytes);
      if (!document.isObject()) {
        throw new TokenizerException(folder.resolve(name) + ": expected a JSON object");
      }
      return JsonTree.fields(document);
    } catch (IOException e) {
      throw new TokenizerException(
          folder.resolve(name)
              + Placeholder.in(bytes)
                  .map(found -> " " + found)
                  .orElse(": not readable as JSON: " + JsonProblem.describe(e)),
          e);
    }
  }

  /** A token is a string or an object with "content"; anything else is no token. */
  private static @Nullable String content(@Nullable Object value) {
    Object text = value instanceof Map<?, ?> object ? object.get("content") : value;
    return text instanceof String token && !token.isEmpty() ? token : null;
  }

  /** The tokens that these files ask for, in the order in which transformers adds them. */
  List<AddedToken> tokensToAdd() {
    Map<String, AddedToken> tokens = new LinkedHashMap<>();
    addedTokensById().values().forEach(token -> tokens.put(token.content(), token));
    for (String special : specials()) {
      tokens.putIfAbsent(special, AddedToken.special(special));
    }
    return new ArrayList<>(tokens.values());
  }

  private Set<String> specials() {
    Set<String> specials = new LinkedHashSet<>(roles.values());
    specials.addAll(otherSpecialTokens);
    return specials;
  }

  /**
   * The tokens that these files ask for by id: {@code added_tokens_decoder}, else the older file.
   */
  SortedMap<Integer, AddedToken> addedTokensById() {
    SortedMap<Integer, AddedToken> byId = new TreeMap<>();
    if (config().get("added_tokens_decoder") instanceof Map<?, ?> decoder) {
      decoder.forEach(
          (id, value) -> {
            String content = content(value);
            if (content != null && value instanceof Map<?, ?> flags) {
              byId.put(tokenId(id), TokenizerJson.addedToken(content, flags));
            }
          });
      return byId;
    }
    Set<String> specials = specials();
    json(folder, ADDED_TOKENS, kept)
        .forEach(
            (token, id) -> {
              if (id instanceof Number number && number.intValue() >= 0 && !token.isEmpty()) {
                byId.put(
                    number.intValue(),
                    specials.contains(token)
                        ? AddedToken.special(token)
                        : AddedToken.ordinary(token));
              }
            });
    return byId;
  }

  private int tokenId(Object key) {
    try {
      int id = Integer.parseInt(key.toString());
      if (id >= 0) {
        return id;
      }
    } catch (NumberFormatException e) {
      throw noTokenId(key, e);
    }
    throw noTokenId(key, null);
  }

  private TokenizerException noTokenId(Object key, @Nullable Throwable cause) {
    String message =
        folder.resolve(CONFIG)
            + ": added_tokens_decoder has the key \""
            + key
            + "\", expected a token id";
    return cause == null ? new TokenizerException(message) : new TokenizerException(message, cause);
  }

  /** Returns these files with other roles; the JSON files change accordingly. */
  TokenizerFiles with(Map<SpecialToken, String> newRoles, TokenizerJson tokens) {
    Map<String, byte[]> changed = new LinkedHashMap<>(kept);
    Map<SpecialToken, String> merged = new EnumMap<>(SpecialToken.class);
    merged.putAll(roles);
    merged.putAll(newRoles);
    Map<String, @Nullable Object> config = config();
    if (config.get(AUTO_MAP) instanceof Map<?, ?> classes && classes.containsKey(AUTO_TOKENIZER)) {
      withoutPython(config, merged); // the folder's own class could not know of changes
    }
    if (config.get("added_tokens_decoder") instanceof Map<?, ?>) {
      Map<String, Object> decoder = new LinkedHashMap<>();
      for (TokenizerJson.Entry entry : tokens.addedTokens) {
        Map<String, Object> flags = new LinkedHashMap<>();
        flags.put("content", entry.token().content());
        flags.put("lstrip", entry.token().lstrip());
        flags.put("normalized", entry.token().normalized());
        flags.put("rstrip", entry.token().rstrip());
        flags.put("single_word", entry.token().singleWord());
        flags.put("special", entry.token().special());
        decoder.put(Integer.toString(entry.id()), flags);
      }
      config.put("added_tokens_decoder", decoder);
    }
    newRoles.forEach((role, token) -> config.put(role.key(), token));
    config.putIfAbsent("tokenizer_class", FAST_CLASS);
    changed.put(CONFIG, write(config));
    if (kept.containsKey(SPECIAL_TOKENS_MAP)) {
      Map<String, @Nullable Object> map = json(folder, SPECIAL_TOKENS_MAP, kept);
      newRoles.forEach((role, token) -> map.put(role.key(), token));
      changed.put(SPECIAL_TOKENS_MAP, write(map));
    }
    if (kept.containsKey(ADDED_TOKENS)) {
      Map<String, @Nullable Object> added = json(folder, ADDED_TOKENS, kept);
      for (TokenizerJson.Entry entry : tokens.addedTokens) {
        added.put(entry.token().content(), entry.id());
      }
      changed.put(ADDED_TOKENS, write(added));
    }
    return new TokenizerFiles(folder, merged, otherSpecialTokens, changed);
  }

  /** Changes a configuration so that transformers takes tokenizer.json, which says everything. */
  private static void withoutPython(
      Map<String, @Nullable Object> config, Map<SpecialToken, String> roles) {
    config.put("tokenizer_class", FAST_CLASS);
    config.remove("eop_token");
    roles.forEach((role, token) -> config.put(role.key(), token));
    if (config.get(AUTO_MAP) instanceof Map<?, ?> classes) {
      Map<Object, Object> others = new LinkedHashMap<>(classes);
      others.remove(AUTO_TOKENIZER);
      config.remove(AUTO_MAP);
      if (!others.isEmpty()) {
        config.put(AUTO_MAP, others);
      }
    }
  }

  /**
   * Returns the names of the Python files that the folder's own tokenizer classes are in; not those
   * of another repository, which transformers finds there.
   */
  private static Set<String> pythonFiles(Map<String, @Nullable Object> config) {
    Set<String> names = new LinkedHashSet<>();
    if (config.get(AUTO_MAP) instanceof Map<?, ?> classes) {
      Object named = classes.get(AUTO_TOKENIZER);
      for (Object name : named instanceof List<?> slowAndFast ? slowAndFast : listOf(named)) {
        Matcher matcher = PYTHON_CLASS.matcher(String.valueOf(name));
        if (matcher.matches()) {
          names.add(matcher.group(1) + ".py");
        }
      }
    }
    return names;
  }

  private static List<Object> listOf(@Nullable Object value) {
    return value == null ? List.of() : List.of(value);
  }

  private static byte[] write(Map<String, ? extends @Nullable Object> json) {
    try {
      return JsonTree.writer().writerWithDefaultPrettyPrinter().writeValueAsBytes(json);
    } catch (JsonProcessingException e) {
      throw new TokenizerException("cannot write tokenizer files: " + e.getMessage(), e);
    }
  }

  void save(Path target, byte[] tokenizerJson) {
    try {
      Files.createDirectories(target);
      Files.write(target.resolve(TOKENIZER), tokenizerJson);
      Map<String, @Nullable Object> config = config();
      Set<String> python = pythonFiles(config);
      Map<String, byte[]> written = new LinkedHashMap<>(kept);
      if (!python.stream().allMatch(name -> Files.isRegularFile(folder.resolve(name)))) {
        withoutPython(config, roles);
        written.put(CONFIG, write(config));
      }
      for (Map.Entry<String, byte[]> file : written.entrySet()) {
        Path path = target.resolve(file.getKey());
        Path parent = path.getParent();
        if (parent != null) {
          Files.createDirectories(parent);
        }
        Files.write(path, file.getValue());
      }
      List<String> copied = new ArrayList<>(COPIED);
      copied.addAll(python);
      for (String name : copied) {
        Path source = folder.resolve(name);
        Path copy = target.resolve(name);
        if (Files.isRegularFile(source)
            && !(Files.exists(copy) && Files.isSameFile(source, copy))) {
          Files.copy(source, copy, StandardCopyOption.REPLACE_EXISTING);
        }
      }
    } catch (IOException e) {
      throw new TokenizerException(
          target + ": cannot write the tokenizer's files: " + e.getMessage(), e);
    }
  }
}
