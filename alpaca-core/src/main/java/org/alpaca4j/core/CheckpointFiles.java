package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.alpaca4j.core.internal.JsonProblem;
import org.alpaca4j.core.internal.Names;
import org.alpaca4j.core.internal.Placeholder;
import org.alpaca4j.core.internal.StagedFolder;

/**
 * Finds and opens the files of a checkpoint: which format, one file or shards, and whether the
 * shards hold what their index promises.
 *
 * @param folder that holds the files, absolute
 * @param tensors of all files by name, sorted
 * @param containers the open files, by path; closed by whoever takes them
 */
record CheckpointFiles(
    Path folder, Map<String, TensorInfo> tensors, Map<Path, TensorContainer> containers) {
  private static final long MAX_INDEX_BYTES = 100_000_000;
  private static final int MAX_NAME_LENGTH = 255;

  /** The formats in the order in which transformers looks for them. */
  private enum Format {
    SAFETENSORS("model.safetensors", ".safetensors"),
    PYTORCH("pytorch_model.bin", ".bin");

    final String single;
    final String index;
    final String extension;

    Format(String single, String extension) {
      this.single = single;
      this.index = single + ".index.json";
      this.extension = extension;
    }

    /** Whether a file that is named by itself is taken to be of this format. */
    boolean fits(String file) {
      return file.endsWith(extension)
          || this == PYTORCH && (file.endsWith(".pth") || file.endsWith(".pt"));
    }

    TensorContainer open(Path file) {
      requireNoPlaceholder(file);
      return this == PYTORCH ? PytorchFile.open(file) : SafetensorsFile.open(file);
    }
  }

  /**
   * Opens the files of a folder, or one file.
   *
   * @param path absolute
   * @throws CheckpointException as {@link Checkpoint#open}
   */
  static CheckpointFiles open(Path path) {
    if (Files.isRegularFile(path)) {
      Path parent = path.getParent();
      for (Format format : Format.values()) {
        if (format.fits(path.toString())) {
          return openSingle(format, parent == null ? path : parent, path);
        }
      }
      throw new CheckpointException(
          path + " is no file of weights that can be read; " + wayOutFor(path.toString()));
    }
    if (!Files.isDirectory(path)) {
      throw new CheckpointException(path + " does not exist" + asideHint(path));
    }
    for (Format format : Format.values()) {
      Path single = path.resolve(format.single);
      Path index = path.resolve(format.index);
      if (Files.exists(index)) {
        Map<String, String> shardOfTensor = readIndex(format, index);
        if (!Files.exists(single) || shardOfTensor.containsValue(format.single)) {
          return openSharded(format, path, index, shardOfTensor);
        }
      }
      if (Files.exists(single)) {
        return openSingle(format, path, single);
      }
    }
    throw noWeights(path);
  }

  private static CheckpointFiles openSingle(Format format, Path folder, Path file) {
    TensorContainer container = format.open(file);
    Map<String, TensorInfo> tensors = new TreeMap<>();
    for (TensorInfo tensor : container.tensors()) {
      tensors.put(tensor.name(), tensor);
    }
    Map<Path, TensorContainer> containers = new LinkedHashMap<>();
    containers.put(file, container);
    return new CheckpointFiles(folder, tensors, containers);
  }

  private static CheckpointFiles openSharded(
      Format format, Path folder, Path index, Map<String, String> shardOfTensor) {
    Map<Path, TensorContainer> containers = new LinkedHashMap<>();
    boolean opened = false;
    try {
      Map<String, TensorInfo> tensors = new TreeMap<>();
      for (String shard : new TreeSet<>(shardOfTensor.values())) {
        Path file = folder.resolve(shard);
        if (!Files.isRegularFile(file)) {
          throw new CheckpointException(
              index + " names the shard " + shard + ", which is not in the folder; fetch it again");
        }
        TensorContainer container = format.open(file);
        containers.put(file, container);
        for (TensorInfo tensor : container.tensors()) {
          String promised = shardOfTensor.get(tensor.name());
          if (!shard.equals(promised)) {
            throw new CheckpointException(
                file
                    + " holds tensor '"
                    + tensor.name()
                    + "', which "
                    + index.getFileName()
                    + (promised == null ? " does not list" : " promises in " + promised));
          }
          tensors.put(tensor.name(), tensor);
        }
      }
      for (Map.Entry<String, String> entry : shardOfTensor.entrySet()) {
        if (!tensors.containsKey(entry.getKey())) {
          throw new CheckpointException(
              index
                  + " promises tensor '"
                  + entry.getKey()
                  + "' in "
                  + entry.getValue()
                  + ", which does not hold it");
        }
      }
      opened = true;
      return new CheckpointFiles(folder, tensors, containers);
    } finally {
      if (!opened) {
        closeQuietly(containers);
      }
    }
  }

  private static void closeQuietly(Map<Path, TensorContainer> containers) {
    for (TensorContainer container : containers.values()) {
      try {
        container.close();
      } catch (IOException ignored) {
        // Only reached while the exception that matters is being thrown.
      }
    }
  }

  private static Map<String, String> readIndex(Format format, Path index) {
    requireNoPlaceholder(index);
    String json = readText(index, MAX_INDEX_BYTES);
    Map<String, String> shardOfTensor = new LinkedHashMap<>();
    boolean found = false;
    try (JsonParser parser =
        JsonFactory.builder()
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .build()
            .createParser(json)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new CheckpointException(index + " is not a JSON object");
      }
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String field = parser.currentName();
        parser.nextToken();
        if (!field.equals("weight_map")) {
          parser.skipChildren();
          continue;
        }
        if (found || parser.currentToken() != JsonToken.START_OBJECT) {
          throw new CheckpointException(index + ": weight_map must be one JSON object");
        }
        found = true;
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String tensor = parser.currentName();
          if (parser.nextToken() != JsonToken.VALUE_STRING) {
            throw new CheckpointException(
                index + ": weight_map gives no file name for tensor '" + tensor + "'");
          }
          String shard = parser.getText();
          requirePlainName(format, index, tensor, shard);
          if (shardOfTensor.put(tensor, shard) != null) {
            throw new CheckpointException(index + " lists tensor '" + tensor + "' twice");
          }
        }
      }
      if (parser.nextToken() != null) {
        throw new CheckpointException(index + " goes on after its JSON object");
      }
    } catch (JsonProcessingException e) {
      throw new CheckpointException(index + " is not JSON: " + JsonProblem.describeWithPlace(e), e);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + index + ": " + e, e);
    }
    if (!found) {
      throw new CheckpointException(index + " has no weight_map");
    }
    return shardOfTensor;
  }

  private static void requirePlainName(Format format, Path index, String tensor, String shard) {
    boolean plain =
        shard.endsWith(format.extension)
            && shard.length() <= MAX_NAME_LENGTH
            && shard.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || c < ' ')
            && isFileName(shard);
    if (!plain) {
      throw new CheckpointException(
          index
              + " puts tensor '"
              + tensor
              + "' in '"
              + shard
              + "'; a shard must be a "
              + format.extension
              + " file of the same folder, named without a path");
    }
  }

  /** Half a surrogate pair, for one, cannot be in the name of a file. */
  private static boolean isFileName(String name) {
    try {
      return Path.of(name).getNameCount() == 1;
    } catch (InvalidPathException e) {
      return false;
    }
  }

  private static String readText(Path file, long maxBytes) {
    try {
      long size = Files.size(file);
      if (size > maxBytes) {
        throw new CheckpointException(
            file + " has " + size + " bytes, more than the " + maxBytes + " permitted");
      }
      return Files.readString(file);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    }
  }

  private static void requireNoPlaceholder(Path file) {
    try {
      Optional<String> found = Placeholder.in(file);
      if (found.isPresent()) {
        throw new CheckpointException(file + " " + found.get());
      }
    } catch (NoSuchFileException e) {
      throw new CheckpointException(file + " does not exist", e);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    }
  }

  private static CheckpointException noWeights(Path folder) {
    List<String> found = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      files.map(file -> String.valueOf(file.getFileName())).sorted().forEach(found::add);
    } catch (IOException | UncheckedIOException e) {
      return new CheckpointException("Cannot list " + folder + ": " + e, e);
    }
    String wayOut =
        found.stream()
            .filter(
                name ->
                    name.startsWith("pytorch_model")
                        || name.startsWith("consolidated")
                        || name.endsWith(".gguf")
                        || name.startsWith("adapter_model"))
            .findFirst()
            .map(name -> name + " is there, but " + wayOutFor(name))
            .orElse("found " + (found.isEmpty() ? "nothing" : Names.abbreviate(found)));
    return new CheckpointException(
        folder
            + " has no weights: expected "
            + Format.SAFETENSORS.single
            + " or "
            + Format.PYTORCH.single
            + ", or shards with "
            + Format.SAFETENSORS.index
            + " or "
            + Format.PYTORCH.index
            + "; "
            + wayOut);
  }

  private static String wayOutFor(String name) {
    if (name.contains("adapter_model")) {
      return "it holds an adapter: open the base model's folder and apply the adapter to it";
    }
    if (name.contains("consolidated.")) {
      return "it belongs to Meta's release: convert that to a Hugging Face folder with"
          + " CheckpointConverter (alpaca-weights), or open the file itself";
    }
    if (name.endsWith(".gguf")) {
      return "GGUF is not read here: make a Hugging Face folder of it with GgufImport"
          + " (alpaca-weights), or take the model's safetensors files";
    }
    return "safetensors and PyTorch (.bin, .pth, .pt) files are read: a folder names them by "
        + Format.SAFETENSORS.single
        + " or "
        + Format.PYTORCH.single
        + ", or by the index of its shards";
  }

  private static String asideHint(Path target) {
    Optional<Path> aside = StagedFolder.findAside(target);
    return aside
        .map(
            old ->
                "; its last version is kept in "
                    + old
                    + ", left by a write that was killed: rename it back, or write again")
        .orElse("");
  }
}
