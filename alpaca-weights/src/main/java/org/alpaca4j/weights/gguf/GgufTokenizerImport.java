package org.alpaca4j.weights.gguf;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.TokenizerException;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel.Piece;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel.Type;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceTokenizer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes {@code tokenizer.json} and {@code tokenizer_config.json} from the metadata of a GGUF file:
 * the {@code tokenizer.json} that the file carries, where it agrees with the file's tokens, else
 * one built from tokens, merges or scores, and the name of the pre-tokenizer.
 */
final class GgufTokenizerImport {
  private static final Logger LOG = LoggerFactory.getLogger(GgufTokenizerImport.class);
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Bounds the work on hostile files; real pieces have some thirty characters at most. */
  private static final int MAX_PIECE_LENGTH = 256;

  private final GgufFile file;
  private final GgufMetadata metadata;
  private final @Nullable String preTokenizer;
  private final List<String> tokens;
  private final GgufTokenType[] types;

  /**
   * Reads the tokens.
   *
   * @param rows the rows of the model's embedding
   * @param preTokenizer the name to take instead of the file's, or null
   * @throws CheckpointException if the file has no tokenizer or a malformed one
   */
  GgufTokenizerImport(GgufFile file, int rows, @Nullable String preTokenizer) {
    this.file = file;
    this.metadata = file.metadata();
    this.preTokenizer = preTokenizer;
    this.tokens = strings("tokenizer.ggml.tokens");
    this.types = new GgufTokenType[tokens.size()];
    if (tokens.size() > rows) {
      throw malformed("it has " + tokens.size() + " tokens, but " + rows + " rows of embeddings");
    }
    int[] numbers = metadata.integers("tokenizer.ggml.token_type").orElse(new int[tokens.size()]);
    if (numbers.length != tokens.size()) {
      throw malformed("it has " + numbers.length + " token types for " + tokens.size() + " tokens");
    }
    for (int id = 0; id < numbers.length; id++) {
      types[id] = GgufTokenType.ofId(numbers[id]);
    }
  }

  private CheckpointException malformed(String why) {
    return new CheckpointException("The tokenizer of " + file.file() + " is malformed: " + why);
  }

  private List<String> strings(String key) {
    return metadata.strings(key).orElseThrow(() -> metadata.missing(key));
  }

  /** Returns the id of a role, such as {@code bos}, if the file names one. */
  Optional<Integer> id(String role) {
    String key = "tokenizer.ggml." + role + "_token_id";
    Optional<Integer> id = metadata.integer(key).filter(n -> n != Integer.MAX_VALUE);
    id.filter(n -> n >= tokens.size())
        .ifPresent(
            n -> {
              throw malformed(key + " is " + n + ", but there are " + tokens.size() + " tokens");
            });
    return id;
  }

