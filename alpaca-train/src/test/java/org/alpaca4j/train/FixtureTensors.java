package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.data.ExampleOrder;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;

/** Reads the settings and tensors of reference runs. */
final class FixtureTensors {
  private FixtureTensors() {}

  /** A run's options, as its {@code settings} have them. */
  static SftConfig.Builder config(JsonNode settings) {
    return SftConfig.builder()
        .epochs(1)
        .batchSize(settings.get("sequences").asInt())
        .gradientAccumulationSteps(settings.get("micro_batches").asInt())
        .learningRate(settings.get("lr").asDouble())
        .weightDecay(settings.get("weight_decay").asDouble())
        .maxGradientNorm(settings.get("clip").asDouble())
        .warmupRatio(settings.get("warmup_ratio").asDouble())
        .adamBetas(settings.get("betas").get(0).asDouble(), settings.get("betas").get(1).asDouble())
        .adamEpsilon(settings.get("eps").asDouble())
        .order(ExampleOrder.SEQUENTIAL);
  }

  static double largestDifference(float[] ours, float[] theirs) {
    assertThat(ours.length).isEqualTo(theirs.length);
    double largest = 0;
    for (int i = 0; i < ours.length; i++) {
      double difference = Math.abs(ours[i] - theirs[i]);
      largest = Double.isNaN(difference) ? Double.NaN : Math.max(largest, difference);
    }
    return largest;
  }

  /** The padded rows of all windows, in order, without their pads. */
  static SupervisedDataset dataset(Path file) {
    List<SupervisedExample> examples = new ArrayList<>();
    try (Checkpoint batches = Checkpoint.open(file)) {
      long[] ids = longs(batches, "input_ids");
      long[] mask = longs(batches, "attention_mask");
      long[] labels = longs(batches, "labels");
      long[] shape = batches.tensor("input_ids").shape();
      int length = (int) shape[shape.length - 1];
      for (int row = 0; row < ids.length; row += length) {
        int tokens = 0;
        while (tokens < length && mask[row + tokens] == 1) {
          tokens++;
        }
        examples.add(new SupervisedExample(ints(ids, row, tokens), ints(labels, row, tokens)));
      }
    }
    return SupervisedDataset.of(examples);
  }

  private static int[] ints(long[] values, int from, int count) {
    int[] result = new int[count];
    for (int i = 0; i < count; i++) {
      result[i] = (int) values[from + i];
    }
    return result;
  }

  static ByteBuffer bytes(Checkpoint checkpoint, String name) {
    TensorInfo info = checkpoint.tensor(name);
    ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(info.byteLength()));
    checkpoint.readBytes(name, bytes, 0);
    return bytes.flip().order(ByteOrder.LITTLE_ENDIAN);
  }

  static long[] longs(Checkpoint checkpoint, String name) {
    long[] values = new long[Math.toIntExact(checkpoint.tensor(name).elements())];
    bytes(checkpoint, name).asLongBuffer().get(values);
    return values;
  }

  static float[] floats(Checkpoint checkpoint, String name) {
    float[] values = new float[Math.toIntExact(checkpoint.tensor(name).elements())];
    bytes(checkpoint, name).asFloatBuffer().get(values);
    return values;
  }
}
