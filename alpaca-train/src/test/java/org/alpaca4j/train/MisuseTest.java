package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedDataset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is refused, before it costs time or a model. */
class MisuseTest {
  @TempDir Path folder;
  private final ExecutorService other = Executors.newSingleThreadExecutor();
  private Path base;

  @BeforeEach
  void writeModel() {
    base = RandomModel.write(folder.resolve("base"), RandomModel.config());
  }

  @AfterEach
  void endThread() {
    other.shutdownNow();
  }

  private static SftTrainer.Builder trainer(CausalLm model) {
    return SftTrainer.builder()
        .model(model)
        .dataset(RandomModel.examples(8))
        .config(SftConfig.builder().epochs(1).batchSize(4).build());
  }

  /** Fails if the training takes a step. */
  private static TrainingListener noStep() {
    return new TrainingListener() {
      @Override
      public void stepCompleted(Step step) {
        throw new AssertionError("a step was taken");
      }
    };
  }

  private static TrainingListener afterStep(Runnable action) {
    return new TrainingListener() {
      @Override
      public void stepCompleted(Step step) {
        action.run();
      }
    };
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"config.json", "model.safetensors", "pytorch_model.bin", "checkpoint-3/x"})
  void anOutputDirectoryWithAModelIsRefusedBeforeTraining(String file) throws IOException {
    Path out = folder.resolve("out");
    Files.createDirectories(out.resolve(file).getParent());
    Files.writeString(out.resolve(file), "theirs");
    try (CausalLm model = CausalLm.load(base)) {
      SftTrainer trainer = trainer(model).outputDirectory(out).listener(noStep()).build();
      assertThatThrownBy(trainer::train)
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(out.toString())
          .hasMessageContaining("replaceExisting(true)");
    }
    assertThat(out.resolve(file)).hasContent("theirs");
  }

  @Test
  void theBaseIsNeverTheOutputDirectory() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("link"), base);
    try (CausalLm model = CausalLm.load(base)) {
      for (Path out : List.of(base, base.resolve("../base"), link)) {
        SftTrainer trainer =
            trainer(model).outputDirectory(out).replaceExisting(true).listener(noStep()).build();
        assertThatThrownBy(trainer::train)
            .isInstanceOf(CheckpointException.class)
            .hasMessageContaining("would overwrite the model that is trained");
      }
    }
    CausalLm.load(base).close();
  }

  @Test
  void aStepCheckpointThatIsTheBaseIsNeitherWrittenNorDeleted() throws IOException {
    Path out = folder.resolve("out");
    Path step = RandomModel.write(out.resolve("checkpoint-1"), RandomModel.config());
    try (CausalLm model = CausalLm.load(step)) {
      SftTrainer saving =
          trainer(model)
              .config(SftConfig.builder().epochs(1).saveSteps(1).build())
              .outputDirectory(out)
              .replaceExisting(true)
              .listener(noStep())
              .build();
      assertThatThrownBy(saving::train).hasMessageContaining("would overwrite the model");

      trainer(model).outputDirectory(out).replaceExisting(true).build().train();
    }
    CausalLm.load(step).close();
    CausalLm.load(out).close();
  }

  @Test
  void whatAReplacedModelHadBesideItsWeightsIsGone() throws IOException {
    Path out = folder.resolve("out");
    Files.createDirectories(out.resolve("additional_chat_templates"));
    Files.writeString(out.resolve("additional_chat_templates/tool_use.jinja"), "x");
    for (String name : List.of("config.json", "prompt_template.json", "tokenizer.json", "notes")) {
      Files.writeString(out.resolve(name), "{}");
    }
    try (CausalLm model = CausalLm.load(base)) {
      trainer(model).outputDirectory(out).replaceExisting(true).build().train();
    }
    try (var files = Files.list(out)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder(
              Conformance.FILE_NAME,
              "config.json",
              "model.safetensors",
              "notes",
              "trainer_state.json");
    }
  }

  @Test
  void weightsThatAreNoNumbersAreNamedBeforeTheFirstStep() {
    Path broken =
        RandomModel.write(folder.resolve("nan"), RandomModel.config(), Float.POSITIVE_INFINITY);
    try (CausalLm model = CausalLm.load(broken)) {
      SftTrainer trainer = trainer(model).listener(noStep()).build();
      assertThatThrownBy(trainer::train)
          .isInstanceOf(TrainingException.class)
          .hasMessageContaining("model.embed_tokens.weight");
    }
  }

  @Test
  void aWarmUpThatTakesTheWholeRunIsRefused() {
    try (CausalLm model = CausalLm.load(base)) {
      SftTrainer trainer =
          trainer(model)
              .config(SftConfig.builder().maxSteps(1).warmupRatio(0.03).build())
              .listener(noStep())
              .build();
      assertThatThrownBy(trainer::train)
          .isInstanceOf(TrainingException.class)
          .hasMessageContaining("rate is 0 in all 1 steps")
          .hasMessageContaining("warmup");
    }
  }

  @Test
  void aLearningRateOfZeroIsNoted() {
    try (CausalLm model = CausalLm.load(base)) {
      TrainingResult result =
          trainer(model)
              .config(SftConfig.builder().maxSteps(2).learningRate(0).build())
              .build()
              .train();
      assertThat(result.notes()).singleElement().asString().contains("learningRate is 0");
    }
  }

  @Test
  void aStepWithoutSupervisedTokensIsRefusedBeforeTheFirst() throws IOException {
    Path text = TextModel.write(folder.resolve("text"), 2, true);
    try (CausalLm model = CausalLm.load(text)) {
      SupervisedDataset dataset = // the second prompt alone is longer than what is kept
          SupervisedDataset.builder()
              .tokenizer(model.tokenizer())
              .template(PromptTemplate.of("{instruction}{input}", "{instruction}"))
              .records(
                  List.of(
                      InstructionRecord.of("a", "b"), InstructionRecord.of("a very long one", "b")))
              .maxLength(8)
              .onFullyMasked(SupervisedDataset.OnFullyMasked.KEEP)
              .build();
      SftTrainer trainer =
          SftTrainer.builder()
              .model(model)
              .dataset(dataset)
              .config(
                  SftConfig.builder()
                      .epochs(1)
                      .batchSize(1)
                      .order((size, epoch) -> new int[] {0, 1})
                      .build())
              .listener(noStep())
              .build();
      assertThatThrownBy(trainer::train)
          .isInstanceOf(TrainingException.class)
          .hasMessageContaining("step 2")
          .hasMessageContaining("[1]");
    }
  }

  @Test
  void aClosedModelIsNotTrained() {
    CausalLm model = CausalLm.load(base);
    SftTrainer trainer = trainer(model).build();
    model.close();
    assertThatThrownBy(trainer::train)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("the model of " + base + " is closed");
    assertThatThrownBy(() -> trainer(model).build())
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("is closed");
  }

  @Test
  void aModelInTrainingIsForItsOwnThreadAlone() throws Exception {
    List<String> refusals = new ArrayList<>();
    try (CausalLm model = CausalLm.load(base)) {
      SftTrainer second = trainer(model).listener(noStep()).build();
      trainer(model)
          .listener(
              afterStep(
                  () -> {
                    model.generator().generate(new int[] {3, 4}); // a listener may
                    refusals.add(failure(() -> model.generator().generate(new int[] {3, 4})));
                    refusals.add(failure(() -> model.save(folder.resolve("saved"))));
                    refusals.add(failure(second::train));
                  }))
          .build()
          .train();
      model.generator().generate(new int[] {3, 4});
    }
    assertThat(refusals).isNotEmpty().allSatisfy(text -> assertThat(text).contains("in training"));
    assertThat(folder.resolve("saved")).doesNotExist();
  }

  /** Runs in another thread and returns what that said. */
  private String failure(Runnable action) {
    Future<?> future = other.submit(action);
    try {
      future.get();
      return "nothing";
    } catch (Exception e) {
      return String.valueOf(e.getCause());
    }
  }

  @Test
  void closingEndsATrainingAfterItsStep() {
    CausalLm model = CausalLm.load(base);
    SftTrainer trainer = trainer(model).listener(afterStep(model::close)).build();
    assertThatThrownBy(trainer::train)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("is closed");
    try (NDManager scope = NDManager.newBaseManager()) {
      assertThatThrownBy(() -> model.logits(scope, new int[] {1}))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void nullIsRefusedByName() {
    SftTrainer.Builder builder = SftTrainer.builder();
    assertThatThrownBy(() -> builder.model(null)).hasMessage("model is null");
    assertThatThrownBy(() -> builder.dataset(null)).hasMessage("dataset is null");
    assertThatThrownBy(() -> builder.config(null)).hasMessage("config is null");
    assertThatThrownBy(() -> builder.outputDirectory(null)).hasMessage("outputDirectory is null");
    assertThatThrownBy(() -> builder.saveDtype(null)).hasMessage("saveDtype is null");
    assertThatThrownBy(() -> builder.listener(null)).hasMessage("listener is null");
    assertThatThrownBy(() -> builder.promptForm(null)).hasMessage("promptForm is null");
  }
}
