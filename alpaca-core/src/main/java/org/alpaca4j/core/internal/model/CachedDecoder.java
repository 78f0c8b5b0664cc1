package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Generation with a cache of what attention needs of earlier tokens; the program is in {@code
 * generation.py}.
 *
 * <p>One step of one row is bound by reading the weights. Where fp16 holds them as exactly as fp32
 * does (as it holds those of a bf16 or fp16 checkpoint), products read an fp16 copy, in half the
 * time and with fp32 arithmetic. Making the copy costs as much as some dozens of steps, so it is
 * made when that many were done.
 */
final class CachedDecoder implements IncrementalDecoder {
  private static final Logger log = LoggerFactory.getLogger(CachedDecoder.class);

  /** Capacity is reserved for this many new tokens at first, and doubled when they are used up. */
  private static final int FIRST_STEPS = 512;

  /** Seconds per element that packing takes on one thread; measured, and stable enough. */
  private static final double PACKING_SECONDS = 17e-9;

  private final LoadedModel model;
  private final Decoder decoder;
  private final NDManager manager;
  private final TorchProgram program;
  private final NDArray nothing;
  private final NDArray noMask;
  private final NDArray[] frequencies;
  private final NDArray[] rotaryScales;
  private final NDArray like;
  private final double packingSeconds;

  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private Packing packing;
  private long packedVersion;
  private double unpackedSeconds;

  private enum Packing {
    NOT_YET,
    DONE,
    IMPOSSIBLE
  }

  CachedDecoder(LoadedModel model) {
    this.model = model;
    decoder = model.decoder();
    Device device = model.manager().getDevice();
    boolean cpu = device.getDeviceType().equals(Device.Type.CPU);
    packing = cpu ? Packing.NOT_YET : Packing.IMPOSSIBLE;
    program = decoder.text().load(device, DecoderProgram.Purpose.GENERATION, constants());

    manager = NDManager.newBaseManager(device, Torch.ENGINE);
    nothing = manager.create(new float[0]);
    noMask = manager.create(new float[0]);
    like = Tensors.zeros(manager, 1, model.activations());
    frequencies = new NDArray[decoder.description().rotaries().size()];
    Arrays.setAll(frequencies, i -> frequencies(manager, i, 0));
    rotaryScales = new NDArray[frequencies.length];
    Arrays.setAll(rotaryScales, decoder.encodings()::rotaryScale);
    List<NDArray> weights = new ArrayList<>();
    long elements = 0;
    for (UnitTensors unit : model.units()) {
      weights.addAll(List.of(unit.arguments()));
      elements += unit.layout().elements().get(UnitLayout.DECAYED);
    }
    packingSeconds = elements * PACKING_SECONDS / Runtime.getRuntime().availableProcessors();
    run("bind", weights.toArray(NDArray[]::new), decoder.around(model.embedding(), model.head()));
  }

  /** What the program knows of the places of weights. */
  private Map<String, Object> constants() {
    int layers = decoder.layers();
    Map<String, Object> constants = new HashMap<>(decoder.deviceConstants());
    List<UnitTensors> units = model.units();
    long[] counts = new long[layers];
    long[] slots = new long[layers];
    long[] prefixes = new long[layers];
    List<Long> places = new ArrayList<>();
    long at = units.get(0).arguments().length;
    for (int layer = 0; layer < layers; layer++) {
      counts[layer] = model.layer(layer).arguments().length;
      slots[layer] = places.size();
      LayerProgram kind = decoder.text().layer(layer);
      prefixes[layer] = kind.arguments().indexOf(LayerRecipe.PREFIX);
      for (String matrix : kind.matrices()) {
        places.add(at + kind.arguments().indexOf(matrix));
      }
      at += counts[layer];
    }
    constants.put("argument_counts", counts);
    constants.put("embedding_arguments", (long) model.embedding().arguments().length);
    constants.put("slots", slots);
    constants.put("prefix_length", (long) decoder.description().prefixLength());
    constants.put("prefix_places", prefixes);
    constants.put("matrix_places", places.stream().mapToLong(Long::longValue).toArray());
    constants.put(
        "position_kinds",
        decoder.description().rotaries().stream()
            .mapToLong(rotary -> rotary.blockPositions() ? 1 : 0)
            .toArray());
    constants.put("weights", TorchProgram.State.TENSORS);
    constants.put("around", TorchProgram.State.TENSORS);
    constants.put("packed", TorchProgram.State.PACKED_MATRICES);
    return constants;
  }

