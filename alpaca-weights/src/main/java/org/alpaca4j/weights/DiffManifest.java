package org.alpaca4j.weights;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.JsonProblem;
import org.jspecify.annotations.Nullable;

/**
 * {@code weight_diff.json}: what a diff was made of and what it recovers to.
 *
 * @param mode how tensors are stored
 * @param maxDeviation of recovered weights from the tuned ones
 * @param tensors by name
 * @param files SHA-256 of each other file of the diff, by name
 */
record DiffManifest(
    WeightDiff.Mode mode,
    double maxDeviation,
    Map<String, Entry> tensors,
    Map<String, String> files) {
  static final String FILE = "weight_diff.json";
  private static final String FORMAT = "alpaca4j-weight-diff";
  private static final int VERSION = 1;
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  /** A tensor: its raw, its stored and its recovered form. New rows have no part in raw's hash. */
  record Entry(Form raw, Form diff, Form recovered) {}

  /** One form of a tensor; the hash is that of its little-endian, row-major bytes. */
  record Form(DType dtype, long[] shape, String sha256) {}

  String toJson() {
    ObjectNode root = JSON.createObjectNode();
    root.put("format", FORMAT);
    root.put("format_version", VERSION);
    root.put("tool", "alpaca4j " + toolVersion());
    root.put("mode", mode.name().toLowerCase(Locale.ROOT));
    root.put("new_rows", "mean of the raw tensor's rows, as fp32");
    if (Double.isFinite(maxDeviation)) {
      root.put("max_deviation", maxDeviation);
    } else {
      root.put("max_deviation", String.valueOf(maxDeviation));
    }
    ObjectNode named = root.putObject("tensors");
    tensors.forEach(
        (name, entry) -> {
          ObjectNode forms = named.putObject(name);
          forms.set("raw", toJson(entry.raw));
          forms.set("diff", toJson(entry.diff));
          forms.set("recovered", toJson(entry.recovered));
        });
    ObjectNode hashes = root.putObject("files");
    files.forEach(hashes::put);
    return root.toPrettyString() + "\n";
  }

  private static ObjectNode toJson(Form form) {
    ObjectNode node = JSON.createObjectNode();
    node.put("dtype", form.dtype.safetensorsName());
    ArrayNode shape = node.putArray("shape");
    for (long dimension : form.shape) {
      shape.add(dimension);
    }
    node.put("sha256", form.sha256);
    return node;
  }

  private static String toolVersion() {
    try (InputStream in = DiffManifest.class.getResourceAsStream("version.txt")) {
      return in == null ? "?" : new String(in.readAllBytes(), StandardCharsets.UTF_8).trim();
    } catch (IOException e) {
      return "?";
    }
  }

  /** Reads a diff's manifest; null if it has none. */
  static @Nullable DiffManifest read(Path folder) {
    Path file = folder.resolve(FILE);
    if (!Files.exists(file)) {
      return null;
    }
    try {
      return parse(file, JSON.readTree(ModelFiles.read(file)));
    } catch (JsonProcessingException e) {
      throw new CheckpointException(
          file + " is damaged: it is not JSON: " + JsonProblem.describeWithPlace(e), e);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    }
  }

  private static DiffManifest parse(Path file, JsonNode root) {
    if (!root.path("format").asText().equals(FORMAT)) {
      throw damaged(file, "format is not " + FORMAT);
    }
    if (root.path("format_version").asInt() != VERSION) {
      throw new CheckpointException(
          file
              + " has format_version "
              + root.path("format_version")
              + ", but only "
              + VERSION
              + " is known: use a newer Alpaca4j");
    }
    WeightDiff.Mode mode =
        switch (root.path("mode").asText()) {
          case "arithmetic" -> WeightDiff.Mode.ARITHMETIC;
          case "exact" -> WeightDiff.Mode.EXACT;
          default -> throw damaged(file, "mode is " + root.path("mode"));
        };
    Map<String, Entry> tensors = new TreeMap<>();
    for (Map.Entry<String, JsonNode> tensor : root.path("tensors").properties()) {
      JsonNode forms = tensor.getValue();
      String name = tensor.getKey();
      Entry entry =
          new Entry(
              form(file, name, forms, "raw"),
              form(file, name, forms, "diff"),
              form(file, name, forms, "recovered"));
      if (!isConsistent(mode, entry)) {
        throw damaged(file, "the three forms of tensor '" + name + "' contradict each other");
      }
      tensors.put(name, entry);
    }
    Map<String, String> files = new TreeMap<>();
    for (Map.Entry<String, JsonNode> entry : root.path("files").properties()) {
      files.put(entry.getKey(), entry.getValue().asText());
    }
    double deviation = root.path("max_deviation").asDouble(Double.POSITIVE_INFINITY);
    return new DiffManifest(mode, deviation, tensors, files);
  }

  private static boolean isConsistent(WeightDiff.Mode mode, Entry entry) {
    DType type = entry.recovered.dtype;
    DType stored = mode == WeightDiff.Mode.EXACT ? TensorMaker.residual(type) : type;
    return entry.diff.dtype == stored
        && Arrays.equals(entry.diff.shape, entry.recovered.shape)
        && entry.raw.dtype.isWeight()
        && type.isWeight();
  }

  private static Form form(Path file, String name, JsonNode forms, String kind) {
    JsonNode form = forms.path(kind);
    DType dtype =
        DType.ofSafetensorsName(form.path("dtype").asText())
            .orElseThrow(
                () -> damaged(file, "tensor '" + name + "' has no " + kind + " dtype known"));
    JsonNode sizes = form.path("shape");
    String hash = form.path("sha256").asText();
    if (!sizes.isArray() || sizes.size() > 64 || !hash.matches("[0-9a-f]{64}")) {
      throw damaged(file, "tensor '" + name + "' has no sound " + kind + " shape and sha256");
    }
    long[] shape = new long[sizes.size()];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = sizes.get(i).asLong(-1);
    }
    return new Form(dtype, shape, hash);
  }

  private static CheckpointException damaged(Path file, String why) {
    return new CheckpointException(file + " is damaged: " + why + "; fetch the diff again");
  }
}
