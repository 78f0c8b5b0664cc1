package org.alpaca4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntUnaryOperator;
import org.alpaca4j.data.ExampleOrder;

/**
 * Which examples each optimizer step takes: a pure function of the step, so that a resumed run goes
 * on where it stopped. An epoch's last window may be smaller; no example is left out.
 */
final class WindowOrder {
  private final ExampleOrder order;
  private final int examples;
  private final int batchSize;
  private final int windowSize;
  private int cachedEpoch = -1;
  private int[] cached = new int[0];

  WindowOrder(ExampleOrder order, int examples, int batchSize, int accumulationSteps) {
    this.order = order;
    this.examples = examples;
    this.batchSize = batchSize;
    this.windowSize = Math.multiplyExact(batchSize, accumulationSteps);
  }

  /** Returns the number of optimizer steps of one epoch. */
  int stepsPerEpoch() {
    return (examples + windowSize - 1) / windowSize;
  }

  /** Returns the number of optimizer steps of so many epochs. */
  int steps(double epochs) {
    return (int) Math.ceil(epochs * stepsPerEpoch());
  }

  /** Returns the epoch, from 0, that a step, from 0, belongs to. */
  int epoch(int step) {
    return step / stepsPerEpoch();
  }

  /** Returns the indexes of a step's examples, per micro-batch; steps count from 0. */
  List<int[]> microBatches(int step) {
    int epoch = epoch(step);
    if (epoch != cachedEpoch) {
      cached = order.order(examples, epoch);
      cachedEpoch = epoch;
    }
    int from = step % stepsPerEpoch() * windowSize;
    int to = Math.min(from + windowSize, examples);
    List<int[]> batches = new ArrayList<>();
    for (int start = from; start < to; start += batchSize) {
      batches.add(Arrays.copyOfRange(cached, start, Math.min(start + batchSize, to)));
    }
    return batches;
  }

  /**
   * Returns the tokens of the largest micro-batch of the first so many steps.
   *
   * @param length tokens of an example
   */
  int maxTokens(int steps, IntUnaryOperator length) {
    int max = 0;
    for (int step = 0; step < steps; step++) {
      for (int[] batch : microBatches(step)) {
        max = Math.max(max, Arrays.stream(batch).map(length).sum());
      }
    }
    return max;
  }
}