  /**
   * Writes the files.
   *
   * @param tokenizer what {@link #tokenizer()} returned
   */
  void write(Path folder, JsonNode tokenizer, int contextLength) throws IOException {
    // By way of a String: some versions of Jackson write names beyond the BMP as bytes that are no
    // UTF-8.
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer.toString());
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        JSON.writerWithDefaultPrettyPrinter().writeValueAsString(config(contextLength)) + "\n");
  }

  /**
   * Returns the {@code tokenizer.json}.
   *
   * @throws CheckpointException if the file's tokenizer is malformed
   * @throws UnsupportedModelException if it is of a kind that is not known here
   */
  JsonNode tokenizer() {
    return carried().orElseGet(this::built);
  }

  private Optional<JsonNode> carried() {
    Optional<String> text = metadata.string("tokenizer.huggingface.json");
    if (text.isEmpty()) {
      return Optional.empty();
    }
    try {
      JsonNode json = JSON.readTree(text.get());
      for (Map.Entry<String, JsonNode> entry : json.path("model").path("vocab").properties()) {
        int id = entry.getValue().asInt(-1);
        if (id < 0 || id >= tokens.size() || !entry.getKey().equals(tokens.get(id))) {
          LOG.warn(
              "{}: tokenizer.huggingface.json has '{}' as token {}, which tokenizer.ggml.tokens"
                  + " does not; it is left aside",
              file.file(),
              entry.getKey(),
              id);
          return Optional.empty();
        }
      }
      if (json.path("model").path("vocab").isObject()) {
        return Optional.of(json);
      }
      LOG.warn("{}: tokenizer.huggingface.json has no vocabulary; left aside", file.file());
    } catch (JsonProcessingException e) {
      LOG.warn("{}: tokenizer.huggingface.json is not JSON; it is left aside", file.file());
    }
    return Optional.empty();
  }

  private JsonNode built() {
    String model = GgufHyperparameters.required(metadata, "tokenizer.ggml.model");
    return switch (model) {
      case "gpt2" -> buildByteLevel();
      case "llama" -> buildSentencePiece();
      default ->
          throw new UnsupportedModelException(
              file.file()
                  + ": tokenizer.ggml.model "
                  + model
                  + " is not supported; supported: gpt2, llama");
    };
  }

  private JsonNode buildByteLevel() {
    ObjectNode json = JSON.createObjectNode();
    json.put("version", "1.0").putNull("truncation").putNull("padding");
    addAddedTokens(json.putArray("added_tokens"));
    String name =
        preTokenizer != null
            ? preTokenizer
            : metadata.string("tokenizer.ggml.pre").orElse("default");
    GgufPreTokenizer pre =
        GgufPreTokenizer.named(name)
            .orElseThrow(
                () ->
                    new UnsupportedModelException(
                        file.file()
                            + ": how tokenizer.ggml.pre '"
                            + name
                            + "' splits text is not"
                            + " known here; if it is one of "
                            + GgufPreTokenizer.allNames()
                            + ", set preTokenizer(name)"));
    if (pre.composes()) {
      json.putObject("normalizer").put("type", "NFC");
    } else {
      json.putNull("normalizer");
    }
    json.set("pre_tokenizer", pre.toJson());
    // llama.cpp begins texts of these kinds with BOS unless the file says otherwise.
    addPostProcessor(json, pre == GgufPreTokenizer.LLAMA3 || pre == GgufPreTokenizer.TEKKEN);
    ObjectNode decoder = json.putObject("decoder").put("type", "ByteLevel");
    decoder.put("add_prefix_space", true).put("trim_offsets", true).put("use_regex", true);
    ObjectNode model = model(json);
    model.putNull("unk_token").put("fuse_unk", false).put("byte_fallback", false);
    model.put("ignore_merges", pre.ignoreMerges());
    addVocabulary(model);
    ArrayNode merges = model.putArray("merges");
    for (String merge : strings("tokenizer.ggml.merges")) {
      int split = merge.indexOf(' ', 1);
      if (split < 0) {
        throw malformed("the merge '" + merge + "' is not two tokens with a blank between");
      }
      merges.addArray().add(merge.substring(0, split)).add(merge.substring(split + 1));
    }
    return json;
  }

  /** The metadata are those of a SentencePiece model under other names. */
  private JsonNode buildSentencePiece() {
    float[] scores =
        metadata
            .floats("tokenizer.ggml.scores")
            .orElseThrow(() -> metadata.missing("tokenizer.ggml.scores"));
    if (scores.length != tokens.size()) {
      throw malformed("it has " + scores.length + " scores for " + tokens.size() + " tokens");
    }
    List<Piece> pieces = new ArrayList<>();
    for (int id = 0; id < scores.length; id++) {
      String text = tokens.get(id);
      if (text.length() > MAX_PIECE_LENGTH) {
        throw malformed("token " + id + " has " + text.length() + " characters");
      }
      Type type = text.isEmpty() ? Type.UNUSED : Type.valueOf(types[id].name());
      pieces.add(new Piece(text, scores[id], type));
    }
    int unknown = List.of(types).indexOf(GgufTokenType.UNKNOWN);
    SentencePieceModel model =
        new SentencePieceModel(
            pieces,
            true,
            metadata.flag("tokenizer.ggml.add_space_prefix").orElse(true),
            id("bos").map(tokens::get).orElse(""),
            id("eos").map(tokens::get).orElse(""),
            id("padding").map(tokens::get).orElse(""),
            unknown < 0 ? "" : tokens.get(unknown));
    boolean addBos = metadata.flag("tokenizer.ggml.add_bos_token").orElse(true);
    boolean addEos = metadata.flag("tokenizer.ggml.add_eos_token").orElse(false);
    try {
      JsonNode json =
          JSON.readTree(
              new SentencePieceTokenizer(model)
                  .tokenizerJson(addBos, addEos, file.file().toString()));
      ObjectNode vocabulary = (ObjectNode) json.path("model").path("vocab");
      for (int id = 0; id < scores.length; id++) {
        if (isPlaceholder(id)) {
          vocabulary.remove(tokens.get(id));
        }
      }
      return json;
    } catch (TokenizerException e) {
      throw malformed(String.valueOf(e.getMessage()));
    } catch (IOException e) {
      throw new IllegalStateException("The tokenizer was written as JSON", e);
    }
  }

  private static ObjectNode model(ObjectNode json) {
    ObjectNode model = json.putObject("model").put("type", "BPE").putNull("dropout");
    return model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
  }

  private void addVocabulary(ObjectNode model) {
    ObjectNode vocabulary = model.putObject("vocab");
    for (int id = 0; id < tokens.size(); id++) {
      if (!isPlaceholder(id)) {
        vocabulary.put(tokens.get(id), id);
      }
    }
  }

  /** Whether a token only fills a row of the embedding that has none. */
  private boolean isPlaceholder(int id) {
    return types[id] == GgufTokenType.UNUSED && tokens.get(id).equals(GgufTokenType.unusedText(id));
  }

  private void addAddedTokens(ArrayNode added) {
    for (int id = 0; id < tokens.size(); id++) {
      boolean special = types[id] == GgufTokenType.CONTROL || types[id] == GgufTokenType.UNKNOWN;
      if (special || types[id] == GgufTokenType.USER_DEFINED) {
        ObjectNode token = added.addObject().put("id", id).put("content", tokens.get(id));
        token.put("single_word", false).put("lstrip", false).put("rstrip", false);
        token.put("normalized", false).put("special", special);
      }
    }
  }

  /** Adds the begin and end tokens that the file says are put around a text. */
  private void addPostProcessor(ObjectNode json, boolean bosByDefault) {
    Optional<Integer> bos =
        id("bos").filter(n -> metadata.flag("tokenizer.ggml.add_bos_token").orElse(bosByDefault));
    Optional<Integer> eos =
        id("eos").filter(n -> metadata.flag("tokenizer.ggml.add_eos_token").orElse(false));
    if (bos.isEmpty() && eos.isEmpty()) {
      json.putNull("post_processor");
      return;
    }
    ObjectNode processor = json.putObject("post_processor").put("type", "TemplateProcessing");
    ArrayNode single = processor.putArray("single");
    ArrayNode pair = processor.putArray("pair");
    addTemplate(single, "A", 0, bos, eos);
    addTemplate(pair, "A", 0, bos, eos);
    addTemplate(pair, "B", 1, bos, eos);
    ObjectNode specials = processor.putObject("special_tokens");
    for (Optional<Integer> id : List.of(bos, eos)) {
      id.ifPresent(
          n -> {
            ObjectNode special = specials.putObject(tokens.get(n)).put("id", tokens.get(n));
            special.putArray("ids").add(n);
            special.putArray("tokens").add(tokens.get(n));
          });
    }
  }

  private void addTemplate(
      ArrayNode template,
      String sequence,
      int typeId,
      Optional<Integer> bos,
      Optional<Integer> eos) {
    bos.ifPresent(n -> piece(template, "SpecialToken", tokens.get(n), typeId));
    piece(template, "Sequence", sequence, typeId);
    eos.ifPresent(n -> piece(template, "SpecialToken", tokens.get(n), typeId));
  }

  private static void piece(ArrayNode template, String kind, String id, int typeId) {
    template.addObject().putObject(kind).put("id", id).put("type_id", typeId);
  }

  private ObjectNode config(int contextLength) {
    ObjectNode config = JSON.createObjectNode();
    Map<String, String> roles =
        Map.of("bos", "bos", "eos", "eos", "unknown", "unk", "padding", "pad");
    for (String role : List.of("bos", "eos", "unknown", "padding")) {
      id(role).ifPresent(n -> config.put(roles.get(role) + "_token", tokens.get(n)));
    }
    addTemplates(config);
    config.put("clean_up_tokenization_spaces", false);
    config.put("model_max_length", contextLength);
    config.put("tokenizer_class", "PreTrainedTokenizerFast");
    return config;
  }

  private void addTemplates(ObjectNode config) {
    Optional<String> template = metadata.string("tokenizer.chat_template");
    List<String> names = metadata.strings("tokenizer.chat_templates").orElse(List.of());
    if (names.isEmpty()) {
      template.ifPresent(text -> config.put("chat_template", text));
      return;
    }
    ArrayNode list = config.putArray("chat_template");
    template.ifPresent(text -> list.addObject().put("name", "default").put("template", text));
    for (String name : names) {
      metadata
          .string("tokenizer.chat_template." + name)
          .ifPresent(text -> list.addObject().put("name", name).put("template", text));
    }
  }
}
