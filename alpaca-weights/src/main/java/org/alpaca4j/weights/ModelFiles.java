package org.alpaca4j.weights;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.alpaca4j.core.CheckpointException;
import org.jspecify.annotations.Nullable;

/**
 * The files beside a model's weights: configuration, tokenizer, chat templates. Names are relative
 * to the folder, {@code additional_chat_templates/NAME} for further templates.
 */
final class ModelFiles {
  static final String CONFIG = "config.json";

  /** The configuration's name in an exact diff: without a config.json nobody loads it. */
  static final String TUNED_CONFIG = "tuned_config.json";

  private static final String TEMPLATES = "additional_chat_templates";
  private static final Set<String> TOKENIZER_AND_GENERATION =
      Set.of(
          "generation_config.json",
          "prompt_template.json",
          "tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "added_tokens.json",
          "tokenizer.model",
          "ice_text.model",
          "qwen.tiktoken",
          "vocab.json",
          "merges.txt",
          "vocab.txt",
          "spiece.model",
          "chat_template.jinja",
          "chat_template.json");

  /** Endings of weights, a folder's own and other programs'. */
  private static final List<String> WEIGHTS =
      List.of(
          ".safetensors",
          ".bin",
          ".pth",
          ".pt",
          ".h5",
          ".msgpack",
          ".gguf",
          ".onnx",
          ".index.json");

  private static final long MAX_BYTES = 200_000_000;

  private ModelFiles() {}

  /** Returns a folder's configuration file, that of an exact diff too, if it has one. */
  static @Nullable Path configOf(Path folder) {
    for (String name : List.of(CONFIG, TUNED_CONFIG)) {
      if (Files.isRegularFile(folder.resolve(name))) {
        return folder.resolve(name);
      }
    }
    return null;
  }

  /** Returns all files of a folder but weights and hidden ones. */
  static Set<String> besideWeights(Path folder) {
    Set<String> names = new TreeSet<>();
    add(folder, "", names);
    if (Files.isDirectory(folder.resolve(TEMPLATES))) {
      add(folder.resolve(TEMPLATES), TEMPLATES + "/", names);
    }
    return names;
  }

  /**
   * Returns the files that a published model has beside weights and configuration. What else lies
   * in a folder, such as the records of a training run, is nobody else's business.
   */
  static Set<String> published(Path folder) {
    Set<String> names = besideWeights(folder);
    names.removeIf(
        name -> !TOKENIZER_AND_GENERATION.contains(name) && !name.startsWith(TEMPLATES + "/"));
    return names;
  }

  private static void add(Path folder, String prefix, Set<String> names) {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        String name = String.valueOf(file.getFileName());
        if (Files.isRegularFile(file)
            && !name.startsWith(".")
            && WEIGHTS.stream().noneMatch(name.toLowerCase(Locale.ROOT)::endsWith)) {
          names.add(prefix + name);
        }
      }
    } catch (IOException e) {
      throw new CheckpointException("Cannot list " + folder + ": " + e, e);
    }
  }

  /** Copies files of one folder into another. */
  static void copy(Set<String> names, Path from, Path to) throws IOException {
    for (String name : names) {
      Path target = to.resolve(name);
      Files.createDirectories(target.resolveSibling(""));
      Files.copy(from.resolve(name), target);
    }
  }

  /** Returns the bytes of a file, unless it is absurdly large. */
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
