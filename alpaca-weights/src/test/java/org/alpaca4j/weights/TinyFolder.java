package org.alpaca4j.weights;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.FloatCodec;

/** Tiny checkpoint folders with chosen weights. */
final class TinyFolder {
  static final int COLUMNS = 6;

  private final Map<String, float[]> values = new TreeMap<>();
  private final Map<String, DType> types = new TreeMap<>();
  private final Map<String, long[]> shapes = new TreeMap<>();
  private final Map<String, String> files = new TreeMap<>();
  private long maxShardBytes = Long.MAX_VALUE;

  /** A model of one layer, untied, whose weights follow from the seed. */
  static TinyFolder model(DType type, int rows, long seed) {
    TinyFolder folder = new TinyFolder();
    Random random = new Random(seed);
    folder.random("lm_head.weight", type, random, rows, COLUMNS);
    folder.random("model.embed_tokens.weight", type, random, rows, COLUMNS);
    folder.random("model.layers.0.mlp.up_proj.weight", type, random, 9, COLUMNS);
    folder.random("model.norm.weight", type, random, COLUMNS);
    folder.file(
        "config.json",
        """
        {
          "model_type": "llama",
          "dtype": "%s",
          "tie_word_embeddings": false,
          "vocab_size": %d
        }
        """
            .formatted(type.torchName(), rows));
    folder.file("tokenizer.json", "{\"rows\": " + rows + "}");
    folder.file("tokenizer_config.json", "{\"seed\": " + seed + "}");
    return folder;
  }

  private void random(String name, DType type, Random random, long... shape) {
    int count = 1;
    for (long size : shape) {
      count *= (int) size;
    }
    float[] weights = new float[count];
    for (int i = 0; i < count; i++) {
      weights[i] = (float) random.nextGaussian();
    }
    tensor(name, type, weights, shape);
  }

  TinyFolder tensor(String name, DType type, float[] weights, long... shape) {
    types.put(name, type);
    shapes.put(name, shape);
    values.put(name, rounded(type, weights));
    return this;
  }

  TinyFolder without(String name) {
    types.remove(name);
    return this;
  }

  TinyFolder file(String name, String text) {
    files.put(name, text);
    return this;
  }

  TinyFolder maxShardBytes(long bytes) {
    maxShardBytes = bytes;
    return this;
  }

  float[] values(String name) {
    return values.get(name);
  }

  Path write(Path folder) {
    CheckpointWriter.Builder writer =
        CheckpointWriter.builder(folder).replaceExisting(true).maxShardBytes(maxShardBytes);
    types.forEach((name, type) -> writer.tensor(name, type, shapes.get(name)));
    files.forEach(writer::file);
    writer
        .build()
        .write(
            (name, out) -> {
              float[] weights = values.get(name);
              ByteBuffer bytes = ByteBuffer.allocate(weights.length * types.get(name).bytes());
              FloatCodec.encode(types.get(name), weights, 0, weights.length, bytes);
              out.write(bytes.flip());
            });
    return folder;
  }

  static float[] rounded(DType type, float... weights) {
    ByteBuffer bytes = ByteBuffer.allocate(weights.length * type.bytes());
    FloatCodec.encode(type, weights, 0, weights.length, bytes);
    float[] result = new float[weights.length];
    FloatCodec.decode(type, bytes.flip(), result, 0, weights.length);
    return result;
  }

  static float[] read(Path folder, String name) {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      float[] result = new float[(int) checkpoint.tensor(name).elements()];
      FloatCodec.decode(
          checkpoint.tensor(name).dtype(), checkpoint.map(name), result, 0, result.length);
      return result;
    }
  }

  /** Returns all tensors' stored bytes. */
  static Map<String, ByteBuffer> bytes(Path folder) {
    Map<String, ByteBuffer> result = new TreeMap<>();
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      checkpoint.names().forEach(name -> result.put(name, checkpoint.map(name)));
    }
    return result;
  }

  /** Flips the lowest bit of a tensor's element. */
  static void flipBit(Path folder, String name, int element) {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      var tensor = checkpoint.tensor(name);
      byte[] file = Files.readAllBytes(tensor.file());
      file[(int) tensor.offset() + element * tensor.dtype().bytes()] ^= 1;
      Files.write(tensor.file(), file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
