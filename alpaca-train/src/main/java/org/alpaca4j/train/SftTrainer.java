package org.alpaca4j.train;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.LoraConfig;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.PromptForm;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.Names;
import org.alpaca4j.core.internal.model.Decoder;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.LoraAdapter;
import org.alpaca4j.core.internal.model.ModelUse;
import org.alpaca4j.core.internal.model.TrainedParameters;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.WeightStore;
import org.alpaca4j.core.internal.torch.NativeMemory;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.alpaca4j.data.PackedBatch;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.train.ModelPass.Losses;
import org.jspecify.annotations.Nullable;

/**
 * Fine-tunes a model on supervised examples: all its weights, or an adapter beside them.
 *
 * <pre>{@code
 * TrainingResult result =
 *     SftTrainer.builder()
 *         .model(model)
 *         .dataset(dataset)
 *         .config(SftConfig.builder().epochs(3).learningRate(2e-5).build())
 *         .outputDirectory(Path.of("out"))
 *         .build()
 *         .train();
 * }</pre>
 *
 * <p>The loss of a step is the mean cross entropy over the supervised tokens of all its
 * micro-batches, each counting by its {@linkplain org.alpaca4j.data.SupervisedExample#weights
 * weight}: {@code sum(weight * crossEntropy) / sum(weight)}. The gradient is of that: k
 * micro-batches are one batch. A mixture of experts may have an auxiliary loss beside it ({@link
 * SftConfig.Builder#routerAuxLossCoef}), for which every token counts alike. On the CPU, the same
 * data, options and number of threads give bit-identical weights.
 *
 * <p>The model's weights change while it trains: calls of other threads are refused meanwhile, by
 * name; listeners may use the model. Closing it ends the training after its step. Not thread-safe.
 */
public final class SftTrainer {
  /** Odd: the steps' seeds of dropout are apart, whatever the configuration's seed. */
  private static final long DROPOUT_SEEDS = 0x9e3779b97f4a7c15L;

  private final CausalLm model;
  private final SupervisedDataset dataset;
  private final @Nullable SupervisedDataset evalDataset;
  private final SftConfig config;
  private final Predicate<String> trained;
  private final @Nullable LoraConfig adapter;
  private final double auxiliaryFactor;
  private final List<TrainingListener> listeners;
  private final @Nullable PromptForm promptForm;
  private final TrainingCheckpoints checkpoints;

  private SftTrainer(Builder builder, CausalLm model, SupervisedDataset dataset) {
    this.model = model;
    this.dataset = dataset;
    evalDataset = builder.evalDataset;
    config = builder.config;
    trained = builder.trained;
    adapter = builder.adapter;
    auxiliaryFactor = config.routerAuxLossCoef().orElse(model.config().routerAuxLossCoef());
    listeners = List.copyOf(builder.listeners);
    promptForm =
        builder.promptForm != null ? builder.promptForm : dataset.promptForm().orElse(null);
    checkpoints =
        new TrainingCheckpoints(
            builder.outputDirectory,
            model,
            config,
            builder.saveDtype,
            builder.replaceExisting,
            new ConformanceRecorder(dataset, builder.conformancePrompts));
  }

  /** Returns a builder; model and dataset must be set. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Trains the model, and saves it if there is an output directory. From now on the model is asked
   * in the form of the dataset's prompts, and ends at the tokens that close the answers there.
   *
   * @return losses, token counts and times of every step
   * @throws TrainingException before the first step, if the weights are not finite, the learning
   *     rate is 0 in all steps or a step has nothing to learn; or if a loss or gradient is not
   *     finite: the message names step and examples, and the weights are those before that step
   * @throws org.alpaca4j.core.CheckpointException if saving fails; before the first step, if the
   *     output directory holds a model that is not to be replaced, or the one that is trained
   * @throws IllegalArgumentException before the first step, if a name or pattern of the adapter's
   *     configuration fits no module of the model
   * @throws IllegalStateException if the model is closed, in training or in use by another thread
   */
  public TrainingResult train() {
    ModelUse use = Internals.use(model);
    try (ModelUse.Use training = use.train()) {
      return train(use);
    }
  }