  private void run(String method, Object... arguments) {
    program.run(method, arguments);
  }

  private NDArray frequencies(NDManager scope, int index, int length) {
    float[] row = decoder.encodings().inverseFrequencies(index, length);
    return scope.create(row, new Shape(1, row.length));
  }

  @Override
  public void prepare() {
    lock.writeLock().lock();
    try {
      if (packing == Packing.NOT_YET) {
        pack();
      }
    } finally {
      lock.writeLock().unlock();
    }
  }

  private void pack() {
    try {
      try (NDArray fits = program.callForOne(manager, "packable", nothing)) {
        if (fits.getFloat() == 0) {
          log.debug("decoding with {} weights: fp16 would round them", model.storage());
          packing = Packing.IMPOSSIBLE;
          return;
        }
      }
      long start = System.nanoTime();
      packedVersion = version();
      run("pack_matrices", nothing);
      packing = Packing.DONE;
      log.debug("weights packed in {} ms", (System.nanoTime() - start) / 1_000_000);
    } catch (EngineException e) {
      log.debug("no fp16 products here", e);
      packing = Packing.IMPOSSIBLE;
    }
  }

  /** A number that changes when weights are written to. */
  private long version() {
    try (NDArray versions = program.callForOne(manager, "versions", nothing)) {
      return versions.getLong();
    }
  }

  /** Drops the packed copy when the weights have changed since. */
  private void refresh() {
    lock.writeLock().lock();
    try {
      if (packing == Packing.DONE && version() != packedVersion) {
        run("unpack", nothing);
        packing = Packing.NOT_YET;
        unpackedSeconds = 0;
      }
    } finally {
      lock.writeLock().unlock();
    }
  }

  /** Counts the time of a step on unpacked weights; packs them once that has become worth it. */
  private void spent(double seconds) {
    if (packing != Packing.NOT_YET) {
      return;
    }
    lock.writeLock().lock();
    try {
      unpackedSeconds += seconds;
      if (unpackedSeconds > packingSeconds && packing == Packing.NOT_YET) {
        pack();
      }
    } finally {
      lock.writeLock().unlock();
    }
  }

  private NDList call(NDManager scope, String method, Object... arguments) {
    lock.readLock().lock();
    try {
      return program.call(scope, method, arguments);
    } finally {
      lock.readLock().unlock();
    }
  }

  @Override
  public Sequences start(int[][] prompts, int steps) {
    refresh();
    Rows rows = new Rows(prompts.length);
    try {
      rows.prefill(prompts, steps);
      return rows;
    } catch (RuntimeException | Error e) {
      rows.close();
      throw e;
    }
  }

  @Override
  public void close() {
    program.close();
    manager.close();
  }

  /** A batch whose rows end in the same column of the cache. */
  private final class Rows implements Sequences {
    private final NDManager scope = NDManager.newBaseManager(manager.getDevice(), Torch.ENGINE);
    private final DType dtype;
    private int rows;
    private int length;
    private int capacity;
    private int[] pads = {};
    private SequencePositions[] numbered = {};
    private @Nullable NDArray cache;
    private NDArray lengths = nothing;
    private NDArray mask = noMask;
    private @Nullable NDArray best;
    private @Nullable NDArray logits;

    Rows(int rows) {
      this.rows = rows;
      dtype = packing == Packing.DONE ? DType.F32 : model.activations();
    }

