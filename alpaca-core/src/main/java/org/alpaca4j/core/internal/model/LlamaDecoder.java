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
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.jspecify.annotations.Nullable;

/**
 * The Llama-like families: Llama 1 to 3, Mistral, Qwen2 and Qwen3. The arithmetic is in {@code
 * llama.py}, names and shapes of the weights in {@link LlamaLayout}.
 */
public final class LlamaDecoder implements Decoder {
  /** Longest example, in tokens, whose attention on the CPU is computed by matrix products. */
  private static final long LONGEST_BY_PRODUCTS = 1024;

  /** Queries whose attention is computed at once: by measurement, between 96 and 192 are alike. */
  private static final long BLOCK_ON_CPU = 128;

  /** On an accelerator, fewer and larger products are better. */
  private static final long BLOCK_ELSEWHERE = 1024;

  /** Logits of which the losses are computed at once: 4 MiB in fp32. */
  private static final long LOGITS_ON_CPU = 1 << 20;

  private static final long ALL = Integer.MAX_VALUE;

  private final ModelConfig config;
  private final Map<String, Object> constants = new HashMap<>();
  private final NDManager manager;
  private final TorchProgram program;
  private final List<UnitLayout> units;
  private final long longestShared;
  private final NDArray zero;
  private final NDArray one;
  private final NDArray all;
  private final NDArray[] windows;
  private final NDArray rotaryScale;
  private final float[] frequencies;

  /**
   * Loads the program.
   *
   * @param device where weights and hidden states are
   */
  public LlamaDecoder(ModelConfig config, Device device) {
    this(config, device, isCpu(device), LONGEST_BY_PRODUCTS);
  }

