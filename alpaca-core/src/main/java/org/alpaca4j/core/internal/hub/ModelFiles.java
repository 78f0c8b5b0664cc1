package org.alpaca4j.core.internal.hub;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.alpaca4j.core.HubException;

/**
 * Which files of a repository a model needs. Files are taken by names known here, never by what the
 * hub lists: so none can leave the snapshot's folder, and no copy of the weights in another format
 * is fetched.
 */
final class ModelFiles {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Set<String> TOKENIZER =
      Set.of(
          "added_tokens.json",
          "alpaca4j_conformance.json",
          "chat_template.jinja",
          "chat_template.json",
          "config.json",
          "ice_text.model",
          "merges.txt",
          "prompt_template.json",
          "qwen.tiktoken",
          "special_tokens_map.json",
          "tokenizer.json",
          "tokenizer.model",
          "tokenizer_config.json",
          "vocab.json");

  /** Any of these is enough; of the last one, the other half comes along. */
  private static final List<String> VOCABULARIES =
      List.of("tokenizer.json", "tokenizer.model", "ice_text.model", "qwen.tiktoken", "vocab.json");

  private static final Pattern TEMPLATE =
      Pattern.compile("additional_chat_templates/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\\.jinja");
  private static final Pattern SHARD =
      Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\\.(safetensors|bin)");

  /** The weights' names by format, the one that is preferred first. */
  private static final List<String> WEIGHTS = List.of("model.safetensors", "pytorch_model.bin");

  private ModelFiles() {}

  /** Returns those of the listed files that come first: all but the weights themselves. */
  static Set<String> small(Collection<String> listed, boolean withWeights) {
    Set<String> wanted = new TreeSet<>();
    for (String file : listed) {
      if (TOKENIZER.contains(file)
          || TEMPLATE.matcher(file).matches()
          || (withWeights && file.equals("generation_config.json"))) {
        wanted.add(file);
      }
    }
    if (withWeights) {
      for (String single : WEIGHTS) {
        String index = single + ".index.json";
        if (listed.contains(index)) {
          wanted.add(index);
        }
        if (listed.contains(index) || listed.contains(single)) {
          break;
        }
      }
    }
    return wanted;
  }

  /**
   * Returns the files of weights to read from a snapshot, as {@code Checkpoint} chooses among them;
   * empty if there are none.
   *
   * @param snapshot holds the index, where there is one
   * @param exists whether the hub, or the cache, has a file
   */
  static Set<String> weights(Path snapshot, Predicate<String> exists) throws IOException {
    for (String single : WEIGHTS) {
      Path index = snapshot.resolve(single + ".index.json");
      if (Files.isRegularFile(index)) {
        Set<String> shards = shards(index);
        if (!exists.test(single) || shards.contains(single)) {
          return shards;
        }
      }
      if (exists.test(single)) {
        return Set.of(single);
      }
    }
    return Set.of();
  }

  private static Set<String> shards(Path index) throws IOException {
    JsonNode map = JSON.readTree(Files.readAllBytes(index)).path("weight_map");
    Set<String> shards = new TreeSet<>();
    for (JsonNode shard : map) {
      if (!SHARD.matcher(shard.asText()).matches()) {
        throw new HubException(
            index + " names '" + shard.asText() + "', which is not a plain name of weights");
      }
      shards.add(shard.asText());
    }
    if (shards.isEmpty()) {
      throw new HubException(index + " names no files of weights in weight_map");
    }
    return shards;
  }

  /** Whether a snapshot has all that can be done without no longer: enough when offline. */
  static boolean suffices(Path snapshot, boolean withWeights) throws IOException {
    if (!withWeights) {
      return VOCABULARIES.stream().anyMatch(file -> has(snapshot, file));
    }
    Set<String> weights = weights(snapshot, file -> has(snapshot, file));
    return has(snapshot, "config.json")
        && !weights.isEmpty()
        && weights.stream().allMatch(file -> has(snapshot, file));
  }

  /** Whether a snapshot surely has all that would be fetched, so that nobody need be asked. */
  static boolean complete(Path snapshot, boolean withWeights) throws IOException {
    return suffices(snapshot, withWeights)
        && suffices(snapshot, false)
        && has(snapshot, "tokenizer_config.json");
  }

  private static boolean has(Path snapshot, String file) {
    return Files.isRegularFile(snapshot.resolve(file));
  }
}
