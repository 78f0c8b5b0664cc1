package org.alpaca4j.weights;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.jspecify.annotations.Nullable;

/** What goes with the weights of a model: its configuration, its tokenizer. */
final class ModelFiles {
  static final String CONFIG = "config.json";

  /** The configuration's name in an exact diff: without a config.json nobody loads it. */
  static final String TUNED_CONFIG = "tuned_config.json";

  private static final List<String> COMPANIONS =
      List.of(
          "generation_config.json",
          "prompt_template.json",
          "tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "added_tokens.json",
          "tokenizer.model",
          "vocab.json",
          "merges.txt",
          "vocab.txt",
          "spiece.model",
          "chat_template.jinja",
          "chat_template.json");
  private static final long MAX_BYTES = 200_000_000;
  private static final ObjectMapper JSON = new ObjectMapper();

  private ModelFiles() {}

  /** Returns a folder's configuration file, if it has one. */
  static @Nullable Path configOf(Path folder) {
    for (String name : List.of(CONFIG, TUNED_CONFIG)) {
      if (Files.isRegularFile(folder.resolve(name))) {
        return folder.resolve(name);
      }
    }
    return null;
  }

  static ModelConfig config(Path file) {
    return ModelConfig.parse(new String(read(file), StandardCharsets.UTF_8), file.toString());
  }

  /** Returns a top-level truth value of a configuration, false where there is none. */
  static boolean flag(Path config, String field) {
    return parse(config, read(config)).path(field).asBoolean(false);
  }

  /**
   * Returns a configuration for weights of a type and a number of embedding rows: unchanged if that
   * is what it says, else with its fields {@code dtype} or {@code torch_dtype}, and {@code
   * vocab_size}, corrected.
   *
   * @param dtype of all weights, or null if they have several
   * @param rows of the embedding, or 0 if that is unknown
   */
  static String adapted(Path config, @Nullable DType dtype, long rows) {
    byte[] bytes = read(config);
    ObjectNode fields = parse(config, bytes);
    ObjectNode before = fields.deepCopy();
    if (dtype != null) {
      for (String field : List.of("dtype", "torch_dtype")) {
        if (fields.has(field)) {
          fields.put(field, dtype.torchName());
        }
      }
    }
    if (rows > 0 && fields.has("vocab_size") && fields.get("vocab_size").asLong() != rows) {
      fields.put("vocab_size", rows);
    }
    return fields.equals(before)
        ? new String(bytes, StandardCharsets.UTF_8)
        : fields.toPrettyString() + "\n";
  }

  private static ObjectNode parse(Path file, byte[] bytes) {
    try {
      JsonNode node = JSON.readTree(bytes);
      if (node instanceof ObjectNode object) {
        return object;
      }
      throw new CheckpointException(file + " is not a JSON object");
    } catch (JsonProcessingException e) {
      throw new CheckpointException(file + " is not JSON: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    }
  }

  /** Returns the tokenizer's and generation's files of a folder, by name. */
  static Map<String, byte[]> companions(Path folder) {
    Map<String, byte[]> found = new TreeMap<>();
    for (String name : COMPANIONS) {
      if (Files.isRegularFile(folder.resolve(name))) {
        found.put(name, read(folder.resolve(name)));
      }
    }
    return found;
  }

  static void write(Map<String, byte[]> files, Path folder) throws IOException {
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      Files.write(folder.resolve(file.getKey()), file.getValue());
    }
  }

  static byte[] read(Path file) {
    try {
      long size = Files.size(file);
      if (size > MAX_BYTES) {
        throw new CheckpointException(
            file + " has " + size + " bytes, more than the " + MAX_BYTES + " permitted");
      }
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    }
  }
}
