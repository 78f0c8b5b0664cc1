package org.alpaca4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDManager;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.LoraConfig;
import org.alpaca4j.core.Precision;
import org.alpaca4j.core.UnsupportedModelException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Training low-rank adapters, their folders, and what is refused. */
class LoraTest {
  private static final int EPOCHS = 6;
  private static final int[] IDS = {1, 5, 9, 2, 7};
  private static final LoraConfig CONFIG =
      LoraConfig.builder().r(4).alpha(8).targetModules("q_proj", "v_proj", "down_proj").build();

  @TempDir Path folder;
  private Path base;

  @BeforeEach
  void writeModel() {
    base = RandomModel.write(folder.resolve("base"), RandomModel.config());
  }

  private static float[] logits(CausalLm model) {
    try (NDManager scope = NDManager.newBaseManager()) {
      return model.logits(scope, IDS).toFloatArray();
    }
  }

  private static SftTrainer.Builder trainer(CausalLm model) {
    return SftTrainer.builder()
        .model(model)
        .dataset(RandomModel.examples(16))
        .config(SftConfig.builder().epochs(EPOCHS).batchSize(4).learningRate(1e-2).build());
  }

  private Path trained(LoraConfig config) {
    Path out = folder.resolve("adapter");
    try (CausalLm model = CausalLm.load(base)) {
      trainer(model).adapter(config).outputDirectory(out).build().train();
    }
    return out;
  }

  @Test
  void changesTheAdapterAlone() {
    try (CausalLm model = CausalLm.load(base)) {
      float[] before = logits(model);
      TrainingResult result = trainer(model).adapter(CONFIG).build().train();

      assertThat(result.steps().get(4 * EPOCHS - 1).loss())
          .isLessThan(result.steps().get(0).loss() - 0.05);
      assertThat(model.adapter()).contains(CONFIG);
      assertThat(logits(model)).isNotEqualTo(before);
      model.removeAdapter();
      assertThat(model.adapter()).isEmpty();
      assertThat(logits(model)).isEqualTo(before);
    }
  }

