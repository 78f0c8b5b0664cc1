package org.alpaca4j.weights;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.jspecify.annotations.Nullable;

/**
 * A folder of weights to be converted, seen as the Hugging Face folder that it will become.
 * Thread-safe. A further layout is a further implementation.
 */
interface WeightFolder extends AutoCloseable {

  /**
   * A tensor of the folder to be.
   *
   * @param name its Hugging Face name
   * @param dtype its element type in the source
   * @param shape its dimensions
   */
  record Weight(String name, DType dtype, long[] shape) {
    long elements() {
      return Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    }

    long byteLength() {
      return elements() * dtype.bytes();
    }
  }

  /** Returns what is to be written, in the order of writing. */
  List<Weight> weights();

  /** Returns the names of the source's tensors that are not to be written. */
  List<String> dropped();

  /**
   * Fills {@code destination} from byte {@code offset} of a tensor on: row-major, little-endian, in
   * the type of the source.
   */
  void read(Weight weight, ByteBuffer destination, long offset);

  /**
   * Adds configuration, tokenizer and whatever else belongs beside the weights.
   *
   * @param dtype what the weights will be stored in; null: each as in the source
   */
  void addFiles(CheckpointWriter.Builder writer, @Nullable DType dtype);

  @Override
  void close();
}