    void prefill(int[][] prompts, int steps) {
      int tokens = 0;
      for (int[] prompt : prompts) {
        length = Math.max(length, prompt.length);
        tokens += prompt.length;
      }
      int[] ids = new int[tokens];
      int[] lasts = new int[rows];
      pads = new int[rows];
      numbered = new SequencePositions[rows];
      int at = 0;
      for (int row = 0; row < rows; row++) {
        System.arraycopy(prompts[row], 0, ids, at, prompts[row].length);
        at += prompts[row].length;
        lasts[row] = at - 1;
        pads[row] = length - prompts[row].length;
        numbered[row] = SequencePositions.of(decoder.description().positions(), prompts[row]);
      }
      length += decoder.description().prefixLength();
      capacity = length + Math.min(steps, FIRST_STEPS);
      cache = allocate(rows, capacity);
      describePads();
      lengths = call(scope, "row_lengths", nothing).singletonOrThrow();
      try (NDManager step = scope.newSubManager()) {
        PackedInput input = decoder.pack(step, ids, lengths(prompts), lasts, model.activations());
        long[] ends = Arrays.stream(lasts).mapToLong(last -> last + 1).toArray();
        keep(
            call(
                scope,
                "prefill",
                like,
                input.ids(),
                input.positions(),
                input.segments(),
                input.ends(),
                input.bias(),
                input.outputTokens(),
                input.outputRows(),
                input.cos(),
                input.sin(),
                decoder.mode(model.activations(), false),
                step.create(Arrays.stream(input.tokenOf()).asLongStream().toArray()),
                step.create(ends).toDevice(Device.cpu(), false),
                lengths,
                cache));
      }
    }

    private static int[] lengths(int[][] prompts) {
      return Arrays.stream(prompts).mapToInt(prompt -> prompt.length).toArray();
    }

    private NDArray allocate(int batch, int columns) {
      DecoderDescription.Attention attention = decoder.description().layers().get(0).attention();
      long[] shape = {
        2L * decoder.layers(), batch, attention.kvHeads(), columns, attention.headDim()
      };
      long elements = Arrays.stream(shape).reduce(1, Math::multiplyExact);
      try (NDArray flat = Tensors.zeros(scope, elements, dtype)) {
        return Tensors.view(scope, flat, 0, shape);
      }
    }

    /** Sets the mask, which hides unused columns and carries biases of positions. */
    private void describePads() {
      if (mask != noMask) {
        mask.close();
        mask = noMask;
      }
      boolean biased = decoder.encodings().isBiased();
      if (!biased && Arrays.stream(pads).noneMatch(pad -> pad > 0)) {
        return;
      }
      float[] hidden = new float[rows * capacity];
      for (int row = 0; row < rows; row++) {
        Arrays.fill(hidden, row * capacity, row * capacity + pads[row], Float.NEGATIVE_INFINITY);
      }
      try (NDManager step = scope.newSubManager()) {
        NDArray exact = step.create(hidden, new Shape(rows, 1, 1, capacity));
        if (!biased) {
          mask = Tensors.cast(scope, exact, dtype);
          return;
        }
        float[] positions = new float[rows * capacity];
        for (int i = 0; i < positions.length; i++) {
          positions[i] = Math.max(0, i % capacity - pads[i / capacity]);
        }
        int kvHeads = decoder.description().layers().get(0).attention().kvHeads();
        NDArray all = Tensors.cast(step, exact, dtype);
        mask =
            call(
                    scope,
                    "biased_mask",
                    all,
                    decoder
                        .encodings()
                        .biases(step, step.create(positions, new Shape(rows, capacity))),
                    step.create(new long[] {kvHeads}).toDevice(Device.cpu(), false))
                .singletonOrThrow();
      }
    }

    private void keep(NDList results) {
      forget();
      best = results.get(0);
      logits = results.get(1);
    }

    private void forget() {
      if (best != null) {
        best.close();
        best = null;
      }
      if (logits != null) {
        logits.close();
        logits = null;
      }
    }

    private static NDArray valid(@Nullable NDArray array) {
      if (array == null) {
        throw new IllegalStateException("no logits: rows were selected, or this is closed");
      }
      return array;
    }

    @Override
    public int rows() {
      return rows;
    }

    @Override
    public int[] best() {
      return Arrays.stream(valid(best).toLongArray()).mapToInt(Math::toIntExact).toArray();
    }

    @Override
    public float[][] logits() {
      return split(valid(logits).toFloatArray());
    }

