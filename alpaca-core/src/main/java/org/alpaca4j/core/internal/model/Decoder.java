package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.torch.GemmBackend;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.jspecify.annotations.Nullable;

/**
 * What a decoder-only language model computes, forward and backward: embedding, layers, head.
 * Stateless: weights are arguments, so a caller may gather a layer's weights, use them and free
 * them. What it computes is in the torch programs that {@link DecoderProgram} makes from a {@link
 * DecoderDescription}.
 *
 * <p>All results are owned by the given scope. Shapes: hidden states [tokens, hidden] in the dtype
 * of the activations. Thread-safe.
 */
public final class Decoder implements AutoCloseable {
  /** A shorter beginning is computed for each example that has it. */
  public static final int SHORTEST_SHARED = PrefixTree.SHORTEST;

  /** Longest example, in tokens, whose attention on the CPU is computed by matrix products. */
  private static final long LONGEST_BY_PRODUCTS = 1024;

  /** Queries whose attention is computed at once: by measurement, between 96 and 192 are alike. */
  private static final long BLOCK_ON_CPU = 128;

  /** On an accelerator, fewer and larger products are better. */
  private static final long BLOCK_ELSEWHERE = 1024;

  /** Logits of which the losses are computed at once: 4 MiB in fp32. */
  private static final long LOGITS_ON_CPU = 1 << 20;

  private static final long ALL = Integer.MAX_VALUE;

  private final DecoderDescription description;
  private final DecoderProgram text;
  private final Map<String, Object> constants = new HashMap<>();
  private final NDManager manager;
  private final PositionEncodings encodings;
  private final ExamplePacker packer;
  private final List<UnitLayout> units;
  private final NDArray zero;
  private final NDArray one;
  private final NDArray nothing;
  private final NDArray[] numbers;
  private @Nullable TorchProgram program;

  /**
   * Compiles the program.
   *
   * @param device where weights and hidden states are
   */
  public Decoder(DecoderDescription description, Device device) {
    this(description, device, isCpu(device), LONGEST_BY_PRODUCTS);
  }

  /**
   * As {@link #Decoder(DecoderDescription, Device)}.
   *
   * @param cpuKernel whether the CPU's fused attention may be used; without it attention is
   *     computed by matrix products, as on every other device
   * @param longestByProducts longest example, in tokens, for which it is not used
   */
  Decoder(
      DecoderDescription description, Device device, boolean cpuKernel, long longestByProducts) {
    Torch.initialize();
    this.description = description;
    text = new DecoderProgram(description);
    constants.put("cpu_kernel", cpuKernel);
    constants.put("longest_by_products", longestByProducts);
    constants.put("block", isCpu(device) ? BLOCK_ON_CPU : BLOCK_ELSEWHERE);
    constants.put(
        "loss_rows", isCpu(device) ? Math.max(1, LOGITS_ON_CPU / description.vocabSize()) : ALL);
    units = DecoderLayout.units(description, text);
    manager = NDManager.newBaseManager(device, Torch.ENGINE);
    encodings = new PositionEncodings(description, device, text.constants());
    packer =
        new ExamplePacker(
            description,
            encodings,
            new AttentionKernels(description, device),
            cpuKernel ? longestByProducts : Long.MAX_VALUE);
    zero = onCpu(0f);
    one = onCpu(1f);
    nothing = manager.create(new float[0]);
    numbers = new NDArray[Math.max(layers(), Mode.values().length)];
    Arrays.setAll(numbers, i -> onCpu(new long[] {i}));
  }

  /** Compiled when it is first wanted: generation has a program of its own. */
  private synchronized TorchProgram program() {
    TorchProgram compiled = program;
    if (compiled == null) {
      Map<String, Object> all = new HashMap<>(constants);
      all.put("packed", TorchProgram.State.PACKED_MATRICES);
      compiled = text.load(manager.getDevice(), DecoderProgram.Purpose.TRAINING, all);
      program = compiled;
    }
    return compiled;
  }

