package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.family.Profile;
import org.alpaca4j.core.internal.torch.GemmBackend;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.jspecify.annotations.Nullable;

/**
 * A decoder with its weights in memory. Owns both.
 *
 * <p>Thread-safe for reading; the weights are changed by training only.
 */
public final class LoadedModel implements AutoCloseable {
  /** How much of a tensor that cannot be mapped is read at a time. */
  private static final int PIECE_BYTES = 1 << 24;

  private final ModelConfig config;
  private final Decoder decoder;
  private final NDManager manager;
  private final DType activations;
  private final List<UnitTensors> units = new ArrayList<>();

  private LoadedModel(ModelConfig config, Decoder decoder, NDManager manager, DType activations) {
    this.config = config;
    this.decoder = decoder;
    this.manager = manager;
    this.activations = activations;
  }

  /** Returns a model of weights that are there already. It owns the decoder and the manager. */
  static LoadedModel of(
      ModelConfig config,
      Decoder decoder,
      NDManager manager,
      DType activations,
      List<UnitTensors> units) {
    LoadedModel model = new LoadedModel(config, decoder, manager, activations);
    model.units.addAll(units);
    return model;
  }

  /**
   * Reads a checkpoint's weights, converting them to a dtype. The files are mapped, so that the
   * only copy in memory is the one returned.
   *
   * @param config the checkpoint's own, or with a larger vocabulary: the rows that embedding and
   *     head have more are the mean of the others
   * @param activations dtype of hidden states, norm weights and biases
   * @param storage dtype of the matrices
   * @throws org.alpaca4j.core.CheckpointException if tensors are missing, unexpected or misshapen
   */
  public static LoadedModel load(
      Checkpoint checkpoint, ModelConfig config, Device device, DType activations, DType storage) {
    return load(checkpoint, config, device, activations, unit -> storage);
  }

