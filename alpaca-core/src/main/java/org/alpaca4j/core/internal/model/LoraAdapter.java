package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.LoraConfig;
import org.alpaca4j.core.internal.torch.Torch;

/**
 * Low-rank matrices beside the weights of a model, and the model that computes with both. The
 * weights are the model's own, in the same memory.
 *
 * <p>Owns its matrices and a decoder; close it before the model it was made for.
 */
public final class LoraAdapter implements AutoCloseable {
  /** How names of an adapter's tensors begin: PEFT's wrapper and the model in it. */
  public static final String PREFIX = "base_model.model.";

  /** How the name of A ends, behind that of the module. */
  public static final String DOWN = ".lora_A.weight";

  /** How the name of B ends. */
  public static final String UP = ".lora_B.weight";

  private final LoraConfig config;
  private final LoadedModel model;

  private LoraAdapter(LoadedModel base, LoraConfig config) {
    this.config = config;
    model = base.withDecoder(LoraTargets.adapt(base.decoder().description(), config));
  }

  /**
   * Makes an adapter that changes nothing yet: B is zero, A random.
   *
   * @param seed the same one gives the same matrices, on every device and system
   * @throws IllegalArgumentException if a name or pattern of the configuration fits no module
   */
  public static LoraAdapter create(LoadedModel base, LoraConfig config, long seed) {
    LoraAdapter adapter = new LoraAdapter(base, config);
    SplittableRandom random = new SplittableRandom(seed);
    for (Place place : adapter.places()) {
      float[] values = new float[Math.toIntExact(place.parameter.elements())];
      if (place.parameter.name().endsWith(DOWN)) {
        fill(values, place.parameter.shape(), config.init(), random);
      }
      try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
        place.unit.set(
            place.parameter, scope.create(values, new Shape(place.parameter.shapeArray())));
      }
    }
    return adapter;
  }

  private static void fill(
      float[] values, List<Long> shape, LoraConfig.Init init, SplittableRandom random) {
    double bound = 1 / Math.sqrt(shape.get(1));
    for (int i = 0; i < values.length; i++) {
      values[i] =
          (float)
              (init == LoraConfig.Init.GAUSSIAN
                  ? random.nextGaussian() / shape.get(0)
                  : bound * (2 * random.nextDouble() - 1));
    }
  }

  /**
   * Reads an adapter.
   *
   * @param file its tensors, named as by PEFT
   * @throws org.alpaca4j.core.CheckpointException if tensors are missing, unexpected or misshapen
   * @throws IllegalArgumentException if a name or pattern of the configuration fits no module
   */
  public static LoraAdapter read(LoadedModel base, LoraConfig config, Checkpoint file) {
    LoraAdapter adapter = new LoraAdapter(base, config);
    try {
      Map<String, long[]> expected = new TreeMap<>();
      for (Place place : adapter.places()) {
        expected.put(place.parameter.name(), place.parameter.shapeArray());
      }
      file.requireExactly(expected, Set.of());
      for (Place place : adapter.places()) {
        LoadedModel.readOrdered(
            file, file.tensor(place.parameter.name()), place.unit, place.parameter);
      }
      return adapter;
    } catch (RuntimeException | Error e) {
      adapter.close();
      throw e;
    }
  }

  private record Place(UnitTensors unit, UnitLayout.Parameter parameter) {}

  private List<Place> places() {
    List<Place> places = new ArrayList<>();
    for (UnitTensors unit : model.units()) {
      for (UnitLayout.Parameter parameter : unit.layout().parameters()) {
        if (parameter.flat() == UnitLayout.ADAPTER) {
          places.add(new Place(unit, parameter));
        }
      }
    }
    return places;
  }

  /** Returns the options that it was made by. */
  public LoraConfig config() {
    return config;
  }

  /** Returns the model with the adapter; owned here. */
  public LoadedModel model() {
    return model;
  }

  /** Returns the last parts of the adapted modules' names. */
  public Set<String> moduleEnds() {
    Set<String> ends = new TreeSet<>();
    for (Place place : places()) {
      String name = place.parameter.name();
      if (name.endsWith(DOWN)) {
        String module = name.substring(0, name.length() - DOWN.length());
        ends.add(module.substring(module.lastIndexOf('.') + 1));
      }
    }
    return ends;
  }

  /** Returns whether a parameter of the model with the adapter is the adapter's. */
  public boolean has(String parameter) {
    return places().stream().anyMatch(place -> place.parameter.name().equals(parameter));
  }

  /**
   * Returns a hash of the values of each b, by the tensor's name: what a training changes first.
   */
  public Map<String, Integer> hashes() {
    Map<String, Integer> hashes = new TreeMap<>();
    for (Place place : places()) {
      if (place.parameter.name().endsWith(UP)) {
        try (NDManager scope = model.manager().newSubManager()) {
          float[] values = place.unit.parameter(scope, place.parameter).toFloatArray();
          hashes.put(place.parameter.name(), Arrays.hashCode(values));
        }
      }
    }
    return hashes;
  }

  /** Declares the adapter's tensors to a writer, in one dtype. */
  public void declare(CheckpointWriter.Builder writer, DType as) {
    places().forEach(p -> writer.tensor(p.parameter.name(), as, p.parameter.shapeArray()));
  }

  /** Writes a declared tensor's bytes. */
  public void write(String name, DType as, WritableByteChannel out) throws IOException {
    model.write(name, as, out);
  }

  @Override
  public void close() {
    model.close();
  }
}