  private TrainingResult train(ModelUse use) {
    long start = System.nanoTime();
    WindowOrder order =
        new WindowOrder(
            config.order(), dataset.size(), config.batchSize(), config.gradientAccumulationSteps());
    int totalSteps = config.maxSteps().orElseGet(() -> order.steps(config.epochs()));
    LearningRateSchedule schedule = config.schedule(totalSteps);
    List<TrainingListener.Step> steps = new ArrayList<>();
    List<TrainingResult.Evaluated> evaluations = new ArrayList<>();
    checkpoints.prepare();
    RunChecks checks = new RunChecks();
    checks.requireARate(config, schedule, totalSteps);
    checks.requireSupervision(dataset, order, totalSteps);
    checks.requireFinite(Internals.loaded(model));
    if (adapter != null) {
      requireNoAdapter(model);
      Internals.attach(model, adapter, config.seed());
    }
    LoadedModel weights = Internals.loaded(model);
    checks.teachForm(model, weights, dataset, promptForm);
    NativeMemory.giveBackWhatIsFree();
    Map<String, Integer> initial =
        Internals.adapter(model).map(LoraAdapter::hashes).orElse(Map.of());

    try (NDManager manager = weights.manager().newSubManager();
        TorchProgram program =
            TorchProgram.load(
                manager.getDevice(),
                SftTrainer.class,
                optimizerConstants(manager),
                "optimizer.py");
        WeightStore store = WeightStore.of(weights, config.precision().dtype(), trained());
        ModelPass pass = new ModelPass(weights, store, config.lossChunkTokens());
        Workspace workspace =
            new Workspace(
                manager,
                weights.decoder(),
                order.maxTokens(totalSteps, example -> mostTokens(weights.decoder(), example)),
                config.lossChunkTokens(),
                store,
                !config.activationRecomputation());
        Gradients gradients =
            new Gradients(manager, store.trained(), gradientsIn(workspace), program);
        AdamW optimizer = new AdamW(manager, config, store, program)) {
      long parameters = store.trained().elements();
      tell(l -> l.started(new TrainingListener.Plan(totalSteps, dataset.size(), parameters)));

      for (int step = 0; step < totalSteps; step++) {
        use.requireOpen();
        long stepStart = System.nanoTime();
        Window window = Window.of(dataset, order.microBatches(step));
        Losses losses = forwardBackward(pass, window, step, workspace, gradients);
        double loss = losses.crossEntropy() + losses.auxiliary();
        double norm = gradients.norm();
        requireFinite(step, window, loss, norm);
        double learningRate = schedule.learningRate(step);
        optimize(optimizer, gradients, store, learningRate, norm);

        TrainingListener.Step done =
            new TrainingListener.Step(
                step + 1,
                (double) (step + 1) / order.stepsPerEpoch(),
                loss,
                losses.crossEntropy(),
                losses.auxiliary(),
                learningRate,
                norm,
                window.supervisedTokens(),
                window.supervisedWeight(),
                window.tokens(),
                Duration.ofNanos(System.nanoTime() - stepStart));
        steps.add(done);
        tell(l -> l.stepCompleted(done));

        boolean epochEnds = (step + 1) % order.stepsPerEpoch() == 0;
        boolean last = step + 1 == totalSteps;
        if (due(config.evalSteps(), config.evalEachEpoch(), step + 1, epochEnds)) {
          evaluate(pass, step + 1, evaluations);
        }
        if (!last && due(config.saveSteps(), config.saveEachEpoch(), step + 1, epochEnds)) {
          saved(step + 1, checkpoints.saveStep(step + 1, optimizer, steps));
        }
      }
      requireChanged(initial);
      checkpoints.saveFinal(optimizer, steps).ifPresent(folder -> saved(totalSteps, folder));
    }
    TrainingResult result =
        new TrainingResult(
            steps, evaluations, Duration.ofNanos(System.nanoTime() - start), checks.notes());
    tell(l -> l.finished(result));
    return result;
  }