  /**
   * As {@link #load(Checkpoint, ModelConfig, Device, DType, DType)}, with a dtype of the matrices
   * for each unit: what is trained wants fp32, what is not may have less.
   */
  public static LoadedModel load(
      Checkpoint checkpoint,
      ModelConfig config,
      Device device,
      DType activations,
      Function<UnitLayout, DType> storage) {
    Internals.requireLoadable(config);
    Torch.initialize();
    if (device.getDeviceType().equals(Device.Type.CPU)) {
      GemmBackend.choice();
    }
    Decoder decoder = new Decoder(Internals.description(config), device);
    NDManager manager = NDManager.newBaseManager(device, Torch.ENGINE);
    LoadedModel model = new LoadedModel(config, decoder, manager, activations);
    try {
      model.read(checkpoint, storage);
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  /**
   * Returns a model of the same weights, in the same memory, with another decoder; what this one
   * has more, which is an adapter's, has arbitrary values. It is to be closed before this one.
   */
  LoadedModel withDecoder(DecoderDescription description) {
    NDManager own = manager.newSubManager();
    LoadedModel model =
        new LoadedModel(config, new Decoder(description, manager.getDevice()), own, activations);
    try {
      for (int i = 0; i < units.size(); i++) {
        model.units.add(UnitTensors.adapted(own, units.get(i), model.decoder.units().get(i)));
      }
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  private void read(Checkpoint published, Function<UnitLayout, DType> storage) {
    Map<String, long[]> expected = new TreeMap<>();
    for (UnitLayout unit : decoder.units()) {
      unit.parameters().forEach(p -> expected.put(p.name(), shapeInFile(p, published)));
    }
    Profile profile = Internals.profile(config);
    Set<String> ignorable = new HashSet<>();
    Checkpoint checkpoint =
        published.withNames(NamePrefix.renamed(published.names(), expected.keySet()));
    checkpoint.names().stream().filter(profile::ignores).forEach(ignorable::add);
    boolean tied = decoder.description().head().tied();
    if (tied) {
      ignorable.add(profile.head());
    }
    checkpoint.requireExactly(expected, ignorable);
    if (tied) {
      checkpoint.requireTied(profile.head(), embeddingName());
    }
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      List<Path> paths = new ArrayList<>();
      List<NDArray> files = new ArrayList<>();
      for (UnitLayout layout : decoder.units()) {
        UnitTensors unit = // all of it is read
            UnitTensors.empty(manager, layout, storage.apply(layout), activations);
        units.add(unit);
        List<Tensors.Part> parts = new ArrayList<>();
        for (UnitLayout.Parameter parameter : layout.parameters()) {
          TensorInfo info = checkpoint.tensor(parameter.name());
          if (!checkpoint.isInPlace(parameter.name())) {
            readOrdered(checkpoint, info, unit, parameter);
            continue;
          }
          int file = paths.indexOf(info.file());
          if (file < 0) {
            file = paths.size();
            paths.add(info.file());
            files.add(Tensors.map(scope, info.file(), info.file().toFile().length()));
          }
          if (!parameter.inOrder()) {
            try (NDManager step = scope.newSubManager()) {
              unit.set(parameter, interpreted(step, files.get(file), info.offset(), info));
            }
          } else if (Arrays.equals(info.shape(), parameter.shapeArray())) {
            parts.add(
                new Tensors.Part(
                    parameter.flat(),
                    parameter.offset(),
                    parameter.elements(),
                    file,
                    info.offset(),
                    info.byteLength(),
                    info.dtype()));
          } else {
            copyGrowing(info, files.get(file), info.offset(), scope, unit, parameter);
          }
        }
        unit.read(files.toArray(NDArray[]::new), parts);
        requireInRange(checkpoint, unit, scope);
      }
    }
  }

  /** What float16 cannot hold has become infinite. */
  private static void requireInRange(Checkpoint checkpoint, UnitTensors unit, NDManager scope) {
    for (UnitLayout.Parameter parameter : unit.layout().parameters()) {
      TensorInfo info = checkpoint.tensor(parameter.name());
      if (unit.dtype(parameter.flat()) == DType.F16 && info.dtype() != DType.F16) {
        try (NDManager step = scope.newSubManager()) {
          long offset = parameter.offset();
          if (!Tensors.isFinite(unit.part(step, parameter.flat(), offset, parameter.elements()))) {
            throw new CheckpointException(
                info.file()
                    + ": tensor '"
                    + info.name()
                    + "' has a value beyond 65,504, the largest of float16; load it with weights of"
                    + " BFLOAT16 or FLOAT32");
          }
        }
      }
    }
  }

  /** Reads a tensor whose bytes in the file are not in order, a piece at a time. */
  static void readOrdered(
      Checkpoint checkpoint, TensorInfo info, UnitTensors unit, UnitLayout.Parameter parameter) {
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      NDArray bytes = Tensors.empty(scope, info.byteLength(), DType.U8);
      ByteBuffer buffer = ByteBuffer.allocateDirect((int) Math.min(PIECE_BYTES, info.byteLength()));
      for (long offset = 0; offset < info.byteLength(); offset += PIECE_BYTES) {
        int length = (int) Math.min(PIECE_BYTES, info.byteLength() - offset);
        checkpoint.readBytes(parameter.name(), buffer.clear().limit(length), offset);
        try (NDManager step = scope.newSubManager()) {
          NDArray read = step.create(buffer.flip(), new Shape(length), DataType.UINT8);
          Tensors.copy(Tensors.view(step, bytes, offset, length), read);
        }
      }
      if (Arrays.equals(info.shape(), parameter.shapeArray())) {
        unit.set(parameter, interpreted(scope, bytes, 0, info));
      } else {
        copyGrowing(info, bytes, 0, scope, unit, parameter);
      }
    }
  }

  private static void copyGrowing(
      TensorInfo info,
      NDArray file,
      long offset,
      NDManager scope,
      UnitTensors unit,
      UnitLayout.Parameter parameter) {
    try (NDManager step = scope.newSubManager()) {
      Tensors.copyGrowing(unit.parameter(step, parameter), interpreted(step, file, offset, info));
    }
  }

  private static NDArray interpreted(NDManager scope, NDArray file, long offset, TensorInfo info) {
    return Tensors.interpret(scope, file, offset, info.byteLength(), info.dtype(), info.shape());
  }

  private String embeddingName() {
    return decoder.units().get(0).parameters().get(0).name();
  }

  /** The vocabulary may be larger in memory than in the file. */
  private long[] shapeInFile(UnitLayout.Parameter parameter, Checkpoint checkpoint) {
    long[] shape = parameter.shapeArray();
    if (isVocabulary(parameter.name())) {
      shape[0] = checkpoint.config().vocabSize();
    }
    return shape;
  }

  /** Returns a token's row [hidden] of the head's matrix, the embedding's where they are tied. */
  public float[] headRow(int id) {
    DecoderDescription.Weight own = decoder.description().head().weight();
    UnitTensors unit = own == null ? embedding() : head();
    String name = own == null ? embeddingName() : own.tensors().get(0).name();
    for (UnitLayout.Parameter parameter : unit.layout().parameters()) {
      if (parameter.name().equals(name)) {
        long width = parameter.elements() / config.vocabSize();
        try (NDManager step = manager.newSubManager()) {
          NDArray row = unit.part(step, parameter.flat(), parameter.offset() + id * width, width);
          return Tensors.cast(step, row, DType.F32).toFloatArray();
        }
      }
    }
    throw new IllegalStateException("no parameter " + name);
  }

  private boolean isVocabulary(String name) {
    DecoderDescription.Head head = decoder.description().head();
    return isNamed(decoder.description().embedding().tokens(), name)
        || isNamed(head.weight(), name)
        || isNamed(head.bias(), name);
  }

  private static boolean isNamed(DecoderDescription.@Nullable Weight weight, String name) {
    return weight != null && weight.tensors().get(0).name().equals(name);
  }

  /** Declares all tensors to a writer, in one dtype. */
  public void declare(CheckpointWriter.Builder writer, DType as) {
    for (UnitLayout unit : decoder.units()) {
      unit.parameters().forEach(p -> writer.tensor(p.name(), as, p.shapeArray()));
    }
  }

  /** Writes a declared tensor's bytes. */
  public void write(String name, DType as, WritableByteChannel out) throws IOException {
    for (UnitTensors unit : units) {
      for (UnitLayout.Parameter parameter : unit.layout().parameters()) {
        if (parameter.name().equals(name)) {
          unit.write(parameter, as, out);
          return;
        }
      }
    }
    throw new IllegalArgumentException("no tensor " + name);
  }

  /** Returns the name of a tensor that has a value that is no finite number, if there is one. */
  public Optional<String> firstNonFinite() {
    for (UnitTensors unit : units) {
      for (UnitLayout.Parameter parameter : unit.layout().parameters()) {
        if (!isFinite(unit, parameter)) {
          return Optional.of(parameter.name());
        }
      }
    }
    return Optional.empty();
  }

  private boolean isFinite(UnitTensors unit, UnitLayout.Parameter parameter) {
    for (long done = 0; done < parameter.elements(); done += PIECE_BYTES) {
      long length = Math.min(PIECE_BYTES, parameter.elements() - done);
      try (NDManager step = manager.newSubManager()) {
        if (!Tensors.isFinite(
            unit.part(step, parameter.flat(), parameter.offset() + done, length))) {
          return false;
        }
      }
    }
    return true;
  }

  /** Returns what the layers compute. */
  public Decoder decoder() {
    return decoder;
  }

  /** Returns the owner of the weights; its device is the model's. */
  public NDManager manager() {
    return manager;
  }

  /** Returns the configuration, of the vocabulary in memory. */
  public ModelConfig config() {
    return config;
  }

  /** Returns the dtype of hidden states. */
  public DType activations() {
    return activations;
  }

  /** Returns the dtype of the matrices; where units differ, the widest. */
  public DType storage() {
    DType widest = units.get(0).dtype(UnitLayout.DECAYED);
    for (UnitTensors unit : units) {
      DType own = unit.dtype(UnitLayout.DECAYED);
      widest = own.bytes() > widest.bytes() ? own : widest;
    }
    return widest;
  }

  /** Returns the weights in the order of {@link Decoder#units}. */
  public List<UnitTensors> units() {
    return List.copyOf(units);
  }

  /** Returns the embedding's weights. */
  public UnitTensors embedding() {
    return units.get(0);
  }

  /** Returns a decoder layer's weights. */
  public UnitTensors layer(int index) {
    return units.get(1 + index);
  }

  /** Returns the head's weights. */
  public UnitTensors head() {
    return units.get(units.size() - 1);
  }

  /** Returns the last layer's output [tokens, hidden] of packed examples. */
  public NDArray hiddenStates(NDManager scope, PackedInput input) {
    NDArray x = decoder.embed(scope, input, embedding(), activations);
    for (int i = 0; i < decoder.layers(); i++) {
      NDArray next = decoder.layer(scope, i, x, input, layer(i), true);
      x.close();
      x = next;
    }
    return x;
  }

  /**
   * Returns the fp32 logits [outputs, vocabulary] of packed examples, as they would be with all
   * weights rounded to a dtype. Takes memory for one unit in that dtype at a time, or for none if
   * the weights are of it.
   */
  public NDArray logitsAsStored(NDManager scope, PackedInput input, DType stored) {
    try (UnitTensors embedding = rounded(embedding(), stored)) {
      NDArray x = decoder.embed(scope, input, embedding, activations);
      for (int i = 0; i < decoder.layers(); i++) {
        try (UnitTensors layer = rounded(layer(i), stored)) {
          NDArray next = decoder.layer(scope, i, x, input, layer, true);
          x.close();
          x = next;
        }
      }
      try (UnitTensors head = rounded(head(), stored)) {
        return decoder.logits(scope, decoder.finalHidden(scope, x, head), embedding, head);
      }
    }
  }

  private UnitTensors rounded(UnitTensors unit, DType stored) {
    return UnitTensors.rounded(manager, unit, stored);
  }

  @Override
  public void close() {
    manager.close();
    decoder.close();
  }
}
