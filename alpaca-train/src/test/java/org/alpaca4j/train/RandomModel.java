package org.alpaca4j.train;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.LongStream;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;

/** Tiny checkpoints of random weights, and examples for them. */
final class RandomModel {
  static final int VOCABULARY = 97;

  private RandomModel() {}

  /** A two-layer Llama with grouped-query attention and tied embeddings. */
  static ModelConfig config() {
    return ModelConfig.builder("llama")
        .hiddenSize(32)
        .intermediateSize(56)
        .numHiddenLayers(2)
        .numAttentionHeads(4)
        .numKeyValueHeads(2)
        .vocabSize(VOCABULARY)
        .maxPositionEmbeddings(128)
        .tieWordEmbeddings(true)
        .build();
  }

  static Path write(Path folder, ModelConfig config) {
    return write(folder, config, Float.NaN);
  }

  /**
   * Writes a checkpoint.
   *
   * @param first overwrites the first element of the embedding, unless NaN
   */
  static Path write(Path folder, ModelConfig config, float first) {
    CheckpointWriter.Builder writer = CheckpointWriter.builder(folder).config(config);
    Map<String, long[]> shapes = config.tensorShapes();
    shapes.forEach((name, shape) -> writer.tensor(name, DType.F32, shape));
    writer
        .build()
        .write(
            (name, out) -> {
              long elements = LongStream.of(shapes.get(name)).reduce(1, Math::multiplyExact);
              Random random = new Random(name.hashCode());
              ByteBuffer bytes =
                  ByteBuffer.allocate(Math.toIntExact(4 * elements)).order(ByteOrder.LITTLE_ENDIAN);
              boolean norm = name.endsWith("norm.weight");
              while (bytes.hasRemaining()) {
                float value = (float) (random.nextGaussian() * 0.2);
                bytes.putFloat(norm ? 1 + value : value);
              }
              if (name.contains("embed_tokens") && !Float.isNaN(first)) {
                bytes.putFloat(0, first);
              }
              out.write(bytes.flip());
            });
    return folder;
  }

  /** Examples of 5 to 16 tokens, of which the first third is not supervised. */
  static SupervisedDataset examples(int count) {
    Random random = new Random(1);
    List<SupervisedExample> examples = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int length = 5 + random.nextInt(12);
      int[] ids = new int[length];
      int[] labels = new int[length];
      for (int t = 0; t < length; t++) {
        ids[t] = 1 + random.nextInt(VOCABULARY - 1);
        labels[t] = t < length / 3 ? SupervisedExample.IGNORE_INDEX : ids[t];
      }
      examples.add(new SupervisedExample(ids, labels));
    }
    return SupervisedDataset.of(examples);
  }

  /**
   * Examples that begin as others do, with tokens supervised and not: groups of several depths, one
   * all of which another begins with, and one that is there twice.
   */
  static SupervisedDataset examplesOfCommonBeginnings() {
    int[] ids = new Random(2).ints(40, 1, VOCABULARY).toArray();
    int[][] cuts = {{12, 5}, {30, 4}, {12, 9}, {30, 0}, {40, 0}, {0, 8}, {40, 0}};
    List<SupervisedExample> examples = new ArrayList<>();
    for (int i = 0; i < cuts.length; i++) {
      int[] example = Arrays.copyOf(ids, cuts[i][0] + cuts[i][1]);
      Arrays.fill(example, cuts[i][0], example.length, 1 + i);
      int[] labels = example.clone();
      Arrays.fill(labels, 0, cuts[i][0] / 2, SupervisedExample.IGNORE_INDEX);
      examples.add(new SupervisedExample(example, labels));
    }
    return SupervisedDataset.of(examples);
  }

  /**
   * Two examples of several sequences, which begin alike for more and for fewer tokens than are
   * worth computing once.
   */
  static List<SupervisedExample> examplesOfSeveralSequences() {
    int[] ids = new Random(3).ints(30, 1, VOCABULARY).toArray();
    int[][][] shared = {{{20, 9}, {13, 12}, {28, 4}}, {{7, 9}, {7, 8}, {7, 11}, {14, 3}}};
    List<SupervisedExample> examples = new ArrayList<>();
    int own = 1;
    for (int[][] lengths : shared) {
      List<SupervisedExample> sequences = new ArrayList<>();
      for (int[] length : lengths) {
        int[] sequence = Arrays.copyOf(ids, length[0] + length[1]);
        Arrays.fill(sequence, length[0], sequence.length, own++);
        int[] labels = sequence.clone();
        Arrays.fill(labels, 0, length[0], SupervisedExample.IGNORE_INDEX);
        sequences.add(new SupervisedExample(sequence, labels));
      }
      examples.add(SupervisedExample.of(sequences));
    }
    return examples;
  }
}
