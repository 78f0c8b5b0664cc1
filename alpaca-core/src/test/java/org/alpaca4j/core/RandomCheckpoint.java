package org.alpaca4j.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

/**
 * Tiny checkpoints of random weights. A tensor's values follow from its name alone, and all are
 * numbers that bf16, fp16 and fp32 can each hold.
 */
final class RandomCheckpoint {
  static final int VOCABULARY = 53;

  private final ModelConfig config;
  private final Map<String, long[]> shapes = new TreeMap<>();
  private final Map<String, String> copies = new TreeMap<>();
  private final List<Path> files = new ArrayList<>();
  private DType dtype = DType.F32;

  RandomCheckpoint(ModelConfig config) {
    this.config = config;
    shapes.putAll(config.tensorShapes());
  }

  /** A two-layer model with grouped-query attention. */
  static ModelConfig.Builder config(String family) {
    return ModelConfig.builder(family)
        .hiddenSize(32)
        .intermediateSize(56)
        .numHiddenLayers(2)
        .numAttentionHeads(4)
        .numKeyValueHeads(2)
        .headDim(8)
        .vocabSize(VOCABULARY)
        .maxPositionEmbeddings(128);
  }

  RandomCheckpoint dtype(DType value) {
    dtype = value;
    return this;
  }

  /** Adds a tensor, or gives one another shape. */
  RandomCheckpoint with(String name, long... shape) {
    shapes.put(name, shape);
    return this;
  }

  RandomCheckpoint without(String name) {
    shapes.remove(name);
    return this;
  }

  /** Adds a tensor with the shape and the values of another. */
  RandomCheckpoint withCopy(String name, String of) {
    shapes.put(name, shapes.get(of));
    copies.put(name, of);
    return this;
  }

  /** Copies files beside the weights. */
  RandomCheckpoint withFiles(Path... others) {
    files.addAll(List.of(others));
    return this;
  }

  Path write(Path folder) {
    CheckpointWriter.Builder writer = CheckpointWriter.builder(folder).config(config);
    files.forEach(writer::copy);
    shapes.forEach((name, shape) -> writer.tensor(name, dtype, shape));
    writer
        .build()
        .write(
            (name, out) -> {
              int count = 1;
              for (long size : shapes.get(name)) {
                count *= (int) size;
              }
              ByteBuffer bytes =
                  ByteBuffer.allocate(dtype.bytes() * count).order(ByteOrder.LITTLE_ENDIAN);
              for (float value : values(copies.getOrDefault(name, name), count)) {
                put(bytes, value);
              }
              out.write(bytes.flip());
            });
    return folder;
  }

  /** Returns the values of a tensor. */
  static float[] values(String name, int count) {
    Random random = new Random(name.hashCode());
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      double value = random.nextGaussian() * 0.2 + (name.endsWith("norm.weight") ? 1 : 0);
      // Eight bits of mantissa, and no smaller than fp16's smallest normal number.
      float rounded = Float.intBitsToFloat(Float.floatToIntBits((float) value) & 0xffff0000);
      values[i] = Math.abs(rounded) < 0x1p-14f ? 0 : rounded;
    }
    return values;
  }

  private void put(ByteBuffer bytes, float value) {
    int bits = Float.floatToIntBits(value);
    switch (dtype) {
      case F32 -> bytes.putInt(bits);
      case BF16 -> bytes.putShort((short) (bits >>> 16));
      case F16 -> {
        int exponent = ((bits >>> 23) & 0xff) - 127 + 15;
        int magnitude = value == 0 ? 0 : exponent << 10 | (bits >>> 13) & 0x3ff;
        bytes.putShort((short) (bits >>> 16 & 0x8000 | magnitude));
      }
      case I32 -> bytes.putInt((int) value);
      default -> throw new IllegalArgumentException(dtype.name());
    }
  }
}
