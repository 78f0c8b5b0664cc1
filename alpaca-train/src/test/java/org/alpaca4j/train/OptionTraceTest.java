package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.LoraConfig;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.data.ExampleOrder;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Another value of an option makes another run: no option is read by nothing. */
class OptionTraceTest {
  /** What costs or saves time and memory, and gives the same results by design. */
  private static final Set<String> SAME_RESULTS =
      Set.of("activationRecomputation", "lossChunkTokens", "evalBatchSize");

  private static final Map<String, UnaryOperator<SftConfig.Builder>> CONFIG = new TreeMap<>();
  private static final Map<String, UnaryOperator<SftTrainer.Builder>> TRAINER = new TreeMap<>();
  private static final Map<String, UnaryOperator<LoraConfig.Builder>> LORA = new TreeMap<>();

  static {
    CONFIG.put("epochs", b -> b.epochs(1.5));
    CONFIG.put("maxSteps", b -> b.maxSteps(5));
    CONFIG.put("batchSize", b -> b.batchSize(3));
    CONFIG.put("gradientAccumulationSteps", b -> b.gradientAccumulationSteps(2));
    CONFIG.put("learningRate", b -> b.learningRate(5e-3));
    CONFIG.put("schedule", b -> b.schedule(LearningRateSchedule.Type.LINEAR));
    CONFIG.put("warmupRatio", b -> b.warmupRatio(0.5));
    CONFIG.put("warmupSteps", b -> b.warmupSteps(2));
    CONFIG.put("weightDecay", b -> b.weightDecay(0.1));
    CONFIG.put("adamBetas", b -> b.adamBetas(0.8, 0.9));
    CONFIG.put("adamEpsilon", b -> b.adamEpsilon(1e-3));
    CONFIG.put("maxGradientNorm", b -> b.maxGradientNorm(0.01));
    CONFIG.put("precision", b -> b.precision(Precision.BFLOAT16));
    CONFIG.put("order", b -> b.order(ExampleOrder.shuffled(7)));
    CONFIG.put("seed", b -> b.seed(43));
    CONFIG.put("evalSteps", b -> b.evalSteps(1));
    CONFIG.put("evalEachEpoch", b -> b.evalEachEpoch(true));
    CONFIG.put("saveSteps", b -> b.saveSteps(1));
    CONFIG.put("saveEachEpoch", b -> b.saveEachEpoch(true));
    CONFIG.put("saveTotalLimit", b -> b.saveSteps(1).saveTotalLimit(2));
    CONFIG.put("routerAuxLossCoef", b -> b.routerAuxLossCoef(0.5));
    TRAINER.put("config", b -> b.config(base().epochs(1).build()));
    TRAINER.put("dataset", b -> b.dataset(RandomModel.examples(5)));
    TRAINER.put("saveDtype", b -> b.saveDtype(DType.BF16));
    TRAINER.put("conformancePrompts", b -> b.conformancePrompts(0));
    TRAINER.put("adapter", b -> b.adapter(lora().build()));
    TRAINER.put("promptForm", b -> b.promptForm(PromptTemplate.ALPACA));
    LORA.put("r", b -> b.r(3));
    LORA.put("alpha", b -> b.alpha(3));
    LORA.put("dropout", b -> b.dropout(0.3));
    LORA.put("targetModules", b -> b.targetModules("o_proj"));
    LORA.put("targetPattern", b -> b.targetPattern(".*\\.o_proj"));
    LORA.put("excludeModules", b -> b.excludeModules(List.of("v_proj")));
    LORA.put("excludePattern", b -> b.excludePattern(".*\\.v_proj"));
    LORA.put("layersToTransform", b -> b.layersToTransform(List.of(1)));
    LORA.put("rankPattern", b -> b.rankPattern(Map.of("v_proj", 2)));
    LORA.put("alphaPattern", b -> b.alphaPattern(Map.of("v_proj", 2.0)));
    LORA.put("useRslora", b -> b.useRslora(true));
    LORA.put("init", b -> b.init(LoraConfig.Init.GAUSSIAN));
  }

  private static LoraConfig.Builder lora() {
    return LoraConfig.builder().r(4).alpha(8).targetModules("q_proj", "v_proj");
  }

  /** Tested by what they need to be set at all, or refuse: see {@link MisuseTest}. */
  private static final Set<String> ELSEWHERE =
      Set.of("model", "evalDataset", "outputDirectory", "listener", "replaceExisting");

