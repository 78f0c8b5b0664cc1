package org.alpaca4j.train;

import java.util.Arrays;
import java.util.List;
import org.alpaca4j.data.PackedBatch;
import org.alpaca4j.data.SupervisedDataset;

/**
 * The examples of one optimizer step.
 *
 * @param microBatches indexes of the examples, per micro-batch
 * @param batches the examples, packed per micro-batch
 * @param supervisedTokens tokens that the step's loss is the weighted mean of
 * @param supervisedWeight sum of their weights
 * @param tokens tokens of the examples, counted as {@link SupervisedDataset#length}
 */
record Window(
    List<int[]> microBatches,
    List<PackedBatch> batches,
    int supervisedTokens,
    double supervisedWeight,
    int tokens) {

  static Window of(SupervisedDataset dataset, List<int[]> microBatches) {
    List<PackedBatch> batches =
        microBatches.stream()
            .map(indexes -> PackedBatch.of(Arrays.stream(indexes).mapToObj(dataset::get).toList()))
            .toList();
    int supervised = batches.stream().mapToInt(PackedBatch::supervisedTokens).sum();
    if (supervised == 0) {
      throw new TrainingException(
          "no token of the examples "
              + describe(microBatches)
              + " is supervised; leave such examples out of the dataset");
    }
    int tokens = microBatches.stream().flatMapToInt(Arrays::stream).map(dataset::length).sum();
    double weight = batches.stream().mapToDouble(PackedBatch::supervisedWeight).sum();
    return new Window(microBatches, batches, supervised, weight, tokens);
  }

  /** Returns the share of the window's packed tokens that a batch has. */
  double share(PackedBatch batch) {
    return (double) batch.tokens() / batches.stream().mapToInt(PackedBatch::tokens).sum();
  }

  /** Returns the indexes of the examples, for a message. */
  String examples() {
    return describe(microBatches);
  }

  private static String describe(List<int[]> microBatches) {
    return Arrays.toString(microBatches.stream().flatMapToInt(Arrays::stream).toArray());
  }
}
