package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.UnsupportedModelException;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Whole runs against torch's and transformers' Trainer (fixtures: training). */
@Tag("parity")
class TrainingParityIT {
  private static final Path FIXTURES = Path.of(System.getProperty("fixtures", "."));

  @TempDir Path temporary;

  @TestFactory
  Stream<DynamicTest> followsTheTrajectory() throws IOException {
    Path folder = FIXTURES.resolve("training");
    if (!Files.isDirectory(folder)) {
      return Stream.empty();
    }
    List<DynamicTest> tests = new ArrayList<>();
    try (Stream<Path> cases = Files.list(folder)) {
      for (Path path : cases.filter(Files::isDirectory).sorted().toList()) {
        String name = path.getFileName().toString();
        Path model = FIXTURES.resolve("models").resolve(name);
        if (supported(model)) {
          tests.add(DynamicTest.dynamicTest(name, () -> check(path, model, false)));
          tests.add(DynamicTest.dynamicTest(name + " recomputing", () -> check(path, model, true)));
        }
      }
    }
    return tests.stream();
  }

  private static boolean supported(Path model) {
    try {
      ModelConfig.load(model.resolve("config.json"));
      return true;
    } catch (UnsupportedModelException e) {
      return false;
    }
  }

  private void check(Path folder, Path start, boolean recompute) throws IOException {
    JsonNode trajectory = new ObjectMapper().readTree(folder.resolve("trajectory.json").toFile());
    JsonNode settings = trajectory.get("settings");
    Path out = temporary.resolve(folder.getFileName() + "-" + recompute);
    TrainingResult result;
    SftConfig.Builder config = FixtureTensors.config(settings).activationRecomputation(recompute);
    if (trajectory.has("router_aux_loss_coef")) {
      config.routerAuxLossCoef(trajectory.get("router_aux_loss_coef").asDouble());
    }
    try (CausalLm model = CausalLm.load(start)) {
      result =
          SftTrainer.builder()
              .model(model)
              .dataset(FixtureTensors.dataset(folder.resolve("batches.safetensors")))
              .outputDirectory(out)
              .config(config.build())
              .build()
              .train();
    }

    assertThat(result.steps()).hasSize(settings.get("steps").asInt());
    for (TrainingListener.Step step : result.steps()) {
      int at = step.step() - 1;
      String what = " of step " + step.step();
      assertThat(step.supervisedTokens())
          .as("supervised tokens" + what)
          .isEqualTo(trajectory.get("supervised_tokens").get(at).asInt());
      assertThat(step.learningRate())
          .as("learning rate" + what)
          .isCloseTo(trajectory.get("learning_rate").get(at).asDouble(), within(1e-12));
      double[] losses = {step.loss(), step.crossEntropy(), step.auxiliaryLoss()};
      String[] names = {"loss", "cross_entropy", "weighted_aux_loss"};
      for (int i = 0; i < names.length; i++) {
        if (trajectory.has(names[i])) {
          assertThat(losses[i])
              .as(names[i] + what)
              .isCloseTo(trajectory.get(names[i]).get(at).asDouble(), within(1e-4));
        }
      }
      double norm = trajectory.get("gradient_norm").get(at).asDouble();
      assertThat(step.gradientNorm())
          .as("gradient norm" + what)
          .isCloseTo(norm, within(1e-3 * norm));
    }
    JsonNode spread = trajectory.get("spread");
    Set<String> noise = new HashSet<>();
    spread.get("not_reproducible").forEach(name -> noise.add(name.asText()));
    try (Checkpoint ours = Checkpoint.open(out);
        Checkpoint theirs = Checkpoint.open(folder.resolve("final.safetensors"))) {
      assertThat(ours.names()).isEqualTo(theirs.names());
      for (String name : theirs.names()) {
        if (!noise.contains(name)) {
          float[] expected = FixtureTensors.floats(theirs, name);
          float[] found = FixtureTensors.floats(ours, name);
          for (JsonNode range : spread.path("noise_elements").path(name)) {
            int from = range.get(0).asInt();
            int to = range.get(1).asInt();
            System.arraycopy(expected, from, found, from, to - from);
          }
          assertThat(FixtureTensors.largestDifference(found, expected))
              .as("largest difference of " + name)
              .isLessThanOrEqualTo(1e-4);
        }
      }
    }
  }
}
