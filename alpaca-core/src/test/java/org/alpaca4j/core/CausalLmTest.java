package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.UnitLayout;
import org.alpaca4j.core.internal.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class CausalLmTest {
  private static final String EMBEDDING = "model.embed_tokens.weight";
  private static final String HEAD = "lm_head.weight";
  private static final int[] IDS = {1, 17, 4, 52, 0, 17, 30};

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"llama", "mistral", "qwen2", "qwen3"})
  void aModelGivesFinitelyManyScoresPerToken(String family) {
    Path path = new RandomCheckpoint(RandomCheckpoint.config(family).build()).write(path("model"));

    try (CausalLm model = CausalLm.load(path);
        NDManager scope = NDManager.newBaseManager()) {
      NDArray logits = model.logits(scope, IDS);

      assertThat(model.folder()).isEqualTo(path);
      assertThat(model.device()).isEqualTo(Device.cpu());
      assertThat(model.config().modelType()).isEqualTo(family);
      assertThat(logits.getShape()).isEqualTo(new Shape(IDS.length, RandomCheckpoint.VOCABULARY));
      assertThat(logits.getManager()).isEqualTo(scope);
      for (float value : logits.toFloatArray()) {
        assertThat(Float.isFinite(value)).isTrue();
      }
    }
  }

  @Test
  void aScoreDependsOnTheTokensUpToItsOwn() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));

    float[] whole = logits(path, 1, 17, 4, 52);
    float[] begin = logits(path, 1, 17);
    float[] other = logits(path, 1, 17, 30, 2);

    int two = 2 * RandomCheckpoint.VOCABULARY;
    assertThat(begin).hasSize(two);
    for (int i = 0; i < two; i++) {
      assertThat(begin[i]).isCloseTo(whole[i], within(1e-5f));
      assertThat(other[i]).isCloseTo(whole[i], within(1e-5f));
    }
    assertThat(other[two]).isNotCloseTo(whole[two], within(1e-3f));
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 53, Integer.MAX_VALUE})
  void anIdOutsideTheVocabularyIsRefused(int id) {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    assertThatThrownBy(() -> logits(path, 3, id))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("token id " + id + " at place 1")
        .hasMessageContaining("vocabulary of 53");
  }

  @Test
  void noIdsAreRefused() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    assertThatThrownBy(() -> logits(path)).isInstanceOf(IllegalArgumentException.class);
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"BF16", "F16"})
  void weightsStoredInHalfTheBytesAreTheSameWeights(DType dtype) {
    float[] single = logits(new RandomCheckpoint(llama()).write(path("single")), IDS);
    float[] half = logits(new RandomCheckpoint(llama()).dtype(dtype).write(path("half")), IDS);
    assertThat(half).isEqualTo(single);
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void weightsInAPytorchFileAreTheSameWeights(DType dtype) throws IOException {
    Path safetensors = new RandomCheckpoint(llama()).dtype(dtype).write(path("safetensors"));
    Path bin = inPytorchFile(safetensors);

    assertThat(logits(bin, IDS)).isEqualTo(logits(safetensors, IDS));
  }

  /** Some of the matrices are stored by columns. */
  private Path inPytorchFile(Path safetensors) throws IOException {
    Path bin = Files.createDirectory(path("bin"));
    Files.copy(safetensors.resolve("config.json"), bin.resolve("config.json"));
    TorchFile torch = new TorchFile();
    try (Checkpoint checkpoint = Checkpoint.open(safetensors)) {
      for (String name : checkpoint.names()) {
        TensorInfo tensor = checkpoint.tensor(name);
        byte[] bytes = new byte[(int) tensor.byteLength()];
        checkpoint.map(name).get(bytes);
        if (name.endsWith("q_proj.weight") || name.equals(EMBEDDING)) {
          torch.transposed(name, tensor.dtype(), bytes, tensor.shape());
        } else {
          torch.tensor(name, tensor.dtype(), bytes, tensor.shape());
        }
      }
    }
    Files.write(bin.resolve("pytorch_model.bin"), torch.bytes());
    return bin;
  }

  @Test
  void theVocabularyOfAPytorchFileGrowsAsWell() throws Exception {
    Path safetensors = new RandomCheckpoint(llama()).write(path("safetensors"));
    Path bin = inPytorchFile(safetensors);
    Tokenizer tokenizer = Tokenizer.load(tokenizerFolder());

    try (CausalLm expected = CausalLm.builder(safetensors).tokenizer(tokenizer).load();
        CausalLm model = CausalLm.builder(bin).tokenizer(tokenizer).load();
        NDManager scope = NDManager.newBaseManager()) {
      int[] ids = {1, 17, model.config().vocabSize() - 1};
      assertThat(model.logits(scope, ids).toFloatArray())
          .isEqualTo(expected.logits(scope, ids).toFloatArray());
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void aSavedModelGivesTheSameScores(DType dtype) {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    Path saved = path("saved");
    try (CausalLm model = CausalLm.load(path)) {
      model.save(CheckpointWriter.builder(saved), dtype);
    }

    try (Checkpoint checkpoint = Checkpoint.open(saved)) {
      assertThat(checkpoint.names()).allMatch(name -> checkpoint.tensor(name).dtype() == dtype);
      assertThat(checkpoint.config().dtype()).contains(dtype);
    }
    assertThat(logits(saved, IDS)).isEqualTo(logits(path, IDS));
  }

  @Test
  void aWeightBeyondFloat16IsNotSavedInIt() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    Path saved = path("saved");
    try (CausalLm model = CausalLm.load(path)) {
      Tensors.fillNormal(Internals.loaded(model).embedding().flat(UnitLayout.DECAYED), 1e5, 1);
      assertThatThrownBy(() -> model.save(CheckpointWriter.builder(saved), DType.F16))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("'" + EMBEDDING + "'")
          .hasMessageContaining("65,504");
      assertThat(saved).doesNotExist();
      model.save(CheckpointWriter.builder(saved), DType.BF16);
    }
  }

  @Test
  void aModelOfHalfPrecisionIsSavedInItsOwn() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    Path saved = path("saved");
    try (CausalLm model = CausalLm.builder(path).precision(Precision.BFLOAT16).load()) {
      model.save(saved);
    }
    try (Checkpoint checkpoint = Checkpoint.open(saved)) {
      assertThat(checkpoint.tensor(EMBEDDING).dtype()).isEqualTo(DType.BF16);
    }
    assertThat(logits(saved, IDS)).isEqualTo(logits(path, IDS));
  }

  @Test
  void halfPrecisionComesCloseToSingle() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    float[] single = logits(path, IDS);
    try (CausalLm model = CausalLm.builder(path).precision(Precision.BFLOAT16).load();
        NDManager scope = NDManager.newBaseManager()) {
      float[] half = model.logits(scope, IDS).toFloatArray();
      double difference = 0;
      double norm = 0;
      for (int i = 0; i < half.length; i++) {
        difference += Math.pow(half[i] - single[i], 2);
        norm += Math.pow(single[i], 2);
      }
      assertThat(Math.sqrt(difference / norm)).isBetween(1e-5, 0.03);
    }
  }

  @Test
  void aSavedModelKeepsItsConfigurationAndWhatIsUnknownInIt() throws IOException {
    ModelConfig config =
        RandomCheckpoint.config("qwen2")
            .field("a_note", Map.of("by", "Zoë", "list", List.of(1, 2.5, true)))
            .ropeTheta(1e6)
            .dtype(DType.F32)
            .build();
    Path path = new RandomCheckpoint(config).write(path("model"));
    Files.writeString(path.resolve("generation_config.json"), "{\"top_p\": 0.8, \"own\": 1}");
    Path saved = path("saved");
    try (CausalLm model = CausalLm.load(path)) {
      model.save(saved);
    }

    ObjectMapper json = new ObjectMapper();
    assertThat(ModelConfig.load(saved.resolve("config.json"))).isEqualTo(config);
    assertThat(json.readTree(saved.resolve("config.json").toFile()))
        .isEqualTo(json.readTree(path.resolve("config.json").toFile()));
    assertThat(saved.resolve("generation_config.json"))
        .hasSameBinaryContentAs(path.resolve("generation_config.json"));
  }

  @Test
  void aModelWhoseTokenizerIsSentencePieceAloneHasAndSavesIt() throws Exception {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    Files.write(path.resolve("tokenizer.model"), SentencePieceModels.hello().toBytes());
    Path saved = path("saved");

    int[] ids;
    try (CausalLm model = CausalLm.load(path)) {
      ids = model.tokenizer().encodeIds("hello", true);
      model.save(saved);
    }

    assertThat(saved.resolve("tokenizer.model")).exists();
    try (CausalLm again = CausalLm.load(saved)) {
      assertThat(again.tokenizer().encodeIds("hello", true)).isEqualTo(ids);
    }
  }

  @Test
  void aSavedModelHasItsTokenizer() throws Exception {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
      Files.copy(tokenizerFolder().resolve(name), path.resolve(name));
    }
    Path saved = path("saved");
    try (CausalLm model = CausalLm.load(path)) {
      model.save(saved);
    }
    try (Tokenizer before = Tokenizer.load(path);
        Tokenizer after = Tokenizer.load(saved)) {
      assertThat(after.encode("hello <s>")).isEqualTo(before.encode("hello <s>"));
      assertThat(after.eosId()).isEqualTo(before.eosId());
    }
  }

  @Test
  void savingIntoShardsChangesNothing() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    Path saved = path("saved");
    try (CausalLm model = CausalLm.load(path)) {
      model.save(CheckpointWriter.builder(saved).maxShardBytes(10_000), DType.F32);
    }
    assertThat(saved.resolve("model.safetensors.index.json")).exists();
    assertThat(logits(saved, IDS)).isEqualTo(logits(path, IDS));
  }

  @Test
  void savingInATypeThatIsNotForWeightsIsRefused() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    try (CausalLm model = CausalLm.load(path)) {
      assertThatThrownBy(() -> model.save(CheckpointWriter.builder(path("saved")), DType.I32))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("dtype is I32, but must be F32, BF16 or F16");
    }
    assertThat(path("saved")).doesNotExist();
  }

  @Test
  void savingOverAModelIsRefused() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    try (CausalLm model = CausalLm.load(path)) {
      assertThatThrownBy(() -> model.save(path))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(path.toString());
    }
    assertThat(logits(path, IDS)).isNotEmpty();
  }

  @Test
  void aTiedHeadIsTheEmbeddingWhetherTheFileRepeatsItOrNot() {
    RandomCheckpoint tied = new RandomCheckpoint(tiedLlama());
    Path absent = tied.write(path("absent"));
    Path repeated = tied.withCopy(HEAD, EMBEDDING).write(path("repeated"));
    Path saved = path("saved");
    try (CausalLm model = CausalLm.load(repeated)) {
      model.save(saved);
    }

    assertThat(logits(repeated, IDS)).isEqualTo(logits(absent, IDS));
    assertThat(logits(saved, IDS)).isEqualTo(logits(absent, IDS));
    try (Checkpoint checkpoint = Checkpoint.open(saved)) {
      assertThat(checkpoint.names()).contains(EMBEDDING).doesNotContain(HEAD);
    }
  }

  @Test
  void aTiedHeadThatDiffersFromTheEmbeddingIsRefused() {
    Path path =
        new RandomCheckpoint(tiedLlama())
            .with(HEAD, RandomCheckpoint.VOCABULARY, 32)
            .write(path("model"));
    assertThatThrownBy(() -> CausalLm.load(path))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(path.toString())
        .hasMessageContaining("lm_head.weight differs from model.embed_tokens.weight")
        .hasMessageContaining("tie_word_embeddings");
  }

  @Test
  void everythingThatDoesNotFitIsListedAtOnce() {
    Path path =
        new RandomCheckpoint(llama())
            .without("model.layers.1.mlp.up_proj.weight")
            .without("model.norm.weight")
            .with("model.layers.0.self_attn.k_proj.weight", 32, 32)
            .with("model.layers.0.input_layernorm.weight", 31)
            .with("model.layers.2.input_layernorm.weight", 32)
            .with("model.layers.0.self_attn.q_proj.bias", 32)
            .write(path("model"));

    assertThatThrownBy(() -> CausalLm.load(path))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(path.toString())
        .hasMessageContaining(
            "2 missing: model.layers.1.mlp.up_proj.weight, model.norm.weight; 2 unexpected:"
                + " model.layers.0.self_attn.q_proj.bias, model.layers.2.input_layernorm.weight;"
                + " 2 misshapen: model.layers.0.input_layernorm.weight [31] instead of [32],"
                + " model.layers.0.self_attn.k_proj.weight [32, 32] instead of [16, 32]");
  }

  @Test
  void weightsOfAWholeNumberTypeAreRefused() {
    Path path = new RandomCheckpoint(llama()).dtype(DType.I32).write(path("model"));
    assertThatThrownBy(() -> CausalLm.load(path))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("not F32, BF16 or F16: lm_head.weight I32");
  }

  @Test
  void rotaryFrequenciesStoredByOldVersionsAreIgnored() {
    RandomCheckpoint checkpoint = new RandomCheckpoint(llama());
    float[] expected = logits(checkpoint.write(path("new")), IDS);
    Path old = checkpoint.with("model.layers.0.self_attn.rotary_emb.inv_freq", 4).write(path("o"));
    assertThat(logits(old, IDS)).isEqualTo(expected);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 7, 100, 20_000})
  void aTruncatedFileIsRefusedByName(long size) throws IOException {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    Path file = path.resolve("model.safetensors");
    assertThat(Files.size(file)).isGreaterThan(size);
    try (var channel = Files.newByteChannel(file, StandardOpenOption.WRITE)) {
      channel.truncate(size);
    }
    assertThatThrownBy(() -> CausalLm.load(path))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(file.toString());
  }

  @Test
  void aMissingFolderOrFileIsNamed() throws IOException {
    assertThatThrownBy(() -> CausalLm.load(path("absent")))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(path("absent").toString());

    Path path = new RandomCheckpoint(llama()).write(path("model"));
    Files.delete(path.resolve("config.json"));
    assertThatThrownBy(() -> CausalLm.load(path))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(path.resolve("config.json").toString());
  }

  @Test
  void aConfigurationOfAnotherModelIsRefused() throws IOException {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    Files.writeString(
        path.resolve("config.json"),
        RandomCheckpoint.config("llama").vocabSize(54).numHiddenLayers(3).build().toJson());
    assertThatThrownBy(() -> CausalLm.load(path))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("9 missing: model.layers.2.")
        .hasMessageContaining(EMBEDDING + " [53, 32] instead of [54, 32]")
        .hasMessageContaining("config.json");
  }

  @Test
  void anUnsupportedArchitectureIsRefusedByName() throws IOException {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    Files.writeString(
        path.resolve("config.json"),
        "{\"architectures\": [\"MambaForCausalLM\"], \"model_type\": \"mamba\"}");
    assertThatThrownBy(() -> CausalLm.load(path))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageContaining("mamba");
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void theVocabularyGrowsWithATokenizerOfMoreTokens(boolean tied) throws Exception {
    ModelConfig config = RandomCheckpoint.config("llama").tieWordEmbeddings(tied).build();
    Path path = new RandomCheckpoint(config).write(path("model"));
    float[] before = logits(path, IDS);
    Tokenizer tokenizer = Tokenizer.load(tokenizerFolder());
    int rows = tokenizer.requiredEmbeddingRows();
    assertThat(rows).isGreaterThan(RandomCheckpoint.VOCABULARY);
    Path saved = path("saved");

    try (CausalLm model = CausalLm.builder(path).tokenizer(tokenizer).load();
        NDManager scope = NDManager.newBaseManager()) {
      assertThat(model.config().vocabSize()).isEqualTo(rows);
      NDArray logits = model.logits(scope, IDS);
      assertThat(logits.getShape()).isEqualTo(new Shape(IDS.length, rows));
      compareGrown(before, logits.toFloatArray(), rows);
      assertThat(model.logits(scope, new int[] {rows - 1}).getShape())
          .isEqualTo(new Shape(1, rows));
      model.save(saved);
    }

    try (CausalLm again = CausalLm.load(saved);
        NDManager scope = NDManager.newBaseManager()) {
      assertThat(again.config())
          .isEqualTo(config.toBuilder().vocabSize(rows).dtype(DType.F32).build());
      compareGrown(before, again.logits(scope, IDS).toFloatArray(), rows);
    }
  }

  /** A new row is the mean of the old ones, and so is its score. */
  private static void compareGrown(float[] before, float[] after, int rows) {
    for (int token = 0; token < IDS.length; token++) {
      double sum = 0;
      for (int i = 0; i < RandomCheckpoint.VOCABULARY; i++) {
        float old = before[token * RandomCheckpoint.VOCABULARY + i];
        sum += old;
        assertThat(after[token * rows + i]).isCloseTo(old, within(1e-5f));
      }
      float mean = (float) (sum / RandomCheckpoint.VOCABULARY);
      for (int i = RandomCheckpoint.VOCABULARY; i < rows; i++) {
        assertThat(after[token * rows + i]).isCloseTo(mean, within(1e-5f));
      }
    }
  }

  @Test
  void theVocabularyNeverShrinks() throws Exception {
    ModelConfig config = RandomCheckpoint.config("llama").vocabSize(400).build();
    Path path = new RandomCheckpoint(config).write(path("model"));
    try (CausalLm model =
        CausalLm.builder(path).tokenizer(Tokenizer.load(tokenizerFolder())).load()) {
      assertThat(model.config().vocabSize()).isEqualTo(400);
      assertThat(model.tokenizer().requiredEmbeddingRows()).isLessThan(400);
    }
  }

  @Test
  void severalThreadsUseOneModel() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    float[] expected = logits(path, IDS);
    try (CausalLm model = CausalLm.load(path)) {
      List<float[]> results =
          IntStream.range(0, 40)
              .parallel()
              .mapToObj(
                  i -> {
                    try (NDManager scope = NDManager.newBaseManager()) {
                      return model.logits(scope, IDS).toFloatArray();
                    }
                  })
              .toList();
      for (float[] result : results) {
        for (int i = 0; i < expected.length; i++) {
          assertThat(result[i]).isCloseTo(expected[i], within(1e-5f));
        }
      }
    }
  }

  @Test
  void aCallLeavesNothingAttachedToTheModelNorToTheScopeButItsResult() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    try (CausalLm model = CausalLm.load(path);
        NDManager scope = NDManager.newBaseManager()) {
      int own = Internals.loaded(model).manager().getManagedArrays().size();
      List<NDArray> results = new ArrayList<>();
      for (int i = 0; i < 10; i++) {
        results.add(model.logits(scope, IDS));
      }
      assertThat(Internals.loaded(model).manager().getManagedArrays()).hasSize(own);
      assertThat(scope.getManagedArrays()).containsExactlyInAnyOrderElementsOf(results);
    }
  }

  @Test
  void closingFreesTheWeightsAndTwiceIsHarmless() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    CausalLm model = CausalLm.load(path);
    List<NDArray> weights =
        Internals.loaded(model).units().stream()
            .flatMap(unit -> Stream.of(unit.flat(0), unit.flat(1)))
            .toList();
    assertThat(weights).noneMatch(NDArray::isReleased);

    model.close();
    model.close();

    assertThat(weights).allMatch(NDArray::isReleased);
  }

  @Test
  void aClosedModelRefusesToCompute() {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    CausalLm model = CausalLm.load(path);
    model.close();
    try (NDManager scope = NDManager.newBaseManager()) {
      assertThatThrownBy(() -> model.logits(scope, IDS)).isInstanceOf(IllegalStateException.class);
    }
  }

  /**
   * A file that stayed mapped would count as memory in use, and could not be deleted on Windows.
   */
  @Test
  @EnabledOnOs(OS.LINUX)
  void aLoadedModelHasLetGoOfItsFiles() throws IOException {
    Path path = new RandomCheckpoint(llama()).write(path("model"));
    try (CausalLm model = CausalLm.load(path)) {
      assertThat(model.config().vocabSize()).isEqualTo(RandomCheckpoint.VOCABULARY);
      try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"));
          Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
        assertThat(maps).noneMatch(line -> line.contains(folder.toString()));
        for (Path descriptor : open.toList()) {
          if (Files.isSymbolicLink(descriptor)) {
            assertThat(Files.readSymbolicLink(descriptor).toString())
                .doesNotContain(folder.toString());
          }
        }
      }
    }
  }

  private static ModelConfig llama() {
    return RandomCheckpoint.config("llama").build();
  }

  private static ModelConfig tiedLlama() {
    return RandomCheckpoint.config("llama").tieWordEmbeddings(true).build();
  }

  private Path path(String name) {
    return folder.resolve(name);
  }

  private static float[] logits(Path path, int... ids) {
    try (CausalLm model = CausalLm.load(path);
        NDManager scope = NDManager.newBaseManager()) {
      return model.logits(scope, ids).toFloatArray();
    }
  }

  private static Path tokenizerFolder() throws URISyntaxException {
    return Path.of(CausalLmTest.class.getResource("/byte-level-tokenizer").toURI());
  }
}