  @TempDir Path folder;

  private static SftConfig.Builder base() {
    return SftConfig.builder().epochs(2).batchSize(4).learningRate(1e-2);
  }

  @Test
  void everyOptionIsLookedAt() {
    assertThat(setters(SftConfig.Builder.class)).isEqualTo(union(CONFIG.keySet(), SAME_RESULTS));
    assertThat(setters(SftTrainer.Builder.class)).isEqualTo(union(TRAINER.keySet(), ELSEWHERE));
    // what stands before a layer's index matters only where there are two such places
    assertThat(setters(LoraConfig.Builder.class))
        .isEqualTo(union(LORA.keySet(), Set.of("layersPattern")));
  }

  private static Set<String> setters(Class<?> builder) {
    return Arrays.stream(builder.getMethods())
        .filter(method -> method.getReturnType() == builder)
        .filter(method -> Modifier.isPublic(method.getModifiers()))
        .map(Method::getName)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static Set<String> union(Set<String> some, Set<String> others) {
    Set<String> all = new TreeSet<>(some);
    all.addAll(others);
    return all;
  }

  @TestFactory
  Stream<DynamicTest> anotherValueMakesAnotherRun() {
    Stream<DynamicTest> ofConfig =
        CONFIG.entrySet().stream()
            .map(
                option ->
                    DynamicTest.dynamicTest(
                        option.getKey(),
                        () -> {
                          // the limit is compared with another limit of the same saving
                          SftConfig.Builder from =
                              option.getKey().equals("saveTotalLimit")
                                  ? base().saveSteps(1)
                                  : base();
                          boolean experts = option.getKey().equals("routerAuxLossCoef");
                          assertThat(
                                  trace(
                                      experts,
                                      b -> b.config(option.getValue().apply(base()).build())))
                              .isNotEqualTo(trace(experts, b -> b.config(from.build())));
                        }));
    Stream<DynamicTest> ofTrainer =
        TRAINER.entrySet().stream()
            .map(
                option ->
                    DynamicTest.dynamicTest(
                        option.getKey(),
                        () ->
                            assertThat(trace(false, option.getValue()))
                                .isNotEqualTo(trace(false, b -> b))));
    Stream<DynamicTest> ofAdapter =
        LORA.entrySet().stream()
            .map(
                option ->
                    DynamicTest.dynamicTest(
                        "adapter " + option.getKey(),
                        () ->
                            assertThat(
                                    trace(
                                        false,
                                        b -> b.adapter(option.getValue().apply(lora()).build())))
                                .isNotEqualTo(trace(false, b -> b.adapter(lora().build())))));
    return Stream.of(ofConfig, ofTrainer, ofAdapter).flatMap(tests -> tests);
  }

  /** Losses, rates, evaluations, saved files and the weights' digest of a run. */
  private List<String> trace(boolean experts, UnaryOperator<SftTrainer.Builder> options)
      throws IOException {
    Path root = Files.createTempDirectory(folder, "run");
    ModelConfig config =
        experts
            ? ModelConfig.builder("mixtral")
                .hiddenSize(16)
                .intermediateSize(16)
                .numHiddenLayers(1)
                .numAttentionHeads(2)
                .numKeyValueHeads(2)
                .vocabSize(RandomModel.VOCABULARY)
                .maxPositionEmbeddings(64)
                .build()
            : RandomModel.config();
    Path model = RandomModel.write(root.resolve("base"), config);
    Path out = root.resolve("out");
    List<String> trace = new ArrayList<>();
    try (CausalLm loaded = CausalLm.load(model)) {
      SftTrainer.Builder builder =
          SftTrainer.builder()
              .model(loaded)
              .dataset(RandomModel.examples(10))
              .evalDataset(RandomModel.examples(4))
              .outputDirectory(out)
              .config(base().build());
      TrainingResult result = options.apply(builder).build().train();
      result
          .steps()
          .forEach(
              step -> trace.add(step.loss() + " " + step.learningRate() + " " + step.tokens()));
      result.evaluations().forEach(evaluation -> trace.add(evaluation.toString()));
    }
    try (Stream<Path> files = Files.walk(out)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        String digest =
            file.toString().endsWith(".safetensors")
                ? " " + Arrays.hashCode(Files.readAllBytes(file))
                : "";
        trace.add(out.relativize(file) + digest);
      }
    }
    return trace;
  }
}