    @Override
    public float[][] logProbabilities() {
      try (NDArray values = call(scope, "log_softmax", valid(logits)).singletonOrThrow()) {
        return split(values.toFloatArray());
      }
    }

    private float[][] split(float[] values) {
      int width = values.length / rows;
      float[][] result = new float[rows][];
      for (int row = 0; row < rows; row++) {
        result[row] = Arrays.copyOfRange(values, row * width, (row + 1) * width);
      }
      return result;
    }

    @Override
    public void append(int[] ids) {
      if (ids.length != rows) {
        throw new IllegalArgumentException(ids.length + " ids for " + rows + " rows");
      }
      try (NDArray array = scope.create(Arrays.stream(ids).asLongStream().toArray())) {
        append(array);
      }
    }

    @Override
    public void appendBest() {
      append(valid(best));
    }

    private void append(NDArray ids) {
      if (length == capacity) {
        grow();
      }
      long start = System.nanoTime();
      try (NDManager step = scope.newSubManager()) {
        NDArray used = step.create(new long[] {length}).toDevice(Device.cpu(), false);
        keep(
            call(
                scope,
                "step",
                ids,
                used,
                positions(step),
                currentFrequencies(step),
                rotaryScales,
                mask,
                lengths,
                valid(cache)));
      }
      length++;
      if (dtype == DType.F32) {
        spent((System.nanoTime() - start) / 1e9);
      }
    }

    /** [2, rows] fp32: the positions and block positions of the tokens that come next. */
    private NDArray positions(NDManager step) {
      float[] values = new float[2 * rows];
      for (int row = 0; row < rows; row++) {
        int place = length - pads[row] - decoder.description().prefixLength();
        decoder.requireLength(place + 1);
        values[row] = numbered[row].next(place);
        values[rows + row] = numbered[row].nextBlock(place);
      }
      return step.create(values, new Shape(2, rows));
    }

    /** [rows or 1, pairs] each. As in transformers, the newest length counts; cached keys stay. */
    private NDArray[] currentFrequencies(NDManager step) {
      NDArray[] current = frequencies.clone();
      for (int i = 0; i < current.length; i++) {
        if (decoder.description().rotaries().get(i).scaling().dependsOnLength()) {
          int pairs = decoder.description().rotaries().get(i).dims() / 2;
          float[] values = new float[rows * pairs];
          for (int row = 0; row < rows; row++) {
            float[] own = decoder.encodings().inverseFrequencies(i, length + 1 - pads[row]);
            System.arraycopy(own, 0, values, row * pairs, pairs);
          }
          current[i] = step.create(values, new Shape(rows, pairs));
        }
      }
      return current;
    }

    private void grow() {
      capacity = 2 * capacity;
      int[] all = new int[rows];
      Arrays.setAll(all, i -> i);
      moveTo(allocate(rows, capacity), all);
      describePads();
    }

    private void moveTo(NDArray target, int[] selected) {
      NDArray source = valid(cache);
      try (NDManager step = scope.newSubManager()) {
        NDArray indices = step.create(Arrays.stream(selected).asLongStream().toArray());
        NDArray columns = step.create(new long[] {length}).toDevice(Device.cpu(), false);
        call(step, "select_rows", source, target, indices, columns);
      }
      if (target != source) {
        source.close();
        cache = target;
      }
    }

    @Override
    public void select(int[] selected) {
      forget();
      boolean same = selected.length == rows;
      boolean identity = same;
      int[] selectedPads = new int[selected.length];
      SequencePositions[] selectedNumbers = new SequencePositions[selected.length];
      for (int i = 0; i < selected.length; i++) {
        identity &= selected[i] == i;
        selectedPads[i] = pads[selected[i]];
        selectedNumbers[i] = numbered[selected[i]];
      }
      if (identity) {
        return;
      }
      moveTo(same ? valid(cache) : allocate(selected.length, capacity), selected);
      boolean padsChange = !Arrays.equals(pads, selectedPads);
      pads = selectedPads;
      numbered = selectedNumbers;
      rows = selected.length;
      if (padsChange || !same) {
        describePads();
      }
    }

    @Override
    public void close() {
      scope.close();
    }
  }
}
