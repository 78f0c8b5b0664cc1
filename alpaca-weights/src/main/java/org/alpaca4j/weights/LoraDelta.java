package org.alpaca4j.weights;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.LoraConfig;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.core.internal.FloatCodec;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.Names;
import org.alpaca4j.core.internal.model.DecoderDescription.FileTensor;
import org.alpaca4j.core.internal.model.DecoderDescription.Order;
import org.alpaca4j.core.internal.model.LoraAdapter;
import org.jspecify.annotations.Nullable;

/**
 * Adds what LoRA adapters add to a model to its weights: {@code W + weight * scale * B A}. The
 * adapters are in memory, in fp32. Thread-safe.
 */
final class LoraDelta implements TensorTransform {
  private static final String PREFIX = LoraAdapter.PREFIX;
  private static final String DOWN = LoraAdapter.DOWN;
  private static final String UP = LoraAdapter.UP;
  private static final String WEIGHT = ".weight";

  private final Map<String, List<Product>> products = new HashMap<>();
  private final Set<String> transposed = new HashSet<>();

  /**
   * One module's part of one adapter.
   *
   * @param down A [rank, in]
   * @param up B [out, rank], times weight and scale
   */
  private record Product(float[] down, float[] up, int rank) {
    int in() {
      return down.length / rank;
    }

    int out() {
      return up.length / rank;
    }
  }

  /**
   * Reads adapters and finds the weights that they belong to.
   *
   * @param base names and shapes of the model's weights
   * @param adapters folders as PEFT writes them, and by how much each is multiplied
   * @throws CheckpointException if an adapter cannot be read, or a tensor of it belongs to none of
   *     the weights
   */
  LoraDelta(Checkpoint base, Map<Path, Double> adapters) {
    for (FileTensor tensor : Internals.description(base.config()).tensors()) {
      if (tensor.order() instanceof Order.Transposed) {
        transposed.add(tensor.name());
      }
    }
    adapters.forEach((folder, weight) -> add(base, folder, weight));
  }

  private void add(Checkpoint base, Path folder, double weight) {
    LoraConfig config = LoraConfig.load(folder);
    Path safetensors = folder.resolve("adapter_model.safetensors");
    Path file = Files.exists(safetensors) ? safetensors : folder.resolve("adapter_model.bin");
    try (Checkpoint adapter = Checkpoint.open(Files.exists(file) ? file : safetensors)) {
      Set<String> left = new TreeSet<>(adapter.names());
      for (String name : adapter.names()) {
        if (name.startsWith(PREFIX) && name.endsWith(DOWN)) {
          String module = name.substring(PREFIX.length(), name.length() - DOWN.length());
          String up = PREFIX + module + UP;
          if (left.contains(up)) {
            add(base, adapter, folder, module, weight * config.scaleOf(module));
            left.remove(name);
            left.remove(up);
          }
        }
      }
      if (!left.isEmpty()) {
        throw new CheckpointException(
            folder + " has tensors that are not understood: " + Names.abbreviate(left));
      }
    }
  }

  private void add(Checkpoint base, Checkpoint adapter, Path folder, String module, double scale) {
    String weight = weightOf(base, module);
    if (weight == null) {
      throw new CheckpointException(
          folder
              + " has an adapter of "
              + module
              + ", which the model does not have; merge it into the model that it was trained on");
    }
    float[] down = floats(adapter, PREFIX + module + DOWN);
    float[] up = floats(adapter, PREFIX + module + UP);
    int rank = (int) adapter.tensor(PREFIX + module + DOWN).shape()[0];
    for (int i = 0; i < up.length; i++) {
      up[i] = (float) (up[i] * scale);
    }
    Product product = new Product(down, up, rank);
    long[] shape = base.tensor(weight).shape();
    boolean swapped = transposed.contains(weight);
    boolean fits =
        shape.length == 2
            && adapter.tensor(PREFIX + module + UP).shape()[1] == rank
            && shape[swapped ? 1 : 0] == product.out()
            && shape[swapped ? 0 : 1] == product.in();
    if (!fits) {
      throw new CheckpointException(
          folder
              + ": the adapter of "
              + module
              + " is for a matrix ["
              + product.out()
              + ", "
              + product.in()
              + "], but the model's is "
              + Arrays.toString(shape)
              + "; merge it into the model that it was trained on");
    }
    products.computeIfAbsent(weight, key -> new ArrayList<>()).add(product);
  }

  /** Some published folders leave out the first part of the names. */
  private static @Nullable String weightOf(Checkpoint base, String module) {
    String name = module + WEIGHT;
    if (base.names().contains(name)) {
      return name;
    }
    String without = name.substring(name.indexOf('.') + 1);
    return base.names().contains(without) ? without : null;
  }

  private static float[] floats(Checkpoint checkpoint, String name) {
    TensorInfo info = checkpoint.tensor(name);
    ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(info.byteLength()));
    checkpoint.readBytes(name, bytes, 0);
    float[] values = new float[Math.toIntExact(info.elements())];
    FloatCodec.decode(info.dtype(), bytes.flip(), values, 0, values.length);
    return values;
  }

  @Override
  public boolean changes(WeightFolder.Weight weight) {
    return products.containsKey(weight.name());
  }

  @Override
  public void apply(WeightFolder.Weight weight, long offset, float[] values, int count) {
    boolean swapped = transposed.contains(weight.name());
    long columns = weight.shape()[1];
    for (Product product : products.getOrDefault(weight.name(), List.of())) {
      int done = 0;
      while (done < count) {
        int row = Math.toIntExact((offset + done) / columns);
        int from = Math.toIntExact((offset + done) % columns);
        int length = (int) Math.min(columns - from, count - done);
        if (swapped) {
          addColumn(product, row, from, values, done, length);
        } else {
          addRow(product, row, from, values, done, length);
        }
        done += length;
      }
    }
  }

  /** values += (B A)[row, from...]. */
  private static void addRow(
      Product product, int row, int from, float[] values, int at, int length) {
    for (int k = 0; k < product.rank; k++) {
      float factor = product.up[row * product.rank + k];
      int start = k * product.in() + from;
      for (int i = 0; i < length; i++) {
        values[at + i] += factor * product.down[start + i];
      }
    }
  }

  /** values += (B A)[from..., column]. */
  private static void addColumn(
      Product product, int column, int from, float[] values, int at, int length) {
    for (int i = 0; i < length; i++) {
      float sum = 0;
      for (int k = 0; k < product.rank; k++) {
        sum += product.up[(from + i) * product.rank + k] * product.down[k * product.in() + column];
      }
      values[at + i] += sum;
    }
  }
}
