package org.alpaca4j.weights.gguf;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.Map;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.family.Profile;
import org.jspecify.annotations.Nullable;

/** A configuration in the making, and what it is made from: a file's metadata and tensors. */
final class GgufReading {
  private static final double THETA = 10_000; // where a file names none, in llama.cpp too

  private final Path file;
  private final GgufMetadata metadata;
  private final Map<String, GgufTensor> tensors;
  private final GgufArchitecture architecture;
  private final int layers;
  private final int heads;
  private final int hidden;
  private final ModelConfig.Builder builder;
  private final Profile profile;

  GgufReading(
      Path file,
      GgufMetadata metadata,
      Map<String, GgufTensor> tensors,
      GgufArchitecture architecture) {
    this.file = file;
    this.metadata = metadata;
    this.tensors = tensors;
    this.architecture = architecture;
    layers = size("block_count");
    if (layers > tensors.size()) {
      throw new CheckpointException(
          file
              + ": "
              + full("block_count")
              + " is "
              + layers
              + ", but there are only "
              + tensors.size()
              + " tensors; take a complete file");
    }
    heads = size("attention.head_count");
    hidden = size("embedding_length");
    builder = architecture.begin(this);
    profile = Internals.profile(builder.numHiddenLayers(layers).build());
  }

  Path file() {
    return file;
  }

  GgufArchitecture architecture() {
    return architecture;
  }

  ModelConfig.Builder builder() {
    return builder;
  }

  /** Sets a field under the family's name for it. */
  void set(String field, @Nullable Object value) {
    builder.field(profile.names(field).get(0), value);
  }

  /** Sets a field, unless the family has no default for it and it would mean the same anyway. */
  void setUnless(String field, Object value, Object implied) {
    if (profile.defaultOf(field) != null || !value.equals(implied)) {
      set(field, value);
    }
  }

  // The file

  int layers() {
    return layers;
  }

  int heads() {
    return heads;
  }

  int hidden() {
    return hidden;
  }

  int keyValueHeads() {
    return count("attention.head_count_kv", heads);
  }

  int headDim() {
    int usual = architecture.turnsParts() ? hidden / heads : count("rope.dimension_count", 0);
    return count("attention.key_length", usual == 0 ? hidden / heads : usual);
  }

  double theta() {
    return number("rope.freq_base", THETA);
  }

  boolean has(String tensor) {
    return tensors.containsKey(tensor);
  }

  GgufTensor tensor(String name) {
    GgufTensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new CheckpointException(file + " has no tensor " + name);
    }
    return tensor;
  }

  boolean hasKey(String key) {
    return metadata.has(full(key));
  }

  /** Returns a number that must be there and be at least 1. */
  int size(String key) {
    int number = metadata.integer(full(key)).orElseThrow(() -> metadata.missing(full(key)));
    if (number == 0) {
      throw metadata.missing(full(key));
    }
    return number;
  }

  int count(String key, int fallback) {
    return metadata.integer(full(key)).orElse(fallback);
  }

  double number(String key) {
    return shortest(metadata.number(full(key)).orElseThrow(() -> metadata.missing(full(key))));
  }

  double number(String key, double fallback) {
    return metadata.number(full(key)).map(GgufReading::shortest).orElse(fallback);
  }

  boolean flag(String key, boolean fallback) {
    return metadata.flag(full(key)).orElse(fallback);
  }

  String text(String key, String fallback) {
    return metadata.string(full(key)).orElse(fallback);
  }

  /** Returns which layers have a window, as a pattern or a list says; null if neither is there. */
  boolean @Nullable [] pattern(String key) {
    if (!metadata.has(full(key))) {
      return null;
    }
    if (metadata.isArray(full(key))) {
      boolean[] flags = metadata.flags(full(key)).orElseThrow();
      if (flags.length != layers) {
        throw new CheckpointException(
            file
                + ": "
                + full(key)
                + " has "
                + flags.length
                + " entries for "
                + layers
                + " layers");
      }
      return flags;
    }
    return everyBut(size(key));
  }

  /** Returns a list in which all but each n-th layer have a window; 0: all have one. */
  boolean[] everyBut(int n) {
    boolean[] flags = new boolean[layers];
    for (int layer = 0; layer < layers; layer++) {
      flags[layer] = n == 0 || (layer + 1) % n != 0;
    }
    return flags;
  }

  String full(String key) {
    return architecture.ggufName() + "." + key;
  }

  void requireSame(String key, int expected) {
    int found = count(key, expected);
    if (found != expected) {
      throw new UnsupportedModelException(
          file + ": " + full(key) + " " + found + " is not supported; supported: " + expected);
    }
  }

  /** Returns the number that a float stands for: 1e-5 rather than 9.999999747378752e-06. */
  static double shortest(double number) {
    float single = (float) number;
    return single == number && Float.isFinite(single)
        ? new BigDecimal(Float.toString(single)).doubleValue()
        : number;
  }
}