  /** How products with weights are computed; the numbers are those of linear.py. */
  private enum Mode {
    FAST(0),
    EXACT(1),
    WIDE(2);

    private final int number;

    Mode(int number) {
      this.number = number;
    }
  }

  private static boolean isCpu(Device device) {
    return device.getDeviceType().equals(Device.Type.CPU);
  }

  private NDArray onCpu(float value) {
    return manager.create(new float[] {value}, new Shape(1)).toDevice(Device.cpu(), false);
  }

  private NDArray onCpu(long[] values) {
    return manager.create(values).toDevice(Device.cpu(), false);
  }

  /** Returns the description that this was made from. */
  public DecoderDescription description() {
    return description;
  }

  /** Returns the number of layers. */
  public int layers() {
    return description.layers().size();
  }

  /** Returns the units in order: embedding, decoder layers, head. */
  public List<UnitLayout> units() {
    return units;
  }

  DecoderProgram text() {
    return text;
  }

  /** Returns the constants of the program that depend on the device. */
  Map<String, Object> deviceConstants() {
    return Map.copyOf(constants);
  }

  /** Returns the constants of the program, for measuring parts of it. */
  public Map<String, Object> constants() {
    Map<String, Object> all = new HashMap<>(constants);
    all.putAll(text.constants());
    all.put("packed", TorchProgram.State.PACKED_MATRICES);
    return all;
  }

  PositionEncodings encodings() {
    return encodings;
  }

  /**
   * Returns the most tokens of an example whose beginning is computed once for all examples of a
   * batch that share it, whatever the batch is; 0 if that is not sure of any.
   *
   * <p>Two such examples have at least all but {@link #SHORTEST_SHARED} - 1 of the tokens computed
   * once that they begin with alike.
   */
  public long longestShared() {
    return packer.longestShared();
  }

  /**
   * Puts examples side by side, what they begin with alike once.
   *
   * @param ids token ids of all examples, one after the other
   * @param lengths tokens of each example
   * @param outputs places in {@code ids} at which the last layer's output will be read, at least
   *     one; null: all
   * @param dtype of the activations
   * @throws IllegalArgumentException if an example is empty or too long, the lengths do not add up
   *     to the ids, or an id is not in the vocabulary
   */
  public PackedInput pack(
      NDManager scope, int[] ids, int[] lengths, int @Nullable [] outputs, DType dtype) {
    return packer.pack(scope, ids, lengths, outputs, dtype, lengths, false);
  }

  /**
   * As {@link #pack(NDManager, int[], int[], int[], DType)}, with the last layer computed at all
   * tokens, which {@link #balance} wants.
   */
  public PackedInput packForBalance(
      NDManager scope, int[] ids, int[] lengths, int[] outputs, DType dtype) {
    return packer.pack(scope, ids, lengths, outputs, dtype, lengths, true);
  }

  /**
   * As {@link #pack(NDManager, int[], int[], int[], DType)}.
   *
   * @param rotaryLengths for each example the length that rotary embeddings are stretched for,
   *     where they depend on it
   */
  PackedInput pack(
      NDManager scope,
      int[] ids,
      int[] lengths,
      int @Nullable [] outputs,
      DType dtype,
      int[] rotaryLengths) {
    return packer.pack(scope, ids, lengths, outputs, dtype, rotaryLengths, false);
  }

  /**
   * Checks the length of a sequence.
   *
   * @throws IllegalArgumentException if the model has not learned so many positions
   */
  void requireLength(int length) {
    packer.requireLength(length);
  }

  /** How products are computed: in training as fast as possible, else as transformers does. */
  NDArray mode(DType dtype, boolean exact) {
    boolean wide = dtype != DType.F32 && GemmBackend.widens(manager.getDevice(), dtype);
    return numbers[(wide ? Mode.WIDE : exact ? Mode.EXACT : Mode.FAST).number];
  }

