package org.alpaca4j.core;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.alpaca4j.core.internal.Placeholder;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A checkpoint's tokenizer: text to token ids and back, equal to Hugging Face's fast tokenizers.
 *
 * <p>Reads the folder's {@code tokenizer.json} (DJL runs Hugging Face's own Rust library on it) and
 * the files beside it, which name the special tokens: {@code tokenizer_config.json}, {@code
 * special_tokens_map.json}, {@code added_tokens.json}. As transformers does, tokens that only those
 * files name are added on loading. Nothing is ever truncated or padded here, whatever the files ask
 * for.
 *
 * <p>A folder without {@code tokenizer.json} is read by what it has instead: SentencePiece's {@code
 * tokenizer.model} (Llama, Gemma, Baichuan, InternLM2, ChatGLM2 and ChatGLM3), ChatGLM-6B's {@code
 * ice_text.model}, the first Qwen's {@code qwen.tiktoken}, or {@code vocab.json} with {@code
 * merges.txt} (GPT-2, OPT, Phi, StarCoder2, Qwen2). {@code tokenizer_class} in {@code
 * tokenizer_config.json} tells how to use them, else {@code model_type} in {@code config.json};
 * Python code in the folder is never run. {@link #save} writes the {@code tokenizer.json} made of
 * it, too.
 *
 * <p>Thread-safe. Holds native memory: {@link #close} it when no thread uses it any more; every
 * method but {@code close} throws {@link IllegalStateException} after that.
 */
public final class Tokenizer implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Tokenizer.class);
  private static final String DEFAULT_TEMPLATE = "default";

  private final NativeTokenizer tokens;
  private final TokenizerJson json;
  private final TokenizerFiles files;
  private final Map<String, ChatTemplate> chatTemplates;
  private final SpecialTokenTexts specialTexts;
  private final boolean splitsSpecialTokens;
  private final int[] prefixIds;
  private final int[] suffixIds;
  private @Nullable SplittingTokenizer splitting;

  private Tokenizer(
      TokenizerJson json, TokenizerFiles files, Map<String, ChatTemplate> chatTemplates) {
    this.json = json;
    this.files = files;
    this.chatTemplates = chatTemplates;
    this.tokens = new NativeTokenizer(json, files.folder);
    this.specialTexts = new SpecialTokenTexts(specialTokens());
    this.splitsSpecialTokens = Boolean.TRUE.equals(files.config().get("split_special_tokens"));
    Encoding probe = tokens.encode("a", true, NativeTokenizer::encoding);
    int first = 0;
    while (first < probe.size() && probe.special()[first]) {
      first++;
    }
    int last = probe.size();
    while (last > first && probe.special()[last - 1]) {
      last--;
    }
    this.prefixIds = Arrays.copyOfRange(probe.ids(), 0, first);
    this.suffixIds = Arrays.copyOfRange(probe.ids(), last, probe.size());
  }

  /**
   * Loads the tokenizer of a checkpoint.
   *
   * @param path a folder with {@code tokenizer.json} or one of the other vocabularies, or such a
   *     file itself
   * @throws TokenizerException if there is none, if a file is malformed, or if the tokenizer is of
   *     a class that is not known here
   * @throws ChatTemplateException if the chat templates cannot be read
   */
  public static Tokenizer load(Path path) {
    Objects.requireNonNull(path, "path is null");
    Path file = tokenizerFile(path);
    Path folder = file.toAbsolutePath().getParent();
    if (folder == null || !Files.isRegularFile(file)) {
      throw new TokenizerException(missing(path));
    }
    requireNoPlaceholder(file);
    VocabularyFile kind = VocabularyFile.named(file);
    TokenizerFiles files = TokenizerFiles.read(folder);
    TokenizerJson json;
    if (kind == VocabularyFile.TOKENIZER_JSON) {
      try {
        json = TokenizerJson.parse(Files.readAllBytes(file), file.toString());
      } catch (IOException e) {
        throw new TokenizerException(file + ": cannot be read: " + e.getMessage(), e);
      }
      files = withRolesOfClass(files, json);
    } else {
      TokenizerConversion conversion = TokenizerConversion.of(file, kind, files);
      files = conversion.files();
      json = TokenizerJson.parse(conversion.json(), file.toString());
    }
    TokenizerJson complete = json.with(files.tokensToAdd(), file.toString());
    if (complete != json && complete.size() > json.size()) {
      log.warn(
          "{}: {} tokens that only the files beside it name were added (size {} -> {})",
          file,
          complete.size() - json.size(),
          json.size(),
          complete.size());
    }
    return new Tokenizer(complete, files, chatTemplates(folder));
  }

  /** A class of transformers may take roles for granted; not for tokens that are not there. */
  private static TokenizerFiles withRolesOfClass(TokenizerFiles files, TokenizerJson json) {
    if (files.roles.size() == SpecialToken.values().length) {
      return files;
    }
    TokenizerClass type = TokenizerClass.of(files);
    if (type == null) {
      return files;
    }
    Map<SpecialToken, String> defaults = files.missingRoles(type.roles());
    defaults.values().removeIf(token -> json.id(token) == null);
    return defaults.isEmpty() ? files : files.withDefaultRoles(defaults);
  }

  /**
   * Loads a tokenizer by its path or by its model's name on the Hugging Face hub; of the latter, no
   * weights are fetched.
   *
   * @param pathOrId a path as for {@link #load(Path)}, if something is there; else {@code
   *     org/name}, which {@link ModelHub#ofDefaults} finds in the cache or downloads
   * @throws TokenizerException as {@link #load(Path)}
   * @throws ChatTemplateException as {@link #load(Path)}
   * @throws HubException if the hub does not hand the model out
   * @throws IllegalArgumentException if it is neither a path that exists nor a name
   */
  public static Tokenizer load(String pathOrId) {
    Objects.requireNonNull(pathOrId, "pathOrId is null");
    return load(ModelHub.resolveTokenizer(pathOrId));
  }

  private static Map<String, ChatTemplate> chatTemplates(Path folder) {
    Map<String, ChatTemplate> templates = new LinkedHashMap<>(ChatTemplate.loadAll(folder));
    if (templates.containsKey(DEFAULT_TEMPLATE)) {
      // Loaded on its own, the default template also knows the one for tools.
      ChatTemplate.load(folder).ifPresent(t -> templates.put(DEFAULT_TEMPLATE, t));
    }
    return templates;
  }

  private static void requireNoPlaceholder(Path file) {
    try {
      Optional<String> found = Placeholder.in(file);
      if (found.isPresent()) {
        throw new TokenizerException(file + " " + found.get());
      }
    } catch (IOException e) {
      throw new TokenizerException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  private static Path tokenizerFile(Path path) {
    if (!Files.isDirectory(path)) {
      return path;
    }
    return path.resolve(VocabularyFile.in(path).orElse(VocabularyFile.TOKENIZER_JSON).fileName());
  }

  private static String missing(Path path) {
    if (!Files.exists(path)) {
      return path + ": does not exist; expected a checkpoint folder with tokenizer.json";
    }
    List<String> names = List.of();
    if (Files.isDirectory(path)) {
      try (Stream<Path> entries = Files.list(path)) {
        names = entries.map(p -> p.getFileName().toString()).sorted().limit(20).toList();
      } catch (IOException e) {
        return path + ": cannot be listed: " + e.getMessage();
      }
    }
    String found = names.isEmpty() ? "it is empty" : "found " + String.join(", ", names);
    String hint = "use a folder that has one";
    if (names.contains("vocab.json")) {
      hint = "vocab.json needs merges.txt beside it, or " + hint;
    } else if (names.contains("vocab.txt")) {
      hint = "vocab.txt alone is not read: " + hint;
    }
    return path
        + ": no tokenizer.json, ice_text.model, tokenizer.model, qwen.tiktoken, or vocab.json with"
        + " merges.txt ("
        + found
        + "); "
        + hint
        + ", such as the model's repository on the Hugging Face hub, or write it once with"
        + " transformers' AutoTokenizer.save_pretrained";
  }

  /** Tokenises a text as it stands: no special tokens added, nothing truncated. */
  public Encoding encode(String text) {
    return encode(text, false);
  }

  /**
   * Tokenises a text.
   *
   * @param text any text; the texts of special tokens in it become those tokens, unless {@code
   *     tokenizer_config.json} has {@code split_special_tokens}
   * @param addSpecialTokens whether to add what the tokenizer's own template adds, such as a
   *     begin-of-sequence token
   * @throws TokenizerException if the text has an unpaired surrogate
   */
  public Encoding encode(String text, boolean addSpecialTokens) {
    Objects.requireNonNull(text, "text is null");
    return splits(text)
        ? splitting().encode(text, addSpecialTokens, splitsSpecialTokens)
        : tokens.encode(text, addSpecialTokens, NativeTokenizer::encoding);
  }

  /**
   * Tokenises a text to ids only; faster than {@link #encode(String, boolean)}, since ids are all
   * that crosses the native border.
   */
  public int[] encodeIds(String text, boolean addSpecialTokens) {
    Objects.requireNonNull(text, "text is null");
    return splits(text)
        ? splitting().encode(text, addSpecialTokens, splitsSpecialTokens).ids()
        : tokens.encode(text, addSpecialTokens, NativeTokenizer::ids);
  }

  private boolean splits(String text) {
    return text.indexOf(SpecialTokenTexts.MARK) >= 0
        || splitsSpecialTokens && specialTexts.anyIn(text);
  }

  /**
   * Returns a text in which the texts of special tokens are marked as text: {@link #encodePrompt}
   * takes them for text and leaves the marks out. For what users write, before it is put into a
   * prompt. The very same text if there are none.
   */
  public String withoutSpecialTokens(String text) {
    Objects.requireNonNull(text, "text is null");
    return specialTexts.marked(text);
  }

  /**
   * Returns messages whose contents are as {@link #withoutSpecialTokens(String)} makes them,
   * reasoning and parts included; the very same list if there is nothing to mark.
   */
  public List<ChatMessage> withoutSpecialTokens(List<ChatMessage> messages) {
    Objects.requireNonNull(messages, "messages is null");
    List<ChatMessage> marked =
        messages.stream().map(message -> message.mapTexts(this::withoutSpecialTokens)).toList();
    return marked.equals(messages) ? messages : marked;
  }

  /**
   * Tokenises a prompt as it stands: the texts of special tokens become those tokens, but for those
   * marked by {@link #withoutSpecialTokens(String)}.
   *
   * @return offsets are those of the given text, in which a mark is a character
   */
  public Encoding encodePrompt(String text) {
    Objects.requireNonNull(text, "text is null");
    return text.indexOf(SpecialTokenTexts.MARK) < 0
        ? tokens.encode(text, false, NativeTokenizer::encoding)
        : splitting().encode(text, false, false);
  }

  /** As {@link #encodePrompt}, to ids only, which is faster. */
  public int[] encodePromptIds(String text) {
    Objects.requireNonNull(text, "text is null");
    return text.indexOf(SpecialTokenTexts.MARK) < 0
        ? tokens.encode(text, false, NativeTokenizer::ids)
        : splitting().encode(text, false, false).ids();
  }

  /** Tokenises texts on all cores; the result has the order of the texts. */
  public List<Encoding> encodeBatch(List<String> texts, boolean addSpecialTokens) {
    Objects.requireNonNull(texts, "texts is null");
    return inParallel(texts, text -> encode(text, addSpecialTokens));
  }

  /** Tokenises texts on all cores to ids only; the result has the order of the texts. */
  public List<int[]> encodeBatchIds(List<String> texts, boolean addSpecialTokens) {
    Objects.requireNonNull(texts, "texts is null");
    return inParallel(texts, text -> encodeIds(text, addSpecialTokens));
  }

  // One native call per text on Java's threads: measured faster than the native batch call, which
  // copies all texts in on one thread before its own threads begin.
  private static <T> List<T> inParallel(List<String> texts, Function<String, T> encode) {
    List<String> list = List.copyOf(texts);
    return IntStream.range(0, list.size())
        .parallel()
        .mapToObj(i -> encode.apply(list.get(i)))
        .toList();
  }

  /**
   * Turns ids back into text, as the tokenizers library does (no "clean-up" of spaces). Ids beyond
   * the vocabulary, which a model with padded embeddings can generate, have no text.
   *
   * @throws TokenizerException if an id is negative, as an ignored label is
   */
  public String decode(int[] ids, boolean skipSpecialTokens) {
    Objects.requireNonNull(ids, "ids is null");
    long[] wide = new long[ids.length];
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] < 0) {
        throw new TokenizerException(
            "id " + ids[i] + " at position " + i + " is no token; remove ignored labels first");
      }
      wide[i] = ids[i];
    }
    return tokens.decode(wide, skipSpecialTokens);
  }

  /** Returns a new decoder for ids that arrive one by one. */
  public StreamingDecoder streamingDecoder(boolean skipSpecialTokens) {
    return new StreamingDecoder(this, skipSpecialTokens);
  }

  /** Returns the id of a token, given as it stands in the vocabulary; empty if it is not there. */
  public OptionalInt tokenToId(String token) {
    Objects.requireNonNull(token, "token is null");
    Integer id = json.id(token);
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /**
   * Returns the token of an id, as it stands in the vocabulary.
   *
   * @throws TokenizerException if no token has the id
   */
  public String idToToken(int id) {
    String token = json.token(id);
    if (token == null) {
      throw new TokenizerException(
          "no token has the id " + id + "; the largest id is " + json.maxId());
    }
    return token;
  }

  /** Returns the number of tokens, added ones included: {@code len(tokenizer)} in transformers. */
  public int size() {
    return json.size();
  }

  /**
   * Returns the number of embedding rows that a model needs for this tokenizer: the largest id plus
   * one. More than {@link #size} where ids have gaps.
   */
  public int requiredEmbeddingRows() {
    return json.maxId() + 1;
  }

  /** Returns the id of the begin-of-sequence token, if the tokenizer names one. */
  public OptionalInt bosId() {
    return id(SpecialToken.BOS);
  }

  /** Returns the id of the end-of-sequence token, if the tokenizer names one. */
  public OptionalInt eosId() {
    return id(SpecialToken.EOS);
  }

  /** Returns the id of the padding token, if the tokenizer names one. */
  public OptionalInt padId() {
    return id(SpecialToken.PAD);
  }

  /** Returns the id of the unknown token, if the tokenizer names one. */
  public OptionalInt unkId() {
    return id(SpecialToken.UNK);
  }

  /** Returns the begin-of-sequence token's text, if the tokenizer names one. */
  public Optional<String> bosToken() {
    return token(SpecialToken.BOS);
  }

  /** Returns the end-of-sequence token's text, if the tokenizer names one. */
  public Optional<String> eosToken() {
    return token(SpecialToken.EOS);
  }

  /** Returns the padding token's text, if the tokenizer names one. */
  public Optional<String> padToken() {
    return token(SpecialToken.PAD);
  }

  /** Returns the unknown token's text, if the tokenizer names one. */
  public Optional<String> unkToken() {
    return token(SpecialToken.UNK);
  }

  /** Returns the text of the token that has a role, if the tokenizer names one. */
  public Optional<String> token(SpecialToken role) {
    Objects.requireNonNull(role, "role is null");
    return Optional.ofNullable(files.roles.get(role));
  }

  private OptionalInt id(SpecialToken role) {
    String token = files.roles.get(role);
    return token == null ? OptionalInt.empty() : tokenToId(token);
  }

  /** Returns the texts of all special tokens: those with a role and all others, in id order. */
  public Set<String> specialTokens() {
    Set<String> special = new LinkedHashSet<>();
    for (TokenizerJson.Entry entry : json.addedTokens) {
      if (entry.token().special()) {
        special.add(entry.token().content());
      }
    }
    return Collections.unmodifiableSet(special);
  }

  /**
   * Returns the ids that the tokenizer's own template puts before a text, such as {@code [bos]}.
   */
  public int[] prefixIds() {
    return prefixIds.clone();
  }

  /** Returns the ids that the tokenizer's own template puts after a text; mostly none. */
  public int[] suffixIds() {
    return suffixIds.clone();
  }

  /**
   * Returns a new tokenizer that also knows these tokens. A token that exists already keeps its id
   * (and becomes special if asked for); new ones get the next ids, in order. This tokenizer stays
   * as it is; close both.
   */
  public Tokenizer withAddedTokens(List<AddedToken> tokens) {
    Objects.requireNonNull(tokens, "tokens is null");
    return with(tokens, Map.of());
  }

  /**
   * Returns a new tokenizer in which these tokens have these roles; tokens that do not exist are
   * added as special ones, in the map's order. This tokenizer stays as it is; close both.
   */
  public Tokenizer withSpecialTokens(Map<SpecialToken, String> roles) {
    Objects.requireNonNull(roles, "roles is null");
    List<AddedToken> tokens = new ArrayList<>();
    roles.values().forEach(token -> tokens.add(AddedToken.special(token)));
    return with(tokens, roles);
  }

  /**
   * Adds the special tokens that the tokenizer lacks, as Stanford Alpaca's train.py does: {@code
   * [PAD]}, {@code </s>}, {@code <s>}, {@code <unk>}, each only when no token has that role yet. A
   * token whose text is in the vocabulary already keeps its id. Grow a model's embeddings to {@link
   * #requiredEmbeddingRows} afterwards if they have fewer rows.
   */
  public WithMissingTokens withMissingSpecialTokens() {
    Map<SpecialToken, String> missing = new LinkedHashMap<>();
    missing.put(SpecialToken.PAD, "[PAD]");
    missing.put(SpecialToken.EOS, "</s>");
    missing.put(SpecialToken.BOS, "<s>");
    missing.put(SpecialToken.UNK, "<unk>");
    missing.keySet().removeAll(files.roles.keySet());
    Tokenizer complete = withSpecialTokens(missing);
    return new WithMissingTokens(
        complete, Collections.unmodifiableMap(missing), complete.size() - size());
  }

  /**
   * A tokenizer that has all four roles.
   *
   * @param tokenizer the new tokenizer; the caller closes it
   * @param assigned the roles that were missing, with the tokens that have them now
   * @param newTokens how many of those were not in the vocabulary: rows that embeddings sized to
   *     the old tokenizer must grow by
   */
  public record WithMissingTokens(
      Tokenizer tokenizer, Map<SpecialToken, String> assigned, int newTokens) {}

  private Tokenizer with(List<AddedToken> tokens, Map<SpecialToken, String> roles) {
    TokenizerJson extended =
        json.with(tokens, files.folder.resolve(TokenizerFiles.TOKENIZER).toString());
    if (extended == json && roles.isEmpty()) {
      return new Tokenizer(json, files, chatTemplates);
    }
    Map<SpecialToken, String> ordered = new EnumMap<>(SpecialToken.class);
    ordered.putAll(roles);
    Map<String, String> named = new LinkedHashMap<>();
    roles.forEach((role, token) -> named.put(role.key(), token));
    Map<String, ChatTemplate> templates = new LinkedHashMap<>();
    chatTemplates.forEach((name, t) -> templates.put(name, t.withSpecialTokens(named)));
    return new Tokenizer(extended, files.with(ordered, extended), templates);
  }

  /**
   * Returns the checkpoint's default chat template; empty if it has none, or only named ones. It is
   * parsed at its first rendering.
   */
  public Optional<ChatTemplate> chatTemplate() {
    return chatTemplate(DEFAULT_TEMPLATE);
  }

  /** Returns the checkpoint's chat template of this name; {@code default} is the default one. */
  public Optional<ChatTemplate> chatTemplate(String name) {
    Objects.requireNonNull(name, "name is null");
    return Optional.ofNullable(chatTemplates.get(name));
  }

  /** Returns the text of the {@code tokenizer.json}, with the tokens that were added since. */
  public String toJson() {
    return new String(json.bytes, StandardCharsets.UTF_8);
  }

  /**
   * Writes the tokenizer's files into a folder, which is made if it is missing: {@code
   * tokenizer.json}, the configuration files and chat templates that were there, and the vocabulary
   * that it was made of, with the Python file of a class of the model's own. Files that adding
   * tokens did not touch are written byte for byte. With added tokens, {@code
   * tokenizer_config.json} no longer names such a class, which could not know them, but {@code
   * PreTrainedTokenizerFast}.
   *
   * @throws TokenizerException if a file cannot be written
   */
  public void save(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    files.save(folder, json.bytes);
  }

  @Override
  public void close() {
    tokens.close();
    synchronized (this) {
      if (splitting != null) {
        splitting.close();
      }
    }
  }

  private synchronized SplittingTokenizer splitting() {
    if (splitting == null) {
      splitting = new SplittingTokenizer(json, specialTexts, files.folder);
    }
    return splitting;
  }

  @Override
  public String toString() {
    return "Tokenizer[" + files.folder + ", size=" + size() + ", roles=" + files.roles + "]";
  }
}
