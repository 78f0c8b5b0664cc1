package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.UnitTensors;
import org.alpaca4j.core.internal.model.WeightStore;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.alpaca4j.data.PackedBatch;
import org.alpaca4j.data.SupervisedExample;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** The auxiliary loss of mixtures of experts against transformers' (fixtures: models). */
@Tag("parity")
class AuxiliaryLossParityIT {
  private static final Path FIXTURES = Path.of(System.getProperty("fixtures", "."));

  @TestFactory
  Stream<DynamicTest> matchesTransformers() throws IOException {
    Path folder = FIXTURES.resolve("models");
    if (!Files.isDirectory(folder)) {
      return Stream.empty();
    }
    List<DynamicTest> tests = new ArrayList<>();
    try (Stream<Path> cases = Files.list(folder)) {
      for (Path path : cases.filter(Files::isDirectory).sorted().toList()) {
        JsonNode reference = new ObjectMapper().readTree(path.resolve("reference.json").toFile());
        if (reference.has("loss_with_aux")) {
          String name = path.getFileName().toString();
          tests.add(DynamicTest.dynamicTest(name, () -> check(path, reference, true)));
          tests.add(
              DynamicTest.dynamicTest(name + ", recomputing", () -> check(path, reference, false)));
        }
      }
    }
    return tests.stream();
  }

  private static void check(Path folder, JsonNode reference, boolean keep) {
    double coefficient =
        (reference.get("loss_with_aux").asDouble() - reference.get("loss").asDouble())
            / reference.get("aux_loss").asDouble();
    try (CausalLm lm = CausalLm.load(folder);
        Checkpoint tensors = Checkpoint.open(folder.resolve("reference.safetensors"))) {
      LoadedModel model = Internals.loaded(lm);
      PackedBatch batch = batch(tensors);
      try (NDManager manager = model.manager().newSubManager();
          TorchProgram program =
              TorchProgram.load(
                  manager.getDevice(), SftTrainer.class, Map.of("chunk", 512L), "optimizer.py");
          WeightStore store = WeightStore.of(model, model.activations(), name -> true);
          ModelPass pass = new ModelPass(model, store, 100);
          Workspace workspace =
              new Workspace(manager, model.decoder(), batch.tokens(), 100, store, keep);
          Gradients gradients = new Gradients(manager, store.trained(), null, program)) {
        double scale = 1.0 / batch.supervisedTokens();

        ModelPass.Losses losses =
            pass.forwardBackward(
                batch, scale, Math.rint(coefficient * 1e4) / 1e4, 0, workspace, gradients, false);

        assertThat(losses.crossEntropy() * scale)
            .isCloseTo(reference.get("loss").asDouble(), within(1e-5));
        assertThat(losses.auxiliary())
            .isCloseTo(reference.get("aux_loss").asDouble(), within(1e-5));
        double norm = reference.get("gradient_norm_with_aux").asDouble();
        assertThat(gradients.norm()).isCloseTo(norm, within(1e-4 * norm));
        for (int i = 0; i < store.trained().units(); i++) {
          UnitTensors unit = gradients.unit(i);
          for (UnitLayout.Parameter parameter : unit.layout().parameters()) {
            String name = "aux.grad." + parameter.name();
            if (tensors.names().contains(name)) {
              assertThat(unit.parameter(manager, parameter).toFloatArray())
                  .as(name)
                  .containsExactly(floats(tensors, name), within(1e-5f));
            }
          }
        }
      }
    }
  }

  /** The padded rows, without their pads. */
  private static PackedBatch batch(Checkpoint tensors) {
    long[] ids = longs(tensors, "input_ids");
    long[] mask = longs(tensors, "attention_mask");
    long[] labels = longs(tensors, "labels");
    int width = (int) tensors.tensor("input_ids").shape()[1];
    List<SupervisedExample> examples = new ArrayList<>();
    for (int row = 0; row < ids.length; row += width) {
      int tokens = 0;
      while (tokens < width && mask[row + tokens] == 1) {
        tokens++;
      }
      int[] rowIds = new int[tokens];
      int[] rowLabels = new int[tokens];
      for (int i = 0; i < tokens; i++) {
        rowIds[i] = (int) ids[row + i];
        rowLabels[i] = (int) labels[row + i];
      }
      examples.add(new SupervisedExample(rowIds, rowLabels));
    }
    return PackedBatch.of(examples);
  }

  private static ByteBuffer bytes(Checkpoint checkpoint, String name) {
    int size = Math.toIntExact(checkpoint.tensor(name).byteLength());
    ByteBuffer bytes = ByteBuffer.allocate(size);
    checkpoint.readBytes(name, bytes, 0);
    return bytes.flip().order(ByteOrder.LITTLE_ENDIAN);
  }

  private static long[] longs(Checkpoint checkpoint, String name) {
    long[] values = new long[Math.toIntExact(checkpoint.tensor(name).elements())];
    bytes(checkpoint, name).asLongBuffer().get(values);
    return values;
  }

  private static float[] floats(Checkpoint checkpoint, String name) {
    float[] values = new float[Math.toIntExact(checkpoint.tensor(name).elements())];
    bytes(checkpoint, name).asFloatBuffer().get(values);
    return values;
  }
}