  /** An argument of a unit by name; nothing if it has none such. */
  private NDArray argument(UnitTensors unit, String name) {
    NDArray argument = unit.argument(name);
    return argument == null ? nothing : argument;
  }

  private NDArray[] embeddingArguments(UnitTensors embedding) {
    return new NDArray[] {
      argument(embedding, DecoderLayout.TOKENS),
      argument(embedding, DecoderLayout.PROJECTION),
      argument(embedding, DecoderLayout.POSITIONS),
      argument(embedding, DecoderLayout.NORM),
      argument(embedding, DecoderLayout.NORM_BIAS)
    };
  }

  /**
   * Returns the first layer's input.
   *
   * @param dtype of the activations
   */
  public NDArray embed(NDManager scope, PackedInput input, UnitTensors embedding, DType dtype) {
    NDArray like = Tensors.zeros(scope, 1, dtype);
    return program()
        .callForOne(
            scope,
            "embed",
            (Object[]) with(embeddingArguments(embedding), input.ids(), input.positions(), like));
  }

  /** Adds the gradient of {@link #embed} to the embedding's gradients. */
  public void embedBackward(
      PackedInput input,
      NDArray dx,
      UnitTensors embedding,
      UnitTensors gradient,
      boolean accumulate) {
    NDArray[] weights =
        with(
            embeddingArguments(embedding),
            input.ids(),
            input.positions(),
            dx,
            accumulate ? one : zero,
            description.head().tied() ? one : zero);
    program().run("embed_backward", (Object[]) with(embeddingArguments(gradient), weights));
  }

  private static NDArray[] with(NDArray[] last, NDArray... first) {
    NDArray[] all = Arrays.copyOf(first, first.length + last.length);
    System.arraycopy(last, 0, all, first.length, last.length);
    return all;
  }

  /** What generation.py takes of the embedding and the head. */
  NDArray[] around(UnitTensors embedding, UnitTensors head) {
    return with(
        with(matrixArguments(embedding, head), normArguments(head)), embeddingArguments(embedding));
  }

  private boolean isLast(int layer) {
    return layer == layers() - 1;
  }

  /**
   * Returns a layer's output; the last one's has {@link PackedInput#outputs} rows.
   *
   * @param exact spend a few percent of the time on rounding as transformers does; false where
   *     {@link #layerBackward} will compute the same again
   */
  public NDArray layer(
      NDManager scope,
      int layer,
      NDArray x,
      PackedInput input,
      UnitTensors weights,
      boolean exact) {
    return program()
        .callForOne(
            scope,
            "forward",
            x,
            numbers[layer],
            mode(weights.activations(), exact),
            input.batch(isLast(layer)),
            input.cos(),
            input.sin(),
            weights.arguments());
  }

  /** Returns whether a layer is a mixture of experts. */
  public boolean hasExperts(int layer) {
    return description.layers().get(layer).mlp() instanceof Experts;
  }

  /**
   * As {@link #layer}, for one that {@link #hasExperts}; not exact.
   *
   * @return the output, then what {@link #balance} wants of the layer
   */
  public NDList layerRouting(
      NDManager scope, int layer, NDArray x, PackedInput input, UnitTensors weights) {
    return program()
        .call(
            scope,
            "forward_routing",
            x,
            numbers[layer],
            mode(weights.activations(), false),
            input.batch(isLast(layer)),
            input.cos(),
            input.sin(),
            weights.arguments());
  }

