package org.alpaca4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.ModelUse;
import org.alpaca4j.core.internal.model.WeightStore;
import org.alpaca4j.data.PackedBatch;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;
import org.jspecify.annotations.Nullable;

/**
 * Computes losses of a model on a dataset. Owns native memory: close it. Not thread-safe.
 *
 * <pre>{@code
 * try (ModelEvaluator evaluator = ModelEvaluator.of(model)) {
 *   double loss = evaluator.evaluate(dataset).loss();
 * }
 * }</pre>
 */
public final class ModelEvaluator implements AutoCloseable {
  private static final int DEFAULT_BATCH_SIZE = 4;
  private static final int LOSS_CHUNK_TOKENS = 256;

  private final ModelPass pass;
  private final int batchSize;
  private final @Nullable WeightStore own;
  private final @Nullable ModelUse use;

  /**
   * Evaluates by a pass.
   *
   * @param own the pass's store, if both are to be closed with this
   */
  ModelEvaluator(ModelPass pass, int batchSize, @Nullable WeightStore own) {
    this(pass, batchSize, own, null);
  }

  private ModelEvaluator(
      ModelPass pass, int batchSize, @Nullable WeightStore own, @Nullable ModelUse use) {
    this.use = use;
    this.pass = pass;
    this.batchSize = batchSize;
    this.own = own;
  }

  /** Returns an evaluator that computes in the precision of the model's weights. */
  public static ModelEvaluator of(CausalLm model) {
    Objects.requireNonNull(model, "model is null");
    LoadedModel loaded = Internals.loaded(model);
    WeightStore store = WeightStore.untrained(loaded, loaded.activations());
    ModelPass pass = new ModelPass(loaded, store, LOSS_CHUNK_TOKENS);
    return new ModelEvaluator(pass, DEFAULT_BATCH_SIZE, store, Internals.use(model));
  }

  /**
   * The loss of one example.
   *
   * @param loss mean cross entropy of its supervised tokens, each counting by its {@linkplain
   *     SupervisedExample#weights weight}, in nats; NaN if it has none
   * @param supervisedTokens tokens that the loss is the mean of
   * @param supervisedWeight sum of their weights, by which the example counts in a mean over
   *     several: their number, if all weigh 1
   */
  public record ExampleLoss(double loss, int supervisedTokens, double supervisedWeight) {}

  /**
   * Returns the loss of each example, in order.
   *
   * @throws IllegalStateException if the model is closed, or another thread trains it
   */
  public List<ExampleLoss> losses(SupervisedDataset dataset) {
    Objects.requireNonNull(dataset, "dataset is null");
    if (use == null) {
      return lossesInUse(dataset); // of the training, which uses the model already
    }
    try (ModelUse.Use reading = use.read()) {
      return lossesInUse(dataset);
    }
  }

  private List<ExampleLoss> lossesInUse(SupervisedDataset dataset) {
    List<ExampleLoss> results = new ArrayList<>(dataset.size());
    for (int from = 0; from < dataset.size(); from += batchSize) {
      int to = Math.min(from + batchSize, dataset.size());
      List<SupervisedExample> examples = IntStream.range(from, to).mapToObj(dataset::get).toList();
      results.addAll(batchLosses(examples));
    }
    return results;
  }

  private List<ExampleLoss> batchLosses(List<SupervisedExample> examples) {
    PackedBatch batch = PackedBatch.of(examples);
    int[] exampleOf = // per sequence
        IntStream.range(0, examples.size())
            .flatMap(e -> Arrays.stream(examples.get(e).starts()).map(start -> e))
            .toArray();
    Supervision supervision = Supervision.of(batch);
    float[] losses =
        supervision.rows().length == 0 ? new float[0] : pass.losses(batch, supervision);
    double[] sums = new double[examples.size()];
    int[] counts = new int[examples.size()];
    double[] weights = new double[examples.size()];
    for (int i = 0; i < losses.length; i++) {
      int example = exampleOf[supervision.sequences()[i]];
      sums[example] += supervision.weight(i) * losses[i];
      counts[example]++;
      weights[example] += supervision.weight(i);
    }
    return IntStream.range(0, sums.length)
        .mapToObj(i -> new ExampleLoss(sums[i] / weights[i], counts[i], weights[i]))
        .toList();
  }

  /** Returns the mean loss over all supervised tokens of a dataset, each by its weight. */
  public Evaluation evaluate(SupervisedDataset dataset) {
    Objects.requireNonNull(dataset, "dataset is null");
    double sum = 0;
    double weight = 0;
    long tokens = 0;
    for (ExampleLoss example : losses(dataset)) {
      if (example.supervisedTokens() > 0) {
        sum += example.loss() * example.supervisedWeight();
        weight += example.supervisedWeight();
        tokens += example.supervisedTokens();
      }
    }
    return new Evaluation(sum / weight, tokens, dataset.size());
  }

  @Override
  public void close() {
    if (own != null) {
      pass.close();
      own.close();
    }
  }
}
