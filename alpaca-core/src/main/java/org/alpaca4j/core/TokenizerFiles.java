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
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceTokenizer;
import org.jspecify.annotations.Nullable;

/**
 * The files beside a {@code tokenizer.json}: which token has which role, which tokens are still to
 * be added, and the bytes to write them back unchanged. Follows transformers' reading order: with
 * an {@code added_tokens_decoder}, {@code tokenizer_config.json} decides; without one (files of
 * 2023 and older), {@code special_tokens_map.json} and {@code added_tokens.json} override it.
 */
final class TokenizerFiles {

  static final String TOKENIZER = "tokenizer.json";
  static final String SENTENCE_PIECE = "tokenizer.model";
  static final String CONFIG = "tokenizer_config.json";
  static final String SPECIAL_TOKENS_MAP = "special_tokens_map.json";
  static final String ADDED_TOKENS = "added_tokens.json";
  static final String TEMPLATE_FOLDER = "additional_chat_templates";

  /** Small files that are kept in memory and written back by {@link #save}. */
  private static final List<String> KEPT =
      List.of(
          CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS, "chat_template.jinja", "chat_template.json");

  /** Vocabularies of the slow tokenizers, copied when they are still there. */
  private static final List<String> COPIED =
      List.of(SENTENCE_PIECE, "vocab.json", "merges.txt", "vocab.txt", "spiece.model");

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
    Map<String, Object> config = json(folder, CONFIG, kept);
    Map<String, Object> map = json(folder, SPECIAL_TOKENS_MAP, kept);
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
    Set<String> others = new LinkedHashSet<>();
    for (Map<String, Object> source : List.of(config, map)) {
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

  /**
   * Returns these files, completed by what a SentencePiece model says, as transformers does: roles
   * that no file gives are the model's, and so is the configuration where there is none.
   */
  TokenizerFiles completedBy(SentencePieceModel model) {
    Map<SpecialToken, String> complete = new EnumMap<>(SpecialToken.class);
    Map.of(
            SpecialToken.BOS, model.bos(),
            SpecialToken.EOS, model.eos(),
            SpecialToken.PAD, model.pad(),
            SpecialToken.UNK, model.unknown())
        .forEach(
            (role, token) -> {
              if (!token.isEmpty()) {
                complete.put(role, token);
              }
            });
    complete.putAll(roles);
    Map<String, byte[]> files = new LinkedHashMap<>(kept);
    files.putIfAbsent(CONFIG, new SentencePieceTokenizer(model).configJson());
    return new TokenizerFiles(folder, complete, otherSpecialTokens, files);
  }

  /** Returns the {@code tokenizer.json} of a SentencePiece model with this configuration. */
  byte[] tokenizerJson(SentencePieceModel model) {
    Map<String, Object> config = json(folder, CONFIG, kept);
    return new SentencePieceTokenizer(model)
        .tokenizerJson(
            !Boolean.FALSE.equals(config.get("add_bos_token")),
            Boolean.TRUE.equals(config.get("add_eos_token")),
            folder.resolve(SENTENCE_PIECE).toString());
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

  private static Map<String, Object> json(Path folder, String name, Map<String, byte[]> kept) {
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
          folder.resolve(name) + ": not readable as JSON: " + e.getMessage(), e);
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
    Map<String, Object> config = json(folder, CONFIG, kept);
    Set<String> specials = new LinkedHashSet<>(roles.values());
    specials.addAll(otherSpecialTokens);
    if (config.get("added_tokens_decoder") instanceof Map<?, ?> decoder) {
      TreeMap<Integer, AddedToken> byId = new TreeMap<>();
      decoder.forEach(
          (id, value) -> {
            String content = content(value);
            if (content != null && value instanceof Map<?, ?> flags) {
              try {
                byId.put(Integer.valueOf(id.toString()), TokenizerJson.addedToken(content, flags));
              } catch (NumberFormatException e) {
                throw new TokenizerException(
                    folder.resolve(CONFIG)
                        + ": added_tokens_decoder has the key \""
                        + id
                        + "\", expected a token id",
                    e);
              }
            }
          });
      byId.values().forEach(token -> tokens.put(token.content(), token));
    } else {
      Map<String, Object> added = json(folder, ADDED_TOKENS, kept);
      added.entrySet().stream()
          .filter(e -> e.getValue() instanceof Number && !e.getKey().isEmpty())
          .sorted(
              Map.Entry.comparingByValue(
                  (a, b) -> ((Number) a).intValue() - ((Number) b).intValue()))
          .forEach(
              e ->
                  tokens.put(
                      e.getKey(),
                      specials.contains(e.getKey())
                          ? AddedToken.special(e.getKey())
                          : AddedToken.ordinary(e.getKey())));
    }
    for (String special : specials) {
      tokens.putIfAbsent(special, AddedToken.special(special));
    }
    return new ArrayList<>(tokens.values());
  }

  /** Returns these files with other roles; the JSON files change accordingly. */
  TokenizerFiles with(Map<SpecialToken, String> newRoles, TokenizerJson tokens) {
    Map<String, byte[]> changed = new LinkedHashMap<>(kept);
    Map<SpecialToken, String> merged = new EnumMap<>(SpecialToken.class);
    merged.putAll(roles);
    merged.putAll(newRoles);
    Map<String, Object> config = json(folder, CONFIG, kept);
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
    config.putIfAbsent("tokenizer_class", "PreTrainedTokenizerFast");
    changed.put(CONFIG, write(config));
    if (kept.containsKey(SPECIAL_TOKENS_MAP)) {
      Map<String, Object> map = json(folder, SPECIAL_TOKENS_MAP, kept);
      newRoles.forEach((role, token) -> map.put(role.key(), token));
      changed.put(SPECIAL_TOKENS_MAP, write(map));
    }
    if (kept.containsKey(ADDED_TOKENS)) {
      Map<String, Object> added = json(folder, ADDED_TOKENS, kept);
      for (TokenizerJson.Entry entry : tokens.addedTokens) {
        added.put(entry.token().content(), entry.id());
      }
      changed.put(ADDED_TOKENS, write(added));
    }
    return new TokenizerFiles(folder, merged, otherSpecialTokens, changed);
  }

  private static byte[] write(Map<String, Object> json) {
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
      for (Map.Entry<String, byte[]> file : kept.entrySet()) {
        Path path = target.resolve(file.getKey());
        Path parent = path.getParent();
        if (parent != null) {
          Files.createDirectories(parent);
        }
        Files.write(path, file.getValue());
      }
      for (String name : COPIED) {
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