  @Test
  void beginsWithTheModelsOwnLogits() {
    try (CausalLm model = CausalLm.load(base)) {
      TrainingResult full = trainer(model).build().train();
      try (CausalLm again = CausalLm.load(base)) {
        TrainingResult adapted = trainer(again).adapter(CONFIG).build().train();
        assertThat(adapted.steps().get(0).loss())
            .isCloseTo(full.steps().get(0).loss(), within(1e-6));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"false, 1", "true, 1", "false, 2"})
  void savesWhatPeftReads(boolean recompute, int accumulation) throws IOException {
    Path out = folder.resolve("out");
    float[] expected;
    try (CausalLm model = CausalLm.load(base)) {
      trainer(model)
          .adapter(CONFIG)
          .config(
              SftConfig.builder()
                  .epochs(1)
                  .batchSize(4)
                  .gradientAccumulationSteps(accumulation)
                  .activationRecomputation(recompute)
                  .learningRate(1e-2)
                  .saveSteps(1)
                  .saveTotalLimit(9)
                  .build())
          .outputDirectory(out)
          .build()
          .train();
      expected = logits(model);
    }

    JsonNode json = new ObjectMapper().readTree(out.resolve("adapter_config.json").toFile());
    assertThat(json.get("peft_type").asText()).isEqualTo("LORA");
    assertThat(json.get("target_modules").toString())
        .isEqualTo("[\"down_proj\",\"q_proj\",\"v_proj\"]");
    assertThat(json.get("base_model_name_or_path").asText()).isEqualTo(base.toString());
    try (Checkpoint file = Checkpoint.open(out.resolve("adapter_model.safetensors"))) {
      assertThat(file.names())
          .hasSize(12)
          .contains("base_model.model.model.layers.1.mlp.down_proj.lora_B.weight");
      assertThat(
              file.tensor("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")
                  .shape()[0])
          .isEqualTo(4);
    }
    assertThat(out.resolve("checkpoint-1/adapter_model.safetensors")).exists();
    assertThat(out.resolve("model.safetensors")).doesNotExist();
    assertThat(out.resolve("config.json")).doesNotExist();
    try (CausalLm model = CausalLm.load(base).withAdapter(out)) {
      assertThat(logits(model)).isEqualTo(expected);
    }
    try (CausalLm model = CausalLm.load(out)) {
      assertThat(model.folder()).isEqualTo(base);
      assertThat(logits(model)).isEqualTo(expected);
    }
  }

  @Test
  void trainsOnWhatIsThere() throws IOException {
    Path first = trained(CONFIG);
    try (CausalLm model = CausalLm.load(base).withAdapter(first)) {
      float[] before = logits(model);
      assertThatThrownBy(() -> trainer(model).adapter(CONFIG).build())
          .isInstanceOf(TrainingException.class)
          .hasMessageContaining("has an adapter already");
      trainer(model).build().train();
      assertThat(logits(model)).isNotEqualTo(before);
    }
    assertThat(Files.exists(first.resolve("adapter_model.safetensors"))).isTrue();
  }

  @Test
  void whatIsRefusedLeavesTheModelAsItWas() {
    try (CausalLm model = CausalLm.load(base)) {
      SftTrainer twice = trainer(model).adapter(CONFIG).build();
      assertThatThrownBy(() -> trainer(model).adapter(CONFIG).outputDirectory(base).build().train())
          .isInstanceOf(CheckpointException.class);
      assertThat(model.adapter()).isEmpty();
      twice.train();
      assertThatThrownBy(twice::train).hasMessageContaining("has an adapter already");
    }
  }

  @Test
  void generatesAsItScores() {
    Path adapter = trained(CONFIG);
    try (CausalLm model = CausalLm.load(adapter)) {
      int[] ids = IDS.clone();
      int[] generated =
          model
              .generator()
              .generate(
                  ids, GenerationConfig.builder().maxNewTokens(3).eosTokenIds(List.of()).build())
              .ids();
      for (int token : generated) {
        try (NDManager scope = NDManager.newBaseManager()) {
          float[] all = model.logits(scope, ids).toFloatArray();
          int vocabulary = model.config().vocabSize();
          int best = 0;
          int from = all.length - vocabulary;
          for (int i = 1; i < vocabulary; i++) {
            best = all[from + i] > all[from + best] ? i : best;
          }
          assertThat(token).isEqualTo(best);
        }
        ids = Arrays.copyOf(ids, ids.length + 1);
        ids[ids.length - 1] = token;
      }
      assertThat(generated).hasSize(3);
    }
  }

  @Test
  void trainsBesideWeightsOf16Bits() {
    try (CausalLm model = CausalLm.builder(base).weights(Precision.BFLOAT16).load()) {
      TrainingResult result =
          trainer(model)
              .adapter(CONFIG)
              .config(
                  SftConfig.builder()
                      .epochs(EPOCHS)
                      .batchSize(4)
                      .learningRate(1e-2)
                      .precision(Precision.BFLOAT16)
                      .build())
              .build()
              .train();
      assertThat(result.steps().get(4 * EPOCHS - 1).loss())
          .isLessThan(result.steps().get(0).loss() - 0.05);
    }
    try (CausalLm model = CausalLm.builder(base).precision(Precision.BFLOAT16).load()) {
      assertThatThrownBy(() -> trainer(model).adapter(CONFIG).build())
          .isInstanceOf(TrainingException.class)
          .hasMessageContaining("weights(BFLOAT16)");
    }
  }

  @Test
  void dropoutIsTheSameAgainAndOfTheTrainingAlone() {
    LoraConfig dropping =
        LoraConfig.builder().r(4).alpha(8).targetModules("q_proj").dropout(0.5).build();
    LoraConfig none = LoraConfig.builder().r(4).alpha(8).targetModules("q_proj").build();
    List<float[]> results = new ArrayList<>();
    for (boolean recompute : List.of(false, true)) {
      for (LoraConfig config : List.of(dropping, none)) {
        try (CausalLm model = CausalLm.load(base)) {
          trainer(model)
              .adapter(config)
              .config(
                  SftConfig.builder()
                      .epochs(1)
                      .batchSize(4)
                      .learningRate(1e-2)
                      .activationRecomputation(recompute)
                      .build())
              .build()
              .train();
          assertThat(logits(model)).isEqualTo(logits(model));
          results.add(logits(model));
        }
      }
    }
    assertThat(results.get(0)).isNotEqualTo(results.get(1)).isEqualTo(results.get(2));
    assertThat(results.get(1)).isEqualTo(results.get(3));
  }

  @Test
  void theSameSeedIsTheSameAdapter() {
    try (CausalLm one = CausalLm.load(base);
        CausalLm two = CausalLm.load(base)) {
      trainer(one).adapter(CONFIG).build().train();
      trainer(two).adapter(CONFIG).build().train();
      assertThat(logits(one)).isEqualTo(logits(two));
    }
  }

  @Test
  void namesThatFitNothingAreRefused() {
    try (CausalLm model = CausalLm.load(base)) {
      assertRefused(model, LoraConfig.builder().targetModules("q_proj", "query"), "'query'");
      assertRefused(model, LoraConfig.builder().targetPattern("q_proj"), "targetPattern 'q_proj'");
      assertRefused(model, LoraConfig.builder().layersToTransform(List.of(7)), "2 layers");
      assertRefused(
          model, LoraConfig.builder().rankPattern(Map.of("key_proj", 2)), "rankPattern 'key_proj'");
      assertThat(model.adapter()).isEmpty();
    }
  }

  private static void assertRefused(CausalLm model, LoraConfig.Builder config, String what) {
    SftTrainer trainer = trainer(model).adapter(config.build()).build();
    assertThatThrownBy(trainer::train)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(what)
        .satisfies(e -> assertThat(e.getMessage()).containsAnyOf("q_proj", "layers"));
  }

  @Test
  void adaptersOfOtherModelsAreRefused() throws IOException {
    Path adapter = trained(CONFIG);
    Path wider =
        RandomModel.write(
            folder.resolve("wider"), RandomModel.config().toBuilder().intermediateSize(80).build());
    try (CausalLm model = CausalLm.load(wider)) {
      assertThatThrownBy(() -> model.withAdapter(adapter))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("down_proj.lora_A.weight");
      assertThat(model.adapter()).isEmpty();
    }
    edit(adapter, "\"v_proj\"", "\"o_proj\"");
    try (CausalLm model = CausalLm.load(base)) {
      assertThatThrownBy(() -> model.withAdapter(adapter))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("o_proj.lora_A.weight");
      edit(adapter, "\"o_proj\"", "\"wrong\"");
      assertThatThrownBy(() -> model.withAdapter(adapter))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("does not belong to the model")
          .hasMessageContaining("'wrong'");
    }
  }

  @Test
  void otherKindsOfAdaptersAreRefused() throws IOException {
    Path adapter = trained(CONFIG);
    edit(adapter, "\"use_dora\" : false", "\"use_dora\" : true");
    try (CausalLm model = CausalLm.load(base)) {
      assertThatThrownBy(() -> model.withAdapter(adapter))
          .isInstanceOf(UnsupportedModelException.class)
          .hasMessageContaining("use_dora is true");
      edit(adapter, "LORA", "ADALORA");
      assertThatThrownBy(() -> model.withAdapter(adapter))
          .isInstanceOf(UnsupportedModelException.class)
          .hasMessageContaining("peft_type is 'ADALORA'");
      edit(adapter, "{", "[");
      assertThatThrownBy(() -> model.withAdapter(adapter))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("adapter_config.json");
      assertThatThrownBy(() -> model.withAdapter(folder))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("adapter_config.json");
    }
  }

  @Test
  void anAdapterIsNotWrittenOverAModel() {
    Path adapter = trained(CONFIG);
    try (CausalLm model = CausalLm.load(base)) {
      assertThatThrownBy(
              () -> trainer(model).adapter(CONFIG).outputDirectory(adapter).build().train())
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("holds a model already");
    }
  }

  private static void edit(Path adapter, String from, String to) throws IOException {
    Path file = adapter.resolve("adapter_config.json");
    String text = Files.readString(file);
    assertThat(text).contains(from);
    Files.writeString(file, text.replace(from, to));
  }
}