  private static void requireNoAdapter(CausalLm model) {
    if (model.adapter().isPresent()) {
      throw new TrainingException(
          "the model has an adapter already: leave adapter(...) out to train that one on, or remove"
              + " it first (removeAdapter)");
    }
  }

  /** An adapter that has not learnt anything would be taken for one that has. */
  private void requireChanged(Map<String, Integer> initial) {
    Internals.adapter(model)
        .ifPresent(
            own -> {
              Set<String> unchanged = new TreeSet<>();
              own.hashes()
                  .forEach(
                      (name, hash) -> {
                        if (hash.equals(initial.get(name))) {
                          unchanged.add(name);
                        }
                      });
              if (!unchanged.isEmpty()) {
                throw new TrainingException(
                    "parts of the adapter have the values that they had before the training: "
                        + Names.abbreviate(unchanged)
                        + "; their gradients are 0. Leave these modules out of the targets");
              }
            });
  }

  /** Of a model with an adapter, that is trained alone. */
  private Predicate<String> trained() {
    return Internals.adapter(model).<Predicate<String>>map(own -> own::has).orElse(trained);
  }

  /** Returns how many tokens of an example are computed at most, whatever is in its batch. */
  private int mostTokens(Decoder decoder, int example) {
    int sequences = dataset.sequences(example);
    return sequences == 1
        ? dataset.length(example)
        : dataset.longestSequence(example) <= decoder.longestShared()
            ? Math.addExact(
                dataset.length(example), (sequences - 1) * (Decoder.SHORTEST_SHARED - 1))
            : dataset.get(example).length();
  }

  /**
   * Runs a window's micro-batches; returns the weighted mean of its supervised tokens' cross
   * entropies, and the auxiliary loss with its factor, each micro-batch's by its share of the
   * tokens.
   */
  private Losses forwardBackward(
      ModelPass pass, Window window, int step, Workspace workspace, Gradients gradients) {
    double scale = 1.0 / window.supervisedWeight();
    double sum = 0;
    double auxiliary = 0;
    boolean accumulate = false;
    SplittableRandom seeds = new SplittableRandom(config.seed() + step * DROPOUT_SEEDS);
    for (PackedBatch batch : window.batches()) {
      if (batch.supervisedTokens() > 0) {
        double factor = auxiliaryFactor * window.share(batch);
        Losses losses =
            pass.forwardBackward(
                batch, scale, factor, seeds.nextLong() >>> 2, workspace, gradients, accumulate);
        sum += losses.crossEntropy();
        auxiliary += factor * losses.auxiliary();
        accumulate = true;
      }
    }
    return new Losses(sum * scale, auxiliary);
  }

  /** Clips by the global norm, as torch's clip_grad_norm_ does, and updates unit by unit. */
  private void optimize(
      AdamW optimizer, Gradients gradients, WeightStore store, double learningRate, double norm) {
    double factor = Math.min(1.0, config.maxGradientNorm() / (norm + 1e-6));
    optimizer.begin();
    for (int unit = 0; unit < store.trained().units(); unit++) {
      if (gradients.runs(unit).length > 0) {
        optimizer.update(unit, gradients.runs(unit), learningRate, factor);
        store.changed(unit);
      }
    }
  }

  private static boolean due(int everySteps, boolean eachEpoch, int step, boolean epochEnds) {
    return (everySteps > 0 && step % everySteps == 0) || (eachEpoch && epochEnds);
  }

  private void evaluate(ModelPass pass, int step, List<TrainingResult.Evaluated> evaluations) {
    if (evalDataset == null) {
      return;
    }
    try (ModelEvaluator evaluator = new ModelEvaluator(pass, config.evalBatchSize(), null)) {
      Evaluation evaluation = evaluator.evaluate(evalDataset);
      evaluations.add(new TrainingResult.Evaluated(step, evaluation));
      tell(l -> l.evaluated(step, evaluation));
    }
  }

