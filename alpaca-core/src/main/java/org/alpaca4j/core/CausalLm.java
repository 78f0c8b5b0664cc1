package org.alpaca4j.core;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.ZoneId;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.IncrementalDecoder;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.LoraAdapter;
import org.alpaca4j.core.internal.model.ModelUse;
import org.alpaca4j.core.internal.model.PackedInput;
import org.alpaca4j.core.internal.torch.Torch;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A decoder-only language model with its weights in memory, loaded from a Hugging Face folder.
 *
 * <p>Families: see {@link ModelConfig}; any other is refused by name. Native memory: close it.
 *
 * <p>Thread-safe. While one thread trains it, the others are refused; the training thread's
 * listeners may use it. {@link #close} ends generations under way, as if they were cancelled, and
 * waits for other calls; calls that come later are refused.
 */
public final class CausalLm implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(CausalLm.class);

  private final Path folder;
  private final LoadedModel base;
  private volatile @Nullable LoraAdapter adapter;
  private final ModelUse use;
  private final @Nullable CompletableFuture<Tokenizer> tokenizer;
  private final boolean splitSpecialTokens;
  private @Nullable IncrementalDecoder decoder;
  private @Nullable Generator generator;
  private @Nullable GenerationConfig generationConfig;
  private @Nullable PromptForm promptForm;
  private final Set<Integer> addedEnds = new LinkedHashSet<>();

  static {
    Internals.register(
        new Internals.CausalLmAccess() {
          @Override
          public LoadedModel loaded(CausalLm model) {
            model.use.requireOpen();
            return model.weights();
          }

          @Override
          public ModelUse use(CausalLm model) {
            return model.use;
          }

          @Override
          public Optional<LoraAdapter> adapter(CausalLm model) {
            return Optional.ofNullable(model.adapter);
          }

          @Override
          public void attach(CausalLm model, LoraConfig config, long seed) {
            model.attach(LoraAdapter.create(model.base, config, seed));
          }
        });
  }

  private CausalLm(
      Path folder,
      LoadedModel model,
      @Nullable CompletableFuture<Tokenizer> tokenizer,
      boolean splitSpecialTokens) {
    this.folder = folder;
    this.base = model;
    this.use = new ModelUse(folder.toString(), this::free);
    this.tokenizer = tokenizer;
    this.splitSpecialTokens = splitSpecialTokens;
  }

  /**
   * Loads a checkpoint on the CPU with fp32 weights.
   *
   * @param folder with config.json and safetensors weights
   * @throws CheckpointException if a file is missing, malformed or contradicts another
   * @throws UnsupportedModelException if the architecture or an option of it is not supported
   */
  public static CausalLm load(Path folder) {
    return builder(folder).load();
  }

  /**
   * Loads a checkpoint on the CPU with fp32 weights, by its folder or by its name on the Hugging
   * Face hub.
   *
   * @param folderOrId a folder, if it is there; else {@code org/name}, which {@link
   *     ModelHub#ofDefaults} finds in the cache or downloads
   * @throws CheckpointException as {@link #load(Path)}
   * @throws UnsupportedModelException as {@link #load(Path)}
   * @throws HubException if the hub does not hand the model out
   * @throws IllegalArgumentException if it is neither a path that exists nor a name
   */
  public static CausalLm load(String folderOrId) {
    Objects.requireNonNull(folderOrId, "folderOrId is null");
    return builder(folderOrId).load();
  }

  /**
   * Returns a builder as {@link #builder(Path)}, from a folder or a name on the Hugging Face hub,
   * which is looked up, and downloaded if need be, before this returns.
   *
   * @param folderOrId as for {@link #load(String)}
   * @throws HubException if the hub does not hand the model out
   * @throws IllegalArgumentException if it is neither a path that exists nor a name
   */
  public static Builder builder(String folderOrId) {
    Objects.requireNonNull(folderOrId, "folderOrId is null");
    return builder(ModelHub.resolve(folderOrId));
  }

  /** Returns a builder with which device and precision are chosen. */
  public static Builder builder(Path folder) {
    return new Builder(folder);
  }

  /** How to load a model; not thread-safe. */
  public static final class Builder {
    private final Path folder;
    private Device device = Device.cpu();
    private Precision precision = Precision.FLOAT32;
    private @Nullable Precision weights;
    private int vocabularyMultiple = 1;
    private @Nullable Tokenizer tokenizer;
    private boolean splitSpecialTokens = true;

    private Builder(Path folder) {
      this.folder = Objects.requireNonNull(folder, "folder is null");
    }

    /** Sets where the weights are and the model computes; default: the CPU. */
    public Builder device(Device value) {
      Objects.requireNonNull(value, "device is null");
      device = value;
      return this;
    }

    /**
     * Sets the format that layers compute in, and that weights are held in unless {@link #weights}
     * says otherwise; default: {@link Precision#FLOAT32}.
     *
     * @throws IllegalArgumentException if it is {@link Precision#FLOAT16}
     */
    public Builder precision(Precision value) {
      Objects.requireNonNull(value, "precision is null");
      if (value == Precision.FLOAT16) {
        throw new IllegalArgumentException(
            "layers do not compute in FLOAT16; use weights(FLOAT16) to hold weights in it");
      }
      precision = value;
      return this;
    }

    /**
     * Sets the format that matrices are held in, where layers compute in fp32; default: the same.
     *
     * <p>In 16 bits a model takes half the memory, while it is loaded too: no fp32 copy is made of
     * it. Products widen a piece of a matrix at a time and are fp32, as are norm weights, biases
     * and hidden states. So a checkpoint published in that very format computes what it computes
     * with fp32 weights; any other is rounded. Evaluation takes a little longer. Generation on a
     * CPU makes a second copy of the matrices, of 16 bits too, after a few tokens, and then is as
     * fast as with fp32 weights; elsewhere each token widens all of them, so that {@link
     * #precision} of {@link Precision#BFLOAT16} is the better choice there.
     *
     * <p>A model to be trained wants fp32 weights. {@link #save(Path)} writes the format held.
     */
    public Builder weights(Precision value) {
      Objects.requireNonNull(value, "weights is null");
      weights = value;
      return this;
    }

    /**
     * Sets a tokenizer to use in place of the folder's, such as one with added tokens. Where it has
     * more tokens than the embedding has rows, the embedding and the head grow, each new row being
     * the mean of the old ones; they never shrink. The model takes the tokenizer over and closes
     * it; where loading fails, it stays the caller's.
     */
    public Builder tokenizer(Tokenizer value) {
      Objects.requireNonNull(value, "tokenizer is null");
      tokenizer = value;
      return this;
    }

    /**
     * Sets of what number the vocabulary is made a multiple when it grows for the tokenizer's sake:
     * matrices whose sides are multiples of 8 or 64 are faster on accelerators. The further rows
     * are the mean of the old ones too, and belong to no token. Default 1; a vocabulary that need
     * not grow stays as it is.
     *
     * @throws IllegalArgumentException if it is less than 1
     */
    public Builder padVocabularyToMultipleOf(int value) {
      if (value < 1) {
        throw new IllegalArgumentException(
            "padVocabularyToMultipleOf is " + value + "; it must be at least 1");
      }
      vocabularyMultiple = value;
      return this;
    }

    /**
     * Sets whether the texts of special tokens in the messages of a {@link CausalLm#chat} are text,
     * so that nobody who is quoted there can end a turn or begin another; default true. With false
     * they become the tokens. The template's own are tokens in any case.
     */
    public Builder splitSpecialTokens(boolean value) {
      splitSpecialTokens = value;
      return this;
    }

    /** The configuration with a vocabulary for all tokens of the tokenizer. */
    private ModelConfig grown(ModelConfig config) {
      if (tokenizer == null || tokenizer.requiredEmbeddingRows() <= config.vocabSize()) {
        return config;
      }
      int needed = tokenizer.requiredEmbeddingRows();
      int further = Math.floorMod(-needed, vocabularyMultiple);
      return config.toBuilder().vocabSize(Math.addExact(needed, further)).build();
    }

    private DType storage() {
      if (weights == null || weights == precision) {
        return precision.dtype();
      }
      if (precision != Precision.FLOAT32) {
        throw new IllegalArgumentException(
            "weights("
                + weights
                + ") with precision("
                + precision
                + "): weights of another format go with precision(FLOAT32)");
      }
      return weights.dtype();
    }

    /**
     * Loads the model.
     *
     * @throws IllegalArgumentException if {@link #weights} and {@link #precision} do not go
     *     together
     * @throws CheckpointException if a file is missing, malformed or contradicts another, or if a
     *     weight is beyond the range of {@link Precision#FLOAT16}
     * @throws UnsupportedModelException if the architecture or an option of it is not supported
     */
    public CausalLm load() {
      log.debug("loading {}", folder);
      if (AdapterFolder.isOne(folder) && !Files.exists(folder.resolve("config.json"))) {
        return loadWithAdapter();
      }
      DType storage = storage();
      // Each of these takes its time: the engine's start, the tokenizer, the checkpoint's headers.
      CompletableFuture<Void> engine = CompletableFuture.runAsync(Torch::initialize);
      CompletableFuture<Tokenizer> loading = null;
      try (Checkpoint checkpoint = Checkpoint.open(folder)) {
        loading = loadTokenizer(); // not before: the engine's start would wait for a core
        ModelConfig config = grown(checkpoint.config());
        join(engine);
        LoadedModel model =
            LoadedModel.load(checkpoint, config, device, precision.dtype(), storage);
        return new CausalLm(folder, model, loading, splitSpecialTokens);
      } catch (RuntimeException | Error e) {
        if (loading != null && tokenizer == null) {
          var unused = loading.thenAccept(Tokenizer::close);
        }
        throw e;
      }
    }

    private CausalLm loadWithAdapter() {
      Builder of = new Builder(AdapterFolder.open(folder).baseFolder());
      of.device = device;
      of.precision = precision;
      of.weights = weights;
      of.vocabularyMultiple = vocabularyMultiple;
      of.tokenizer = tokenizer;
      of.splitSpecialTokens = splitSpecialTokens;
      CausalLm model = of.load();
      try {
        return model.withAdapter(folder);
      } catch (RuntimeException | Error e) {
        model.close();
        throw e;
      }
    }

    /** Reads the tokenizer while the weights are read: each takes its time. */
    private @Nullable CompletableFuture<Tokenizer> loadTokenizer() {
      if (tokenizer != null) {
        return CompletableFuture.completedFuture(tokenizer);
      }
      if (VocabularyFile.in(folder).isEmpty()) {
        return null;
      }
      CompletableFuture<Tokenizer> result = new CompletableFuture<>();
      Thread thread =
          new Thread(
              () -> {
                try {
                  result.complete(Tokenizer.load(folder));
                } catch (RuntimeException | Error e) {
                  result.completeExceptionally(e);
                }
              },
              "alpaca4j-tokenizer");
      thread.setDaemon(true);
      thread.start();
      return result;
    }
  }

  private LoadedModel weights() {
    LoraAdapter own = adapter;
    return own == null ? base : own.model();
  }

  /**
   * Adds an adapter that PEFT or this library has written: from now on the model computes with it,
   * and is asked in the form and ends at the tokens that the folder says. It takes the place of an
   * adapter that is there already. A {@link #generator} of before is of no use then: take a new
   * one.
   *
   * @param adapterFolder with adapter_config.json and adapter_model.safetensors
   * @return this model
   * @throws CheckpointException if a file is missing or malformed, or a tensor of the adapter does
   *     not belong to this model
   * @throws UnsupportedModelException if it is another kind of adapter than LoRA, or has options
   *     that are not supported
   * @throws IllegalStateException if the model is closed, in training or in use by another thread
   */
  public CausalLm withAdapter(Path adapterFolder) {
    Objects.requireNonNull(adapterFolder, "adapterFolder is null");
    AdapterFolder files = AdapterFolder.open(adapterFolder);
    try (ModelUse.Use changing = use.change("an adapter");
        Checkpoint weights = files.weights()) {
      attach(LoraAdapter.read(base, files.config(), weights));
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(
          adapterFolder + " does not belong to the model of " + folder + ": " + e.getMessage(), e);
    }
    PromptForm.load(adapterFolder).ifPresent(this::usePromptForm);
    GenerationConfig.load(adapterFolder).eosTokenIds().ifPresent(this::addEndTokens);
    return this;
  }

  /**
   * Takes the adapter away: the model computes as it did before.
   *
   * @throws IllegalStateException if the model is closed, in training or in use by another thread
   */
  public void removeAdapter() {
    try (ModelUse.Use changing = use.change("taking an adapter away")) {
      attach(null);
    }
  }

  /** Returns the options of the adapter that the model computes with, if it has one. */
  public Optional<LoraConfig> adapter() {
    LoraAdapter own = adapter;
    return own == null ? Optional.empty() : Optional.of(own.config());
  }

  private synchronized void attach(@Nullable LoraAdapter next) {
    forgetGenerator();
    LoraAdapter before = adapter;
    adapter = next;
    if (before != null) {
      before.close();
    }
  }

  private void forgetGenerator() {
    if (decoder != null) {
      decoder.close();
    }
    decoder = null;
    generator = null;
  }

  /** Returns the folder that this model was loaded from. */
  public Path folder() {
    return folder;
  }

  /** Returns the configuration. */
  public ModelConfig config() {
    return base.config();
  }

  /**
   * Returns the tokenizer; closed with the model.
   *
   * @throws TokenizerException if the folder has none, or one that cannot be read
   */
  public Tokenizer tokenizer() {
    if (tokenizer == null) {
      return Tokenizer.load(folder); // tells what is missing
    }
    return join(tokenizer);
  }

  /** Returns whether the model has a tokenizer. */
  public boolean hasTokenizer() {
    return tokenizer != null;
  }

  private static <T extends @Nullable Object> T join(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      if (e.getCause() instanceof Error cause) {
        throw cause;
      }
      throw e;
    }
  }

  /** Returns where the weights are. */
  public Device device() {
    return base.manager().getDevice();
  }

  /**
   * Returns the logits of one sequence.
   *
   * @param scope owner of the result
   * @param ids token ids, from the first position on
   * @return [ids.length, vocabSize] fp32: row t scores the token after {@code ids[t]}
   * @throws IllegalArgumentException if there are no ids, or one is not in the vocabulary
   */
  public NDArray logits(NDManager scope, int[] ids) {
    Objects.requireNonNull(scope, "scope is null");
    Objects.requireNonNull(ids, "ids is null");
    try (ModelUse.Use reading = use.read();
        NDManager step = scope.newSubManager(device())) {
      LoadedModel model = weights();
      PackedInput input =
          model.decoder().pack(step, ids, new int[] {ids.length}, null, model.activations());
      NDArray hidden =
          model.decoder().finalHidden(step, model.hiddenStates(step, input), model.head());
      return model.decoder().logits(scope, hidden, model.embedding(), model.head());
    }
  }

  /**
   * Writes a Hugging Face folder in the precision of the weights: weights, configuration,
   * generation configuration, tokenizer, the form in which the model is asked, and the folder's
   * {@value Conformance#FILE_NAME} if it is still true. Whole or not at all.
   *
   * @param target the folder to make; an existing checkpoint there is refused
   * @throws CheckpointException if that fails; nothing half-written remains
   */
  public void save(Path target) {
    Objects.requireNonNull(target, "target is null");
    save(CheckpointWriter.builder(target), adapter == null ? base.storage() : DType.F32);
  }

  /**
   * As {@link #save(Path)}, with options.
   *
   * @param writer where and how to write, and further files to add
   * @param dtype of the weights in the files: F32, BF16 or F16
   * @throws IllegalArgumentException if weights are not stored in that type
   */
  public void save(CheckpointWriter.Builder writer, DType dtype) {
    Objects.requireNonNull(writer, "writer is null");
    Objects.requireNonNull(dtype, "dtype is null");
    if (!dtype.isWeight()) {
      throw new IllegalArgumentException("dtype is " + dtype + ", but must be F32, BF16 or F16");
    }
    try (ModelUse.Use reading = use.read()) {
      LoraAdapter own = adapter;
      if (own == null) {
        base.declare(writer, dtype);
        writer.config(savedConfig(dtype));
      } else {
        own.declare(writer.weightsName(AdapterFolder.WEIGHTS), dtype);
        writer.file(
            AdapterFolder.CONFIG,
            AdapterFolder.json(own.config(), own.moduleEnds(), folder.toString()));
      }
      addFiles(writer, dtype);
      writer.build().write((name, out) -> weights().write(name, dtype, out));
    }
  }

  private synchronized ModelConfig savedConfig(DType dtype) {
    ModelConfig.Builder config = config().toBuilder().dtype(dtype);
    if (!addedEnds.isEmpty()) {
      config.eosTokenIds(endTokenIds());
    }
    return config.build();
  }

  private synchronized void addFiles(CheckpointWriter.Builder writer, DType dtype) {
    if (!addedEnds.isEmpty()) {
      writer.file(GenerationConfig.FILE_NAME, GenerationConfig.jsonWithEnds(folder, endTokenIds()));
    } else if (Files.exists(folder.resolve(GenerationConfig.FILE_NAME))) {
      writer.copy(folder.resolve(GenerationConfig.FILE_NAME));
    }
    if (adapter == null && !writer.has(Conformance.FILE_NAME)) {
      Conformance.carried(this, dtype).ifPresent(json -> writer.file(Conformance.FILE_NAME, json));
    }
    Tokenizer own = tokenizer == null ? null : tokenizer();
    if (own != null) {
      writer.files(own::save);
    }
    PromptForm form = promptForm;
    if (form != null) {
      writer.files(target -> PromptFormFiles.save(form, own, target));
    } else if (Files.exists(folder.resolve(PromptTemplate.FILE_NAME))) {
      writer.copy(folder.resolve(PromptTemplate.FILE_NAME));
    }
  }

  /** Returns the generator of this model, which is closed with it. */
  public synchronized Generator generator() {
    use.requireOpen();
    if (generator == null) {
      LoadedModel model = weights();
      decoder = model.decoder().incremental(model);
      generator =
          new Generator(
              decoder,
              model,
              use,
              this::generationConfig,
              () -> tokenizer == null ? null : tokenizer());
    }
    return generator;
  }

  /**
   * Returns the options of generation that the model comes with, and the end tokens added since.
   *
   * @throws CheckpointException see {@link GenerationConfig#load}
   */
  public synchronized GenerationConfig generationConfig() {
    if (generationConfig == null) {
      generationConfig = GenerationConfig.load(folder);
    }
    return addedEnds.isEmpty()
        ? generationConfig
        : generationConfig.toBuilder().eosTokenIds(endTokenIds()).build();
  }

  /**
   * Returns the tokens that end an answer: those of {@link #generationConfig}, else those of
   * config.json, and those added since.
   */
  public synchronized List<Integer> endTokenIds() {
    if (generationConfig == null) {
      generationConfig = GenerationConfig.load(folder);
    }
    Set<Integer> ends =
        new LinkedHashSet<>(generationConfig.eosTokenIds().orElseGet(config()::eosTokenIds));
    ends.addAll(addedEnds);
    return List.copyOf(ends);
  }

  /**
   * Adds tokens that end an answer, such as the one that closed the answers of a training. Saved
   * with the model, in {@code generation_config.json} and {@code config.json}.
   *
   * @throws IllegalArgumentException if an id is outside the vocabulary
   */
  public synchronized void addEndTokens(Collection<Integer> ids) {
    Objects.requireNonNull(ids, "ids is null");
    for (int id : ids) {
      if (id < 0 || id >= config().vocabSize()) {
        throw new IllegalArgumentException(
            "end token " + id + " is outside the vocabulary of " + config().vocabSize());
      }
    }
    Set<Integer> more = new LinkedHashSet<>(ids);
    endTokenIds().forEach(more::remove);
    addedEnds.addAll(more);
  }

  /**
   * Returns the form in which this model is asked: the one set or trained last, else the folder's.
   */
  public synchronized Optional<PromptForm> promptForm() {
    return promptForm != null ? Optional.of(promptForm) : PromptForm.load(folder);
  }

  /**
   * Sets the form in which {@link #chat} asks and which {@link #save} writes. A chat template
   * without special tokens of its own is given the tokenizer's.
   */
  public synchronized void usePromptForm(PromptForm form) {
    Objects.requireNonNull(form, "form is null");
    promptForm =
        form instanceof ChatTemplate template && tokenizer != null
            ? template.withTokensOf(tokenizer())
            : form;
  }

  /**
   * Answers an instruction or a question in the form that the model was trained in. No system
   * message is sent: a chat template may have one of its own for conversations without; for another
   * one see {@link #chat(List)}.
   *
   * @return the answer's text, without special tokens; at most {@link
   *     GenerationConfig#maxNewTokens} tokens
   * @throws ChatTemplateException if the model has neither a prompt template nor a chat template
   */
  public String chat(String prompt) {
    Objects.requireNonNull(prompt, "prompt is null");
    return chat(List.of(ChatMessage.user(prompt)));
  }

  /**
   * Answers a conversation, whose messages are rendered as they are.
   *
   * @throws ChatTemplateException if the model has no template, or one that cannot render these
   *     messages: a prompt template takes a single one of the user
   */
  public String chat(List<ChatMessage> messages) {
    return chat(messages, generationConfig(), (sequence, id, text) -> true).text();
  }

  /**
   * As {@link #chat(List)}, with options and a listener that hears of the answer as it comes.
   *
   * @param config without beams
   */
  public GenerationResult chat(
      List<ChatMessage> messages, GenerationConfig config, TokenListener listener) {
    Objects.requireNonNull(config, "config is null");
    Objects.requireNonNull(listener, "listener is null");
    Generator own = generator(); // refuses a closed model
    return own.generate(chatIds(messages), config, listener);
  }

  /**
   * Returns the token ids of a conversation up to where the answer begins, as {@link #chat} gives
   * them to the model. Arguments of tool calls may be objects or JSON texts; the template sees the
   * one that it takes, as in training.
   *
   * @throws IllegalArgumentException if such a text is not the JSON text of an object
   * @throws ChatTemplateException see {@link #chat(List)}
   */
  public int[] chatIds(List<ChatMessage> messages) {
    Objects.requireNonNull(messages, "messages is null");
    PromptForm form =
        promptForm()
            .orElseThrow(
                () ->
                    new ChatTemplateException(
                        folder
                            + ": neither a chat template nor a prompt template; set one with"
                            + " usePromptForm, or give token ids to generator()"));
    Tokenizer tokens = tokenizer();
    List<ChatMessage> asText =
        splitSpecialTokens ? tokens.withoutSpecialTokens(messages) : messages;
    return RenderedPrompt.of(
            form, tokens, asText, List.of(), "", Clock.system(ZoneId.systemDefault()))
        .ids();
  }

  /**
   * Frees the weights. Generations under way in other threads end as if cancelled, a training after
   * its step, and other calls are waited for; called from within a use of the model, such as a
   * listener, the weights are freed when that use ends.
   */
  @Override
  public void close() {
    use.close();
  }

  private synchronized void free() {
    if (tokenizer != null) {
      var unused = tokenizer.thenAccept(Tokenizer::close);
    }
    forgetGenerator();
    if (adapter != null) {
      adapter.close();
    }
    base.close();
  }
}