  /**
   * Returns the auxiliary loss [1] of mixtures of experts: experts * sum of f_e P_e over all layers
   * together, the choices per token if these are spread evenly; and what {@link #layerBackward}
   * takes as {@code balance}.
   *
   * @param probabilities of each layer of experts: what {@link #layerRouting} returned behind the
   *     output, or {@link #layerKeeping} first of what is small
   * @param choices of each layer of experts: what they returned next
   * @param input made by {@link #packForBalance}
   * @param factor of the auxiliary loss in the loss that gradients are of
   */
  public NDList balance(
      NDManager scope,
      NDArray[] probabilities,
      NDArray[] choices,
      PackedInput input,
      double factor) {
    float[] counts = new float[input.tokens()];
    for (int token : input.tokenOf()) {
      counts[token]++;
    }
    return program()
        .call(
            scope,
            "balance",
            scope.create(counts),
            scope.create(new double[] {factor}),
            probabilities,
            choices);
  }

  /**
   * Returns the elements for each token of the slab that {@link #layerKeeping} fills; one size for
   * all layers.
   */
  public long keptWidth() {
    return widest("kept_widths");
  }

  /**
   * Returns the elements for each token of the slab that {@link #layerKeeping} and {@link
   * #layerBackward} overwrite with what lives no longer than a call; one serves all layers.
   */
  public long scratchWidth() {
    return widest("scratch_widths");
  }

  private long widest(String constant) {
    long[] widths = (long[]) Objects.requireNonNull(text.constants().get(constant));
    return Arrays.stream(widths).max().orElse(0);
  }

  /**
   * Computes a layer and keeps what {@link #layerBackward} needs.
   *
   * @param kept slab of {@link #keptWidth} times tokens, overwritten
   * @param scratch slab of {@link #scratchWidth} times tokens, overwritten
   * @return the output, which lies in {@code kept}; then what else the backward pass needs, which
   *     is small
   */
  public NDList layerKeeping(
      NDManager scope,
      int layer,
      NDArray x,
      PackedInput input,
      UnitTensors weights,
      NDArray kept,
      NDArray scratch) {
    return program()
        .call(
            scope,
            "forward_keeping",
            x,
            numbers[layer],
            mode(weights.activations(), false),
            input.batch(isLast(layer)),
            input.cos(),
            input.sin(),
            weights.arguments(),
            kept,
            scratch);
  }

  /**
   * Returns the gradient of a layer's input and writes its weights' gradients.
   *
   * @param kept as {@link #layerKeeping} left it; without {@code extras} it is computed again, and
   *     overwritten
   * @param scratch slab of {@link #scratchWidth} times tokens, overwritten
   * @param extras what {@link #layerKeeping} returned after the output; null: compute the layer
   *     again, from x
   * @param accumulate add to the gradients, instead of overwriting them
   */
  public NDArray layerBackward(
      NDManager scope,
      int layer,
      NDArray x,
      NDArray dz,
      NDArray kept,
      NDArray scratch,
      NDArray @Nullable [] extras,
      PackedInput input,
      UnitTensors weights,
      UnitTensors gradients,
      boolean accumulate) {
    return layerBackward(
        scope, layer, x, dz, kept, scratch, extras, input, null, weights, gradients, accumulate);
  }

  /**
   * As {@link #layerBackward(NDManager, int, NDArray, NDArray, NDArray, NDArray, NDArray[],
   * PackedInput, UnitTensors, UnitTensors, boolean)}, for a layer of experts.
   *
   * @param balance gradient of the auxiliary loss: see {@link #balance}; null: it is not in the
   *     loss
   */
  public NDArray layerBackward(
      NDManager scope,
      int layer,
      NDArray x,
      NDArray dz,
      NDArray kept,
      NDArray scratch,
      NDArray @Nullable [] extras,
      PackedInput input,
      @Nullable NDArray balance,
      UnitTensors weights,
      UnitTensors gradients,
      boolean accumulate) {
    List<Object> arguments =
        new ArrayList<>(
            List.of(
                x,
                dz,
                numbers[layer],
                mode(weights.activations(), false),
                accumulate ? one : zero,
                balance == null ? nothing : balance,
                input.batch(isLast(layer)),
                input.cos(),
                input.sin(),
                weights.arguments(),
                gradients.arguments(),
                kept,
                scratch));
    if (extras == null) {
      return program().callForOne(scope, "backward_recomputing", arguments.toArray());
    }
    arguments.add(extras);
    return program().callForOne(scope, "backward", arguments.toArray());
  }

