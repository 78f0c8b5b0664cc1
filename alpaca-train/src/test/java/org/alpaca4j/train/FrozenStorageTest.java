package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.TrainedParameters;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.UnitTensors;
import org.alpaca4j.core.internal.model.WeightStore;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.alpaca4j.data.PackedBatch;
import org.alpaca4j.data.SupervisedDataset;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Frozen units of 16 bits among trained ones of fp32. */
class FrozenStorageTest {
  private static final Set<String> TRAINED_UNITS = Set.of("layer 1", "head");
  private static final Predicate<String> TRAINED =
      name -> name.contains("layers.1.") || name.equals("model.norm.weight");

  @TempDir Path folder;
  private Path base;

  /** All values are bf16's. */
  @BeforeEach
  void writeModel() {
    Path exact = RandomModel.write(folder.resolve("exact"), RandomModel.config());
    base = folder.resolve("base");
    try (CausalLm model = CausalLm.load(exact)) {
      model.save(CheckpointWriter.builder(base), DType.BF16);
    }
  }

  private record Step(ModelPass.Losses losses, double norm, Map<String, float[]> weights) {}

  /** One step of training. */
  private Step step(Function<UnitLayout, DType> storage, Precision arithmetic, boolean keep) {
    SftConfig config =
        SftConfig.builder().learningRate(1e-2).precision(arithmetic).weightDecay(0.1).build();
    try (Checkpoint checkpoint = Checkpoint.open(base);
        LoadedModel model =
            LoadedModel.load(checkpoint, checkpoint.config(), Device.cpu(), DType.F32, storage);
        NDManager manager = model.manager().newSubManager();
        TorchProgram program =
            TorchProgram.load(
                manager.getDevice(), SftTrainer.class, Map.of("chunk", 512L), "optimizer.py");
        WeightStore store = WeightStore.of(model, arithmetic.dtype(), TRAINED);
        ModelPass pass = new ModelPass(model, store, 100)) {
      PackedBatch batch = batch();
      try (Workspace workspace =
              new Workspace(manager, model.decoder(), batch.tokens(), 100, store, keep);
          Gradients gradients =
              new Gradients(manager, store.trained(), keep ? workspace : null, program);
          AdamW optimizer = new AdamW(manager, config, store, program)) {
        ModelPass.Losses losses =
            pass.forwardBackward(
                batch, 1.0 / batch.supervisedTokens(), 0, 0, workspace, gradients, false);
        double norm = gradients.norm();
        optimizer.begin();
        TrainedParameters trained = store.trained();
        for (int unit = trained.first(); unit < trained.units(); unit++) {
          optimizer.update(unit, gradients.runs(unit), 1e-2, 1);
          store.changed(unit);
        }
        return new Step(losses, norm, weights(model));
      }
    }
  }

  private static PackedBatch batch() {
    SupervisedDataset examples = RandomModel.examples(6);
    return PackedBatch.of(IntStream.range(0, examples.size()).mapToObj(examples::get).toList());
  }

  private static Map<String, float[]> weights(LoadedModel model) {
    Map<String, float[]> weights = new TreeMap<>();
    try (NDManager scope = model.manager().newSubManager()) {
      for (UnitTensors unit : model.units()) {
        for (UnitLayout.Parameter parameter : unit.layout().parameters()) {
          NDArray values = Tensors.cast(scope, unit.parameter(scope, parameter), DType.F32);
          weights.put(parameter.name(), values.toFloatArray());
        }
      }
    }
    return weights;
  }

  @ParameterizedTest
  @CsvSource({
    "BF16, FLOAT32, true",
    "BF16, FLOAT32, false",
    "BF16, BFLOAT16, true",
    "F16, FLOAT32, true"
  })
  void aStepIsThatOfTheSameWeightsInFp32(DType frozen, Precision arithmetic, boolean keep) {
    Step wide = step(unit -> DType.F32, arithmetic, keep);
    Step mixed =
        step(unit -> TRAINED_UNITS.contains(unit.name()) ? DType.F32 : frozen, arithmetic, keep);

    assertThat(mixed.losses()).isEqualTo(wide.losses());
    assertThat(mixed.norm()).isEqualTo(wide.norm());
    Map<String, float[]> original = original();
    for (String name : original.keySet()) {
      assertThat(mixed.weights().get(name)).as(name).isEqualTo(wide.weights().get(name));
      boolean moved = !java.util.Arrays.equals(original.get(name), mixed.weights().get(name));
      assertThat(moved).as(name).isEqualTo(TRAINED.test(name));
    }
  }

  private Map<String, float[]> original() {
    try (Checkpoint checkpoint = Checkpoint.open(base);
        LoadedModel model =
            LoadedModel.load(checkpoint, checkpoint.config(), Device.cpu(), DType.F32, DType.F32)) {
      return weights(model);
    }
  }

  /** Where layers compute in the format that frozen matrices are held in, these are not copied. */
  @ParameterizedTest
  @CsvSource({"BF16", "F32"})
  void matricesInTheFormatOfTheArithmeticAreNotCopied(DType held) {
    try (Checkpoint checkpoint = Checkpoint.open(base);
        LoadedModel model =
            LoadedModel.load(
                checkpoint,
                checkpoint.config(),
                Device.cpu(),
                DType.F32,
                unit -> unit.name().equals("layer 0") ? held : DType.F32);
        WeightStore store = WeightStore.of(model, DType.BF16, TRAINED);
        WeightStore.Lease lease = store.acquire(1)) {
      List<UnitTensors> units = List.of(lease.weights(), model.units().get(1));
      Tensors.zero(units.get(1).flat(UnitLayout.DECAYED));
      NDManager scope = model.manager();
      float[] seen =
          Tensors.cast(scope, units.get(0).flat(UnitLayout.DECAYED), DType.F32).toFloatArray();
      boolean shared = IntStream.range(0, seen.length).allMatch(i -> seen[i] == 0);
      assertThat(shared).isEqualTo(held == DType.BF16);
      assertThat(lease.weights().activations()).isEqualTo(DType.BF16);
    }
  }
}