  private static void requireFinite(int step, Window window, double loss, double norm) {
    if (!Double.isFinite(loss) || !Double.isFinite(norm)) {
      throw new TrainingException(
          "step "
              + (step + 1)
              + ": the loss is "
              + loss
              + " and the gradient norm "
              + norm
              + "; examples "
              + window.examples()
              + ". The weights are as before this step. Look at those examples, lower the learning"
              + " rate, or use fp32");
    }
  }

  /** Where the layers' gradients lie; null: in fp32 memory of their own. */
  private @Nullable Workspace gradientsIn(Workspace workspace) {
    boolean accumulates = config.gradientAccumulationSteps() > 1;
    return workspace.keepsActivations() && !accumulates ? workspace : null;
  }

  private void saved(int step, Path folder) {
    tell(l -> l.saved(step, folder));
  }

  private void tell(Consumer<TrainingListener> event) {
    listeners.forEach(event);
  }

  /** Elements that the optimizer converts and updates at once: on a CPU, what its cache holds. */
  private static Map<String, Object> optimizerConstants(NDManager manager) {
    boolean cpu = manager.getDevice().getDeviceType().equals(Device.Type.CPU);
    return Map.of("chunk", cpu ? 1L << 19 : 1L << 26);
  }

  /** Collects what a trainer works with. Not thread-safe. */
  public static final class Builder {
    private @Nullable CausalLm model;
    private @Nullable SupervisedDataset dataset;
    private @Nullable SupervisedDataset evalDataset;
    private @Nullable Path outputDirectory;
    private @Nullable PromptForm promptForm;
    private boolean replaceExisting;
    private SftConfig config = SftConfig.builder().build();
    private DType saveDtype = DType.F32;
    private int conformancePrompts = 16;
    private Predicate<String> trained = name -> true;
    private @Nullable LoraConfig adapter;
    private final List<TrainingListener> listeners = new ArrayList<>();

    private Builder() {}

    /** Sets the model to train, loaded with fp32 weights; it stays the caller's to close. */
    public Builder model(CausalLm value) {
      model = Objects.requireNonNull(value, "model is null");
      return this;
    }

    /** Sets the examples to train on. */
    public Builder dataset(SupervisedDataset value) {
      dataset = Objects.requireNonNull(value, "dataset is null");
      return this;
    }

    /** Sets the examples to evaluate on; default none. */
    public Builder evalDataset(SupervisedDataset value) {
      evalDataset = Objects.requireNonNull(value, "evalDataset is null");
      return this;
    }

    /** Sets the options; default: all defaults. */
    public Builder config(SftConfig value) {
      config = Objects.requireNonNull(value, "config is null");
      return this;
    }

    /**
     * Sets where the trained model is saved; default: nowhere. The final model lies in the folder
     * itself, those of steps in sub-folders named {@code checkpoint-STEP}. A folder that holds a
     * model already is refused, before the training, unless {@link #replaceExisting} is set; the
     * folder that the model was loaded from always is.
     */
    public Builder outputDirectory(Path value) {
      outputDirectory = Objects.requireNonNull(value, "outputDirectory is null");
      return this;
    }

    /** Sets whether a model in the output directory is replaced; default false: it is refused. */
    public Builder replaceExisting(boolean value) {
      replaceExisting = value;
      return this;
    }

    /**
     * Sets the form in which the trained model is asked; default: that of the dataset's prompts, or
     * the model's own where the dataset was made of tokens.
     */
    public Builder promptForm(PromptForm value) {
      promptForm = Objects.requireNonNull(value, "promptForm is null");
      return this;
    }

    /** Sets the dtype of saved weights; default F32, in which they are trained. */
    public Builder saveDtype(DType value) {
      saveDtype = Objects.requireNonNull(value, "saveDtype is null");
      return this;
    }

    /**
     * Trains a new adapter, and nothing else; saved is the adapter, as PEFT does. Default: none;
     * all weights are trained, or the adapter that the model has already ({@link
     * CausalLm#withAdapter}).
     */
    public Builder adapter(LoraConfig value) {
      adapter = Objects.requireNonNull(value, "adapter is null");
      return this;
    }