  private NDArray[] normArguments(UnitTensors head) {
    return new NDArray[] {
      argument(head, DecoderLayout.NORM),
      argument(head, DecoderLayout.NORM_BIAS),
      argument(head, DecoderLayout.PROJECTION)
    };
  }

  private NDArray[] matrixArguments(UnitTensors embedding, UnitTensors head) {
    return new NDArray[] {matrix(embedding, head), argument(head, DecoderLayout.BIAS)};
  }

  /** The head's matrix [vocabulary, width]: its own, or the embedding's when tied. */
  private NDArray matrix(UnitTensors embedding, UnitTensors head) {
    return description.head().tied()
        ? argument(embedding, DecoderLayout.TOKENS)
        : argument(head, DecoderLayout.TOKENS);
  }

  /** Returns what the head's matrix is multiplied with: normed hidden states [tokens, width]. */
  public NDArray finalHidden(NDManager scope, NDArray x, UnitTensors head) {
    return program().callForOne(scope, "final_hidden", (Object[]) with(normArguments(head), x));
  }

  /** Returns fp32 logits [tokens, vocabulary] of {@link #finalHidden}'s result. */
  public NDArray logits(NDManager scope, NDArray hidden, UnitTensors embedding, UnitTensors head) {
    return program()
        .callForOne(
            scope,
            "logits",
            (Object[])
                with(matrixArguments(embedding, head), hidden, mode(head.activations(), true)));
  }

  /**
   * Returns the width of the tensor [positions, width], in the dtype of the hidden states, that
   * {@link #losses} and {@link #headBackward} overwrite; they work on so many positions at once.
   */
  public long logitsWidth() {
    return description.vocabSize();
  }

  /**
   * Returns the fp32 cross entropies [n] of the targets [n, 1] at the given rows [n] of the last
   * layer's output.
   *
   * @param logits [positions, {@link #logitsWidth}], overwritten
   */
  public NDArray losses(
      NDManager scope,
      NDArray x,
      NDArray rows,
      NDArray targets,
      NDArray logits,
      UnitTensors embedding,
      UnitTensors head) {
    NDArray[] weights = with(matrixArguments(embedding, head), normArguments(head));
    return program()
        .callForOne(
            scope,
            "head_loss",
            (Object[]) with(weights, x, rows, targets, mode(head.activations(), false), logits));
  }

  /**
   * Returns {@link #losses} and the gradient of the sum of {@code scales} times them with respect
   * to the last layer's output; writes the head's gradients. Where head and embedding are tied, the
   * head part of the shared matrix's gradient is written to the embedding's.
   *
   * @param scales fp32 [n, 1]
   */
  public NDList headBackward(
      NDManager scope,
      NDArray x,
      NDArray rows,
      NDArray targets,
      NDArray scales,
      NDArray logits,
      UnitTensors embedding,
      UnitTensors head,
      UnitTensors embeddingGradient,
      UnitTensors headGradient,
      boolean accumulate) {
    NDArray[] weights = with(matrixArguments(embedding, head), normArguments(head));
    NDArray[] gradients =
        with(matrixArguments(embeddingGradient, headGradient), normArguments(headGradient));
    NDArray[] others = {
      x, rows, targets, scales, accumulate ? one : zero, mode(head.activations(), false), logits
    };
    return program()
        .call(scope, "head_backward", (Object[]) with(with(gradients, weights), others));
  }

  /** Returns a reader of sequences token by token, which uses a model's weights. */
  public IncrementalDecoder incremental(LoadedModel model) {
    return new CachedDecoder(model);
  }

  @Override
  public synchronized void close() {
    if (program != null) {
      program.close();
    }
    encodings.close();
    manager.close();
  }
}
