package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.model.UnitTensors;
import org.alpaca4j.core.internal.torch.TorchProgram;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Training some of the parameters. Without clipping, AdamW treats each element for itself. */
class TrainedSubsetTest {
  @TempDir Path folder;
  private Path base;

  @BeforeEach
  void writeModel() {
    base = RandomModel.write(folder.resolve("base"), RandomModel.config());
  }

  @AfterEach
  void observeNoMore() {
    TorchProgram.observe(null);
  }

  private static SftConfig.Builder config() {
    return SftConfig.builder()
        .maxSteps(1)
        .learningRate(1e-2)
        .weightDecay(0.1)
        .batchSize(8)
        .maxGradientNorm(Double.POSITIVE_INFINITY);
  }

  private record Run(TrainingResult result, Map<String, float[]> weights, long parameters) {}

  private Run run(SftConfig config, Predicate<String> trained) {
    long[] parameters = new long[1];
    try (CausalLm model = CausalLm.load(base)) {
      TrainingResult result =
          SftTrainer.builder()
              .model(model)
              .dataset(RandomModel.examples(16))
              .config(config)
              .trained(trained)
              .listener(
                  new TrainingListener() {
                    @Override
                    public void started(Plan plan) {
                      parameters[0] = plan.parameters();
                    }
                  })
              .build()
              .train();
      return new Run(result, weights(model), parameters[0]);
    }
  }

  private Map<String, float[]> original() {
    try (CausalLm model = CausalLm.load(base)) {
      return weights(model);
    }
  }

  private static Map<String, float[]> weights(CausalLm model) {
    Map<String, float[]> weights = new TreeMap<>();
    try (NDManager scope = NDManager.newBaseManager()) {
      for (UnitTensors unit : Internals.loaded(model).units()) {
        for (UnitLayout.Parameter parameter : unit.layout().parameters()) {
          NDArray values = unit.parameter(scope, parameter);
          weights.put(parameter.name(), values.toFloatArray());
        }
      }
    }
    return weights;
  }

  static Stream<Named<SftConfig>> configs() {
    return Stream.of(
        Named.of("fp32", config().build()),
        Named.of("recomputing", config().activationRecomputation(true).build()),
        Named.of("bf16", config().precision(Precision.BFLOAT16).build()),
        Named.of("accumulating", config().batchSize(4).gradientAccumulationSteps(2).build()));
  }

  @ParameterizedTest
  @MethodSource("configs")
  void theTrainedPartMovesAsWithEverythingTrainedAndTheRestStays(SftConfig config) {
    List<String> subsets =
        List.of(
            ".*layers\\.1.*",
            ".*layers\\.0\\.mlp.*",
            ".*norm.*",
            ".*(q_proj|v_proj).*", // a part of one product
            "model\\.embed_tokens.*", // tied: the head's matrix, too
            "model\\.norm.*"); // the head alone
    Map<String, float[]> before = original();
    Map<String, float[]> all = run(config, name -> true).weights();
    for (String subset : subsets) {
      Run some = run(config, name -> name.matches(subset));
      long count = 0;
      for (String name : before.keySet()) {
        boolean moves = name.matches(subset);
        assertThat(some.weights().get(name))
            .as("%s with %s trained", name, subset)
            .isEqualTo(moves ? all.get(name) : before.get(name));
        count += moves ? before.get(name).length : 0;
      }
      assertThat(some.parameters()).isEqualTo(count);
    }
  }

  @Test
  void theGradientNormIsThatOfTheTrainedPart() {
    double layer = norm(name -> name.contains("layers.1."));
    double rest = norm(name -> !name.contains("layers.1."));
    assertThat(Math.hypot(layer, rest)).isCloseTo(norm(name -> true), within(1e-5));
    double queries = norm(name -> name.contains("q_proj"));
    double others = norm(name -> !name.contains("q_proj"));
    assertThat(Math.hypot(queries, others)).isCloseTo(norm(name -> true), within(1e-5));
  }

  private double norm(Predicate<String> trained) {
    return run(config().build(), trained).result().steps().get(0).gradientNorm();
  }

  @Test
  void layersBelowTheFirstTrainedOneRunForwardAlone() {
    assertThat(callsOf("backward", name -> true)).isEqualTo(2);
    assertThat(callsOf("backward", name -> name.contains("layers.1."))).isEqualTo(1);
    assertThat(callsOf("backward", name -> name.equals("model.norm.weight"))).isZero();
    assertThat(callsOf("embed_backward", name -> name.contains("layers"))).isZero();
    assertThat(callsOf("forward_keeping", name -> name.contains("layers.1."))).isEqualTo(1);
  }

  private int callsOf(String method, Predicate<String> trained) {
    List<String> calls = Collections.synchronizedList(new ArrayList<>());
    TorchProgram.observe((program, called, nanos) -> calls.add(called));
    run(config().build(), trained);
    TorchProgram.observe(null);
    return Collections.frequency(calls, method);
  }

  @Test
  void aStepsCheckpointHasMomentsOfTheTrainedPartAlone() {
    Path out = folder.resolve("out");
    try (CausalLm model = CausalLm.load(base)) {
      SftTrainer.builder()
          .model(model)
          .dataset(RandomModel.examples(16))
          .config(config().maxSteps(2).saveSteps(1).build())
          .outputDirectory(out)
          .trained(name -> name.contains("layers.1.self_attn.k_proj"))
          .build()
          .train();
    }
    Path moments = out.resolve("checkpoint-1/optimizer/optimizer.safetensors");
    try (Checkpoint optimizer = Checkpoint.open(moments);
        Checkpoint model = Checkpoint.open(out)) {
      String name = "model.layers.1.self_attn.k_proj.weight";
      assertThat(optimizer.names())
          .containsExactlyInAnyOrder("exp_avg." + name, "exp_avg_sq." + name);
      assertThat(model.names()).contains("model.embed_tokens.weight");
    }
  }

  @Test
  void trainingNothingIsRefused() {
    try (CausalLm model = CausalLm.load(base)) {
      SftTrainer.Builder builder =
          SftTrainer.builder()
              .model(model)
              .dataset(RandomModel.examples(2))
              .trained(name -> name.equals("no.such.parameter"));
      assertThatThrownBy(builder::build)
          .isInstanceOf(TrainingException.class)
          .hasMessageContaining("none of the model's parameters");
    }
  }
}