    /**
     * Sets how many prompts of the training data go into the {@link Conformance} file of each saved
     * checkpoint, with the model's first greedy tokens; default 16, at most 64. With 0 there is no
     * such file.
     *
     * @throws IllegalArgumentException if it is negative or more than 64
     */
    public Builder conformancePrompts(int value) {
      if (value < 0 || value > 64) {
        throw new IllegalArgumentException(
            "conformancePrompts is " + value + ", but must be 0 (no file) to 64");
      }
      conformancePrompts = value;
      return this;
    }

    /** Sets which parameters are trained, by their names in the checkpoint; default: all. */
    Builder trained(Predicate<String> names) {
      trained = names;
      return this;
    }

    /** Adds a listener; they are told in the order in which they were added. */
    public Builder listener(TrainingListener value) {
      listeners.add(Objects.requireNonNull(value, "listener is null"));
      return this;
    }

    /**
     * Returns the trainer.
     *
     * @throws TrainingException if model or dataset is missing, if what is trained was not loaded
     *     with fp32 weights, or if options need an evaluation set or an output directory that is
     *     not set
     */
    public SftTrainer build() {
      if (model == null || dataset == null) {
        throw new TrainingException("a trainer needs both model(...) and dataset(...)");
      }
      if (adapter == null && model.adapter().isEmpty()) {
        requireTrainable(Internals.loaded(model));
      } else {
        requireAdaptable(model);
      }
      if (config.routerAuxLossCoef().orElse(0) > 0 && !hasExperts(Internals.loaded(model))) {
        throw new TrainingException(
            "routerAuxLossCoef is set, but the model has no experts; leave it out");
      }
      if (evalDataset == null && (config.evalSteps() > 0 || config.evalEachEpoch())) {
        throw new TrainingException(
            "evalSteps or evalEachEpoch is set, but no evalDataset(...); set it, or neither");
      }
      if (outputDirectory == null && (config.saveSteps() > 0 || config.saveEachEpoch())) {
        throw new TrainingException(
            "saveSteps or saveEachEpoch is set, but no outputDirectory(...); set it, or neither");
      }
      return new SftTrainer(this, model, dataset);
    }

    /** The adapter is of the dtype of the vectors, and trained in fp32. */
    private void requireAdaptable(CausalLm base) {
      if (adapter != null) {
        requireNoAdapter(base);
      }
      DType activations = Internals.loaded(base).activations();
      if (activations != DType.F32) {
        throw new TrainingException(
            "the model was loaded with precision "
                + activations
                + "; to train an adapter, load it with precision(FLOAT32) and weights("
                + Precision.BFLOAT16
                + "), and ask for bf16 arithmetic by SftConfig.precision("
                + Precision.BFLOAT16
                + ")");
      }
    }

    private static boolean hasExperts(LoadedModel loaded) {
      return IntStream.range(0, loaded.decoder().layers()).anyMatch(loaded.decoder()::hasExperts);
    }

    /** What is trained has to be in fp32: most updates are smaller than 16 bits can tell. */
    private void requireTrainable(LoadedModel loaded) {
      List<UnitLayout> layouts = loaded.decoder().units();
      TrainedParameters parameters = TrainedParameters.of(layouts, trained);
      if (parameters.elements() == 0) {
        throw new TrainingException("none of the model's parameters is chosen to be trained");
      }
      for (int unit = 0; unit < layouts.size(); unit++) {
        for (TrainedParameters.Run run : parameters.runs(unit)) {
          DType dtype = loaded.units().get(unit).dtype(run.flat());
          if (dtype != DType.F32) {
            throw new TrainingException(
                "the model was loaded with "
                    + dtype
                    + " weights ("
                    + layouts.get(unit).name()
                    + "); load it with Precision.FLOAT32, and ask for bf16 arithmetic by"
                    + " SftConfig.precision("
                    + Precision.BFLOAT16
                    + ")");
          }
        }
      }
    }
  }
}