  /**
   * As {@link #LlamaDecoder(ModelConfig, Device)}.
   *
   * @param cpuKernel whether the CPU's fused attention may be used; without it attention is
   *     computed by matrix products, as on every other device
   * @param longestByProducts longest example, in tokens, for which it is not used
   */
  LlamaDecoder(ModelConfig config, Device device, boolean cpuKernel, long longestByProducts) {
    Torch.initialize();
    this.config = config;
    longestShared = cpuKernel ? longestByProducts : Long.MAX_VALUE;
    LlamaLayout layout = LlamaLayout.of(config);
    constants.put("heads", (long) config.numAttentionHeads());
    constants.put("kv_heads", (long) config.numKeyValueHeads());
    constants.put("group", (long) config.numAttentionHeads() / config.numKeyValueHeads());
    constants.put("head_dim", (long) config.headDim());
    constants.put("intermediate", (long) config.intermediateSize());
    constants.put("eps", config.rmsNormEps());
    constants.put("cpu_kernel", cpuKernel);
    constants.put("longest_by_products", longestByProducts);
    constants.put("block", isCpu(device) ? BLOCK_ON_CPU : BLOCK_ELSEWHERE);
    constants.put(
        "loss_rows", isCpu(device) ? Math.max(1, LOGITS_ON_CPU / config.vocabSize()) : ALL);
    constants.put("scale", 1 / Math.sqrt(config.headDim()));
    constants.putAll(layout.places());
    units = layout.units();
    manager = NDManager.newBaseManager(device, Torch.ENGINE);
    program = TorchProgram.load(device, LlamaDecoder.class, constants, "llama.py");
    zero = onCpu(0f);
    one = onCpu(1f);
    all = manager.create(new long[0]);
    windows = new NDArray[config.numHiddenLayers()];
    for (int layer = 0; layer < windows.length; layer++) {
      windows[layer] = onCpu(new long[] {config.slidingWindow(layer).orElse(0)});
    }
    rotaryScale = manager.create((float) config.ropeScaling().attentionScaling());
    frequencies = config.ropeScaling().inverseFrequencies(config, 0);
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

  /** Returns the constants of the program, for measuring parts of it. */
  public Map<String, Object> constants() {
    return Map.copyOf(constants);
  }

  @Override
  public ModelConfig config() {
    return config;
  }

  @Override
  public List<UnitLayout> units() {
    return units;
  }

  @Override
  public PackedInput pack(
      NDManager scope, int[] ids, int[] lengths, int @Nullable [] wanted, DType dtype) {
    requireFitting(ids, lengths);
    boolean perExample = hasFrequenciesPerExample(lengths);
    PrefixTree tree = PrefixTree.of(ids, lengths, perExample ? 0 : longestShared);
    NDArray like = Tensors.zeros(scope, 1, dtype);
    NDList rotary =
        program.call(
            scope,
            "rotary",
            scope.create(floats(tree.positions())),
            perExample
                ? frequenciesPerExample(scope, lengths, tree.size())
                : scope.create(frequencies, new Shape(1, frequencies.length)),
            rotaryScale,
            like);
    long[] segments = tree.segments();
    int[] places = tree.rows();
    int[] outputs = {};
    if (wanted != null) {
      int[] tokens = Arrays.stream(wanted).map(at -> tree.rows()[at]).toArray();
      int[] read = Arrays.stream(tokens).sorted().distinct().toArray();
      places = Arrays.stream(tokens).map(token -> Arrays.binarySearch(read, token)).toArray();
      outputs = read;
    }
    return new PackedInput(
        longs(scope, tree.ids()),
        rotary.get(0),
        rotary.get(1),
        scope.create(segments, new Shape(segments.length / 2, 2)).toDevice(Device.cpu(), false),
        longs(scope, outputs),
        longs(scope, places),
        tree.rows());
  }

  private static NDArray longs(NDManager scope, int[] values) {
    return scope.create(Arrays.stream(values).asLongStream().toArray());
  }

  private static float[] floats(int[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      floats[i] = values[i];
    }
    return floats;
  }

  /** An accelerator would not say which id is wrong, and would be unusable afterwards. */
  private void requireFitting(int[] ids, int[] lengths) {
    long sum = 0;
    for (int length : lengths) {
      if (length < 1) {
        throw new IllegalArgumentException("an example has " + length + " tokens; it needs 1");
      }
      sum += length;
    }
    if (sum != ids.length || sum == 0) {
      throw new IllegalArgumentException(
          ids.length + " token ids for examples of " + sum + " tokens; at least 1 is needed");
    }
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] < 0 || ids[i] >= config.vocabSize()) {
        throw new IllegalArgumentException(
            "token id "
                + ids[i]
                + " at place "
                + i
                + " is not in the model's vocabulary of "
                + config.vocabSize()
                + "; load the model with the tokenizer that made the id, so that it grows");
      }
    }
  }

  /** Dynamic scaling depends on an example's length, beyond the trained one. */
  private boolean hasFrequenciesPerExample(int[] lengths) {
    return config.ropeScaling().type() == RopeScaling.Type.DYNAMIC
        && Arrays.stream(lengths).anyMatch(length -> length > config.maxPositionEmbeddings());
  }

  /** Inverse frequencies, a row per token: [tokens, headDim / 2]. */
  private NDArray frequenciesPerExample(NDManager scope, int[] lengths, int tokens) {
    int half = frequencies.length;
    float[] rows = new float[tokens * half];
    int token = 0;
    for (int length : lengths) {
      float[] row = config.ropeScaling().inverseFrequencies(config, length);
      for (int i = 0; i < length; i++, token++) {
        System.arraycopy(row, 0, rows, token * half, half);
      }
    }
    return scope.create(rows, new Shape(tokens, half));
  }

  @Override
  public NDArray embed(NDManager scope, PackedInput input, UnitTensors embedding) {
    return program.callForOne(scope, "embed", input.ids(), embedding.argument(0));
  }

  @Override
  public void embedBackward(PackedInput input, NDArray dx, UnitTensors gradient) {
    program.run("embed_backward", input.ids(), dx, gradient.argument(0));
  }

  /** Every layer's output is read whole by the next one. */
  private NDArray wanted(int layer, PackedInput input) {
    return layer == config.numHiddenLayers() - 1 ? input.wanted() : all;
  }

  @Override
  public NDArray layer(
      NDManager scope,
      int layer,
      NDArray x,
      PackedInput input,
      UnitTensors weights,
      boolean exact) {
    return program.callForOne(
        scope,
        "forward",
        x,
        input.cos(),
        input.sin(),
        input.segments(),
        wanted(layer, input),
        windows[layer],
        exact ? one : zero,
        weights.arguments());
  }

  @Override
  public List<Long> roomWidths() {
    long hidden = config.hiddenSize();
    long heads = (long) config.numAttentionHeads() * config.headDim();
    long keysAndValues = 2L * config.numKeyValueHeads() * config.headDim();
    return List.of(hidden, heads + keysAndValues, heads, hidden, 2L * config.intermediateSize());
  }

  @Override
  public List<Long> scratchWidths() {
    long hidden = config.hiddenSize();
    long intermediate = config.intermediateSize();
    List<Long> kept = roomWidths();
    return List.of(
        intermediate, hidden, hidden, intermediate, hidden, kept.get(2), kept.get(1), kept.get(4));
  }

  @Override
  public NDList layerKeeping(
      NDManager scope,
      int layer,
      NDArray x,
      PackedInput input,
      UnitTensors weights,
      NDArray[] room,
      NDArray[] scratch) {
    return program.call(
        scope,
        "forward_keeping",
        x,
        input.cos(),
        input.sin(),
        input.segments(),
        wanted(layer, input),
        windows[layer],
        weights.arguments(),
        room,
        scratch);
  }

  @Override
  public NDArray layerBackward(
      NDManager scope,
      int layer,
      NDArray x,
      NDArray dz,
      NDArray[] room,
      NDArray[] scratch,
      NDArray @Nullable [] more,
      PackedInput input,
      UnitTensors weights,
      UnitTensors gradients,
      boolean accumulate) {
    List<Object> arguments =
        new ArrayList<>(
            List.of(
                x,
                dz,
                input.cos(),
                input.sin(),
                input.segments(),
                wanted(layer, input),
                windows[layer],
                accumulate ? one : zero,
                weights.arguments(),
                gradients.arguments(),
                room,
                scratch));
    if (more == null) {
      return program.callForOne(scope, "backward_recomputing", arguments.toArray());
    }
    arguments.add(more);
    return program.callForOne(scope, "backward", arguments.toArray());
  }

  @Override
  public NDArray finalNorm(NDManager scope, NDArray x, UnitTensors head) {
    return program.callForOne(scope, "final_norm", x, head.argument(0));
  }

  @Override
  public NDArray logits(NDManager scope, NDArray normed, UnitTensors embedding, UnitTensors head) {
    return program.callForOne(scope, "logits", normed, matrix(embedding, head));
  }

  /** The head's matrix [vocabulary, hidden]: its own, or the embedding's when tied. */
  private NDArray matrix(UnitTensors embedding, UnitTensors head) {
    return config.tieWordEmbeddings() ? embedding.argument(0) : head.argument(1);
  }

  @Override
  public long lossRoomWidth() {
    return config.vocabSize();
  }

  @Override
  public NDArray losses(
      NDManager scope,
      NDArray x,
      NDArray rows,
      NDArray targets,
      NDArray room,
      UnitTensors embedding,
      UnitTensors head) {
    return program.callForOne(
        scope, "head_loss", x, rows, targets, room, head.argument(0), matrix(embedding, head));
  }

  @Override
  public NDList headBackward(
      NDManager scope,
      NDArray x,
      NDArray rows,
      NDArray targets,
      double scale,
      NDArray room,
      UnitTensors embedding,
      UnitTensors head,
      UnitTensors embeddingGradient,
      UnitTensors headGradient,
      boolean accumulate) {
    return program.call(
        scope,
        "head_backward",
        x,
        rows,
        targets,
        scope.create((float) scale),
        accumulate ? one : zero,
        room,
        head.argument(0),
        matrix(embedding, head),
        headGradient.argument(0),
        matrix(embeddingGradient, headGradient));
  }

  @Override
  public IncrementalDecoder incremental(LoadedModel model) {
    return new LlamaIncrementalDecoder(model, new HashMap<>(constants));
  }

  @Override
  public void close() {
    program.close();
    manager.close();
  }
}
