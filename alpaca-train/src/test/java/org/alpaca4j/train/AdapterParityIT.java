package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** LoRA against PEFT (fixtures: peft, peft-training). */
@Tag("parity")
class AdapterParityIT {
  private static final Path FIXTURES = Path.of(System.getProperty("fixtures", "."));
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Cases that are LoRA and no more. */
  private static final List<String> METHODS = List.of("lora", "lora-all-linear-rslora");

  @TempDir Path temporary;

  private static Stream<Path> cases(String fixture) throws IOException {
    List<Path> cases = new ArrayList<>();
    for (String method : METHODS) {
      Path folder = FIXTURES.resolve(fixture).resolve(method);
      if (Files.isDirectory(folder)) {
        try (Stream<Path> bases = Files.list(folder)) {
          bases.sorted().forEach(cases::add);
        }
      }
    }
    return cases.stream();
  }

  private static Path base(Path folder) {
    return FIXTURES.resolve("models").resolve(folder.getFileName().toString());
  }

  private static String name(Path folder) {
    return folder.getParent().getFileName() + " " + folder.getFileName();
  }

  @TestFactory
  Stream<DynamicTest> computesWithAdaptersOfPeft() throws IOException {
    return cases("peft")
        .map(folder -> DynamicTest.dynamicTest(name(folder), () -> checkLogits(folder)));
  }

  private static void checkLogits(Path folder) throws IOException {
    JsonNode reference = JSON.readTree(folder.resolve("reference.json").toFile());
    try (CausalLm model = CausalLm.load(base(folder)).withAdapter(folder);
        Checkpoint expected = Checkpoint.open(folder.resolve("reference.safetensors"));
        NDManager scope = NDManager.newBaseManager()) {
      float[] logits = FixtureTensors.floats(expected, "logits");
      int width = (int) expected.tensor("logits").shape()[2];
      JsonNode rows = reference.get("input_ids");
      int length = rows.get(0).size();
      for (int row = 0; row < rows.size(); row++) {
        int tokens = 0;
        for (JsonNode bit : reference.get("attention_mask").get(row)) {
          tokens += bit.asInt();
        }
        int[] ids = new int[tokens];
        for (int t = 0; t < tokens; t++) {
          ids[t] = rows.get(row).get(t).asInt();
        }
        NDArray ours = model.logits(scope, ids);
        int from = row * length * width;
        assertThat(
                FixtureTensors.largestDifference(
                    ours.toFloatArray(), Arrays.copyOfRange(logits, from, from + tokens * width)))
            .as("largest difference of row " + row)
            .isLessThanOrEqualTo(1e-4);
      }
    }
  }

  @TestFactory
  Stream<DynamicTest> followsTheTrajectory() throws IOException {
    return cases("peft-training")
        .flatMap(
            folder ->
                Stream.of(false, true)
                    .map(
                        recompute ->
                            DynamicTest.dynamicTest(
                                name(folder) + (recompute ? " recomputing" : ""),
                                () -> checkTraining(folder, recompute))));
  }

  private void checkTraining(Path folder, boolean recompute) throws IOException {
    JsonNode trajectory = JSON.readTree(folder.resolve("trajectory.json").toFile());
    JsonNode settings = trajectory.get("settings");
    Path start = Files.createTempDirectory(temporary, "start");
    writeStart(folder, start.resolve("adapter"));
    Path out = start.resolve("out");
    TrainingResult result;
    Path batches = FIXTURES.resolve("peft-training/batches");
    try (CausalLm model = CausalLm.load(base(folder)).withAdapter(start.resolve("adapter"))) {
      result =
          SftTrainer.builder()
              .model(model)
              .dataset(
                  FixtureTensors.dataset(batches.resolve(folder.getFileName() + ".safetensors")))
              .outputDirectory(out)
              .config(FixtureTensors.config(settings).activationRecomputation(recompute).build())
              .build()
              .train();
    }
    assertThat(result.steps()).hasSize(settings.get("steps").asInt());
    for (TrainingListener.Step step : result.steps()) {
      int at = step.step() - 1;
      String what = " of step " + step.step();
      assertThat(step.loss())
          .as("loss" + what)
          .isCloseTo(trajectory.get("loss").get(at).asDouble(), within(1e-4));
      double norm = trajectory.get("gradient_norm").get(at).asDouble();
      assertThat(step.gradientNorm())
          .as("gradient norm" + what)
          .isCloseTo(norm, within(1e-4 * Math.max(1, norm)));
    }
    try (Checkpoint ours = Checkpoint.open(out.resolve("adapter_model.safetensors"));
        Checkpoint theirs = Checkpoint.open(folder.resolve("adapter_model.safetensors"))) {
      assertThat(ours.names()).isEqualTo(theirs.names());
      for (String name : theirs.names()) {
        assertThat(
                FixtureTensors.largestDifference(
                    FixtureTensors.floats(ours, name), FixtureTensors.floats(theirs, name)))
            .as("largest difference of " + name)
            .isLessThanOrEqualTo(1e-4);
      }
    }
  }

  /** An adapter folder of the weights before the first step. */
  private static void writeStart(Path folder, Path target) throws IOException {
    CheckpointWriter.Builder writer =
        CheckpointWriter.builder(target)
            .weightsName("adapter_model")
            .copy(folder.resolve("adapter_config.json"));
    try (Checkpoint initial = Checkpoint.open(folder.resolve("initial.safetensors"))) {
      for (String name : initial.names()) {
        if (name.startsWith("base_model.")) {
          writer.tensor(name, DType.F32, initial.tensor(name).shape());
        }
      }
      writer.build().write((name, out) -> out.write(FixtureTensors.bytes(initial, name)));
    }
  }
}
