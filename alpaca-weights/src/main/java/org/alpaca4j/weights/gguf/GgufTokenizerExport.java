package org.alpaca4j.weights.gguf;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.core.UnsupportedModelException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A checkpoint folder's tokenizer and chat templates as metadata of a GGUF file, under the keys
 * {@code tokenizer.*} of ggml's {@code docs/gguf.md}: byte-level BPE as model {@code gpt2},
 * SentencePiece BPE with byte fallback as model {@code llama}.
 */
final class GgufTokenizerExport {
  private static final Logger LOG = LoggerFactory.getLogger(GgufTokenizerExport.class);
  private static final ObjectMapper JSON = new ObjectMapper();

  /** The score of pieces that no merge makes, unless there are more merges than that. */
  private static final float WORST = -1e5f;

  private final Path folder;
  private final ModelConfig config;
  private final @Nullable String preTokenizer;
  private final boolean embedJson;
  private final Map<String, GgufValue> metadata = new LinkedHashMap<>();

  GgufTokenizerExport(
      Path folder, ModelConfig config, @Nullable String preTokenizer, boolean embedJson) {
    this.folder = folder;
    this.config = config;
    this.preTokenizer = preTokenizer;
    this.embedJson = embedJson;
  }

  /**
   * Returns the metadata.
   *
   * @throws CheckpointException if the tokenizer has more tokens than the model has rows
   * @throws UnsupportedModelException if it is of another kind, or splits text in a way that
   *     llama.cpp has no name for
   */
  Map<String, GgufValue> write() {
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      String text = tokenizer.toJson();
      JsonNode json = parse(text);
      JsonNode model = json.path("model");
      if (!model.path("type").asText("BPE").equals("BPE")) {
        throw unsupported("its model is " + model.path("type") + "; supported: BPE");
      }
      if (model.path("byte_fallback").asBoolean()) {
        writeSentencePiece(json);
      } else {
        writeByteLevel(json);
      }
      writeIds(tokenizer);
      writeTemplates();
      if (embedJson) {
        metadata.put("tokenizer.huggingface.json", GgufValue.of(text));
      }
      return metadata;
    }
  }

  private JsonNode parse(String text) {
    try {
      return JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new CheckpointException(folder + ": tokenizer.json is not JSON", e);
    }
  }

  private UnsupportedModelException unsupported(String why) {
    return new UnsupportedModelException(
        "The tokenizer of " + folder + " cannot be exported: " + why);
  }

  private void writeByteLevel(JsonNode json) {
    String pre = preTokenizer;
    if (pre == null) {
      pre =
          GgufPreTokenizer.of(json)
              .orElseThrow(
                  () ->
                      unsupported(
                          "llama.cpp has no name known here for its pre_tokenizer "
                              + json.path("pre_tokenizer")
                              + " with ignore_merges "
                              + json.path("model").path("ignore_merges").asBoolean()
                              + "; if you know one that splits alike, set preTokenizer(name)"))
              .ggufName();
    }
    metadata.put("tokenizer.ggml.model", GgufValue.of("gpt2"));
    metadata.put("tokenizer.ggml.pre", GgufValue.of(pre));
    metadata.put("tokenizer.ggml.add_space_prefix", GgufValue.of(false));
    Tokens tokens = tokens(json);
    writeTokens(tokens);
    List<String> merges = new ArrayList<>();
    for (String[] merge : merges(json)) {
      merges.add(merge[0] + " " + merge[1]);
    }
    metadata.put("tokenizer.ggml.merges", GgufValue.strings(merges));
  }

  private void writeSentencePiece(JsonNode json) {
    metadata.put("tokenizer.ggml.model", GgufValue.of("llama"));
    metadata.put("tokenizer.ggml.pre", GgufValue.of("default"));
    metadata.put("tokenizer.ggml.add_space_prefix", GgufValue.of(addsSpace(json)));
    Tokens tokens = tokens(json);
    String unknown = json.path("model").path("unk_token").asText("");
    Map<String, Integer> ids = new HashMap<>();
    for (int id = 0; id < tokens.texts.length; id++) {
      String text = tokens.texts[id];
      ids.put(text, id);
      if (text.equals(unknown)) {
        tokens.types[id] = GgufTokenType.UNKNOWN;
      } else if (tokens.types[id] == GgufTokenType.NORMAL && text.matches("<0x[0-9A-F]{2}>")) {
        tokens.types[id] = GgufTokenType.BYTE;
      }
    }
    writeTokens(tokens);
    metadata.put("tokenizer.ggml.scores", GgufValue.float32s(scores(json, tokens, ids)));
  }

  /**
   * Merges come in the order of the scores of what they make, best first; so their order tells all
   * that matters of the scores. SentencePiece itself has -0, -1, -2 … for pieces with merges.
   */
  private float[] scores(JsonNode json, Tokens tokens, Map<String, Integer> ids) {
    float[] scores = new float[tokens.texts.length];
    for (int id = 0; id < scores.length; id++) {
      boolean piece =
          tokens.types[id] == GgufTokenType.NORMAL
              || tokens.types[id] == GgufTokenType.USER_DEFINED;
      scores[id] = piece ? Float.NEGATIVE_INFINITY : 0;
    }
    int rank = 0;
    for (String[] merge : merges(json)) {
      Integer id = ids.get(merge[0] + merge[1]);
      if (id != null && scores[id] == Float.NEGATIVE_INFINITY) {
        scores[id] = -rank++;
      }
    }
    for (int id = 0; id < scores.length; id++) {
      scores[id] = Math.max(scores[id], Math.min(WORST, -rank));
    }
    return scores;
  }

  /** Whether a text gets a blank before its first word. */
  private boolean addsSpace(JsonNode json) {
    boolean adds = false;
    JsonNode normalizer = json.path("normalizer");
    for (JsonNode part : parts(normalizer, "normalizers")) {
      switch (part.path("type").asText()) {
        case "Prepend" -> adds = true;
        case "Replace", "" -> {}
        default -> throw unsupported("llama.cpp does not compute its normalizer " + part);
      }
    }
    for (JsonNode part : parts(json.path("pre_tokenizer"), "pretokenizers")) {
      switch (part.path("type").asText()) {
        case "Metaspace" -> {
          String scheme = part.path("prepend_scheme").asText("always");
          adds |= !scheme.equals("never");
          if (scheme.equals("first")) {
            LOG.warn(
                "{}: llama.cpp will put a blank before text that follows a special token too,"
                    + " where this tokenizer only has one at the begin (prepend_scheme first)",
                folder);
          }
        }
        case "" -> {}
        case "Split" -> {
          // Gemma splits at blanks, of which its normalizer has left none.
          if (!part.path("pattern").path("String").asText().equals(" ")) {
            throw unsupported("llama.cpp does not compute its pre_tokenizer " + part);
          }
        }
        default -> throw unsupported("llama.cpp does not compute its pre_tokenizer " + part);
      }
    }
    return adds;
  }

  private static Iterable<JsonNode> parts(JsonNode node, String field) {
    return node.path("type").asText().equals("Sequence") ? node.path(field) : List.of(node);
  }

  private static List<String[]> merges(JsonNode json) {
    List<String[]> merges = new ArrayList<>();
    for (JsonNode merge : json.path("model").path("merges")) {
      merges.add(
          merge.isArray()
              ? new String[] {merge.path(0).asText(), merge.path(1).asText()}
              : merge.asText().split(" ", 2));
    }
    return merges;
  }

  /** The rows of the embedding, each with its token. */
  private record Tokens(String[] texts, GgufTokenType[] types) {}

  private Tokens tokens(JsonNode json) {
    int rows = config.vocabSize();
    Tokens tokens = new Tokens(new String[rows], new GgufTokenType[rows]);
    Arrays.fill(tokens.types, GgufTokenType.UNUSED);
    for (int id = 0; id < rows; id++) {
      tokens.texts[id] = GgufTokenType.unusedText(id);
    }
    for (Map.Entry<String, JsonNode> entry : json.path("model").path("vocab").properties()) {
      set(tokens, entry.getValue().asInt(), entry.getKey(), GgufTokenType.NORMAL);
    }
    List<String> inexpressible = new ArrayList<>();
    for (JsonNode added : json.path("added_tokens")) {
      boolean special = added.path("special").asBoolean();
      String text = added.path("content").asText();
      set(
          tokens,
          added.path("id").asInt(),
          text,
          special ? GgufTokenType.CONTROL : GgufTokenType.USER_DEFINED);
      if (added.path("lstrip").asBoolean()
          || added.path("rstrip").asBoolean()
          || added.path("single_word").asBoolean()) {
        inexpressible.add(text);
      }
    }
    if (!inexpressible.isEmpty()) {
      LOG.warn(
          "{}: GGUF has no place for lstrip, rstrip and single_word of the added tokens {}",
          folder,
          inexpressible);
    }
    return tokens;
  }

  private void set(Tokens tokens, int id, String text, GgufTokenType type) {
    if (id < 0 || id >= tokens.texts.length) {
      throw new CheckpointException(
          folder
              + ": token '"
              + text
              + "' has the id "
              + id
              + ", but the model has only "
              + tokens.texts.length
              + " rows (vocab_size); resize its embeddings or take the tokenizer that belongs to it");
    }
    tokens.texts[id] = text;
    tokens.types[id] = type;
  }

  private void writeTokens(Tokens tokens) {
    metadata.put("tokenizer.ggml.tokens", GgufValue.strings(List.of(tokens.texts)));
    int[] types = Arrays.stream(tokens.types).mapToInt(GgufTokenType::id).toArray();
    metadata.put("tokenizer.ggml.token_type", GgufValue.int32s(types));
  }

  private void writeIds(Tokenizer tokenizer) {
    OptionalInt bos = either(tokenizer.bosId(), config.bosTokenId());
    Set<Integer> ends = new LinkedHashSet<>();
    tokenizer.eosId().ifPresent(ends::add);
    ends.addAll(config.eosTokenIds());
    id("bos", bos);
    // What else ends a text has keys of its own: end of turn, end of message.
    List<String> keys = List.of("eos", "eot", "eom");
    int key = 0;
    for (int end : ends) {
      if (key < keys.size()) {
        id(keys.get(key++), OptionalInt.of(end));
      }
    }
    id("unknown", tokenizer.unkId());
    id("padding", either(tokenizer.padId(), config.padTokenId()));
    metadata.put(
        "tokenizer.ggml.add_bos_token", GgufValue.of(adds(tokenizer.prefixIds(), bos, "begin")));
    OptionalInt eos = ends.isEmpty() ? OptionalInt.empty() : OptionalInt.of(ends.iterator().next());
    metadata.put(
        "tokenizer.ggml.add_eos_token", GgufValue.of(adds(tokenizer.suffixIds(), eos, "end")));
  }

  private static OptionalInt either(OptionalInt first, OptionalInt second) {
    return first.isPresent() ? first : second;
  }

  private void id(String role, OptionalInt id) {
    if (id.isPresent() && id.getAsInt() < config.vocabSize()) {
      metadata.put("tokenizer.ggml." + role + "_token_id", GgufValue.uint32(id.getAsInt()));
    }
  }

  private boolean adds(int[] ids, OptionalInt token, String where) {
    boolean adds = ids.length == 1 && token.isPresent() && ids[0] == token.getAsInt();
    if (!adds && ids.length > 0) {
      LOG.warn(
          "{}: the tokenizer adds the tokens {} at the {} of a text, which GGUF cannot say",
          folder,
          ids,
          where);
    }
    return adds;
  }

  private void writeTemplates() {
    Map<String, ChatTemplate> templates = ChatTemplate.loadAll(folder);
    List<String> named = new ArrayList<>();
    templates.forEach(
        (name, template) -> {
          String key = "tokenizer.chat_template";
          if (!name.equals("default")) {
            key += "." + name;
            named.add(name);
          }
          metadata.put(key, GgufValue.of(template.source()));
        });
    if (!named.isEmpty()) {
      metadata.put("tokenizer.chat_templates", GgufValue.strings(named));
    }
  }
}
