package org.alpaca4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.CopyOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.DType;
import org.alpaca4j.weights.WeightDiff.MakeResult;
import org.alpaca4j.weights.WeightDiff.Mode;
import org.alpaca4j.weights.WeightDiff.RecoverResult;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class WeightDiffTest {
  private static final String EMBEDDING = "model.embed_tokens.weight";
  private static final String HEAD = "lm_head.weight";
  private static final String UP = "model.layers.0.mlp.up_proj.weight";
  private static final int ROWS = 5;

  @TempDir Path parent;
  private Path raw;
  private Path tuned;
  private Path diff;
  private Path recovered;

  @BeforeEach
  void nameTheFolders() {
    raw = parent.resolve("raw");
    tuned = parent.resolve("tuned");
    diff = parent.resolve("diff");
    recovered = parent.resolve("recovered");
  }

  private static WeightDiff plain() {
    return WeightDiff.builder().build();
  }

  private void writeModels(DType type) {
    TinyFolder.model(type, ROWS, 1).write(raw);
    TinyFolder.model(type, ROWS + 1, 2).write(tuned);
  }

  private void assertNothingButTheSources() throws IOException {
    try (Stream<Path> files = Files.list(parent)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .isSubsetOf("raw", "tuned", "diff", "other");
    }
  }

  private void assertRefused(String... message) throws IOException {
    assertThatThrownBy(() -> plain().recover(raw, diff, recovered))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContainingAll(message);
    assertNothingButTheSources();
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void aDiffIsTheDifferenceInFp32AndIsAddedBack(DType type) {
    TinyFolder base = TinyFolder.model(type, ROWS, 1);
    TinyFolder goal = TinyFolder.model(type, ROWS, 2);
    MakeResult made = plain().make(base.write(raw), goal.write(tuned), diff);
    RecoverResult result = plain().recover(raw, diff, recovered);

    float[] from = base.values(UP);
    float[] to = goal.values(UP);
    float[] difference = new float[from.length];
    float[] sum = new float[from.length];
    for (int i = 0; i < from.length; i++) {
      difference[i] = to[i] - from[i];
    }
    difference = TinyFolder.rounded(type, difference);
    double deviation = 0;
    for (int i = 0; i < from.length; i++) {
      sum[i] = TinyFolder.rounded(type, from[i] + difference[i])[0];
      deviation = Math.max(deviation, Math.abs(sum[i] - to[i]));
    }
    assertThat(TinyFolder.read(diff, UP)).isEqualTo(difference);
    assertThat(TinyFolder.read(recovered, UP)).isEqualTo(sum);
    assertThat(made.maxDeviation()).isGreaterThanOrEqualTo(deviation).isLessThan(0.05);
    assertThat(made.tensors()).isEqualTo(4);
    assertThat(result.verified()).isTrue();
    assertThat(result.parameters()).isEqualTo(made.parameters()).isEqualTo(120);
  }

  @ParameterizedTest
  @CsvSource({"F32,F32", "BF16,BF16", "F16,F16", "F32,BF16", "F16,F32"})
  void anExactDiffRecoversEveryBit(DType of, DType to) throws IOException {
    TinyFolder.model(of, ROWS, 1).write(raw);
    float[] odd = {Float.NaN, Float.NEGATIVE_INFINITY, -0f, 1e-40f, 65_504f, -3};
    TinyFolder.model(to, ROWS + 1, 2).tensor("model.norm.weight", to, odd, 6).write(tuned);
    Files.writeString(tuned.resolve(Conformance.FILE_NAME), "{}"); // of no difference of weights
    WeightDiff exact = WeightDiff.builder().mode(Mode.EXACT).build();
    MakeResult made = exact.make(raw, tuned, diff);
    plain().recover(raw, diff, recovered);

    assertThat(diff.resolve(Conformance.FILE_NAME)).doesNotExist();
    assertThat(TinyFolder.bytes(recovered)).isEqualTo(TinyFolder.bytes(tuned));
    assertThat(made.maxDeviation()).isZero();
    assertThat(diff.resolve("config.json")).doesNotExist();
    for (String file : List.of("config.json", "tokenizer.json", "tokenizer_config.json")) {
      assertThat(recovered.resolve(file)).hasSameBinaryContentAs(tuned.resolve(file));
    }
  }

  @Test
  void newRowsAreComparedWithTheMeanOfTheRawRows() {
    float[] embedding = new float[2 * TinyFolder.COLUMNS];
    for (int i = 0; i < embedding.length; i++) {
      embedding[i] = i;
    }
    TinyFolder.model(DType.F32, 2, 1).tensor(EMBEDDING, DType.F32, embedding, 2, 6).write(raw);
    TinyFolder goal = TinyFolder.model(DType.F32, 4, 2);
    goal.write(tuned);
    plain().make(raw, tuned, diff);
    plain().recover(raw, diff, recovered);

    float[] made = TinyFolder.read(diff, EMBEDDING);
    for (int i = 2 * 6; i < made.length; i++) {
      assertThat(made[i]).isEqualTo(goal.values(EMBEDDING)[i] - (i % 6 + 3));
    }
    assertThat(TinyFolder.read(recovered, HEAD)).hasSize(24);
    assertThat(recovered.resolve("config.json"))
        .hasSameTextualContentAs(tuned.resolve("config.json"));

    assertThatThrownBy(
            () -> WeightDiff.builder().newRows(false).build().make(raw, tuned, parent.resolve("x")))
        .hasMessageContaining(EMBEDDING + " [2, 6] and [4, 6]")
        .hasMessageContaining("not permitted");
  }

  @Test
  void tiedHeadsAreTakenOnceAndRotaryBuffersNever() {
    String tied = "{\"model_type\": \"gptx\", \"tie_word_embeddings\": true}";
    TinyFolder base = TinyFolder.model(DType.F32, ROWS, 1).file("config.json", tied);
    base.tensor(HEAD, DType.F32, base.values(EMBEDDING), ROWS, 6)
        .tensor("model.layers.0.self_attn.rotary_emb.inv_freq", DType.F32, new float[] {1}, 1)
        .write(raw);
    TinyFolder.model(DType.F32, ROWS, 2).file("config.json", tied).without(HEAD).write(tuned);
    plain().make(raw, tuned, diff);
    plain().recover(raw, diff, recovered);

    assertThat(TinyFolder.bytes(diff).keySet()).containsExactly(EMBEDDING, UP, "model.norm.weight");
    assertThat(TinyFolder.read(recovered, UP)[3])
        .isCloseTo(TinyFolder.read(tuned, UP)[3], within(1e-6f));
  }

  @Test
  void aHeadUntiedInTuningIsComparedWithTheRawEmbedding() {
    TinyFolder base = TinyFolder.model(DType.F32, ROWS, 1).without(HEAD);
    base.file("config.json", "{\"model_type\": \"gptx\", \"tie_word_embeddings\": true}")
        .write(raw);
    TinyFolder goal = TinyFolder.model(DType.F32, ROWS, 2);
    plain().make(raw, goal.write(tuned), diff);
    plain().recover(raw, diff, recovered);

    assertThat(TinyFolder.read(diff, HEAD)[7])
        .isEqualTo(goal.values(HEAD)[7] - base.values(EMBEDDING)[7]);
  }

  @Test
  void theTypeOfDiffAndResultCanBeChosen() throws IOException {
    writeModels(DType.F16);
    WeightDiff wide = WeightDiff.builder().dtype(DType.F32).maxShardBytes(200).build();
    assertThat(wide.make(raw, tuned, diff).maxDeviation()).isLessThan(1e-6);
    assertThat(diff.resolve("config.json")).content().contains("\"dtype\": \"float32\"");
    assertThat(diff.resolve("model.safetensors.index.json")).exists();

    WeightDiff half = WeightDiff.builder().dtype(DType.F16).build();
    assertThat(half.recover(raw, diff, recovered).verified()).isTrue();
    assertThat(TinyFolder.bytes(recovered)).isEqualTo(TinyFolder.bytes(tuned));
    assertThat(recovered.resolve("config.json")).content().contains("\"dtype\": \"float16\"");
  }

  @Test
  void rawWeightsInAWiderTypeAreTheSameModel() {
    TinyFolder narrow = TinyFolder.model(DType.BF16, ROWS, 1);
    TinyFolder.model(DType.BF16, ROWS + 1, 2).write(tuned);
    plain().make(narrow.write(raw), tuned, diff);
    plain().recover(raw, diff, recovered);
    TinyFolder wide = TinyFolder.model(DType.F32, ROWS, 1);
    for (String name : TinyFolder.bytes(raw).keySet()) {
      wide.tensor(name, DType.F32, narrow.values(name), shape(raw, name));
    }
    wide.write(raw);
    Path again = parent.resolve("again");
    assertThat(plain().recover(raw, diff, again).verified()).isTrue();
    assertThat(TinyFolder.bytes(again)).isEqualTo(TinyFolder.bytes(recovered));
  }

  private static long[] shape(Path folder, String name) {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      return checkpoint.tensor(name).shape();
    }
  }

  @Test
  void largeTensorsAreCutIntoPiecesByAnyNumberOfThreads() {
    int rows = 2 * RawReader.PIECE / TinyFolder.COLUMNS;
    TinyFolder.model(DType.BF16, rows, 1).write(raw);
    TinyFolder.model(DType.BF16, rows + 3, 2).write(tuned);
    WeightDiff.builder().threads(1).build().make(raw, tuned, diff);
    Path parallel = parent.resolve("parallel");
    WeightDiff.builder().threads(4).build().make(raw, tuned, parallel);
    assertThat(TinyFolder.bytes(parallel)).isEqualTo(TinyFolder.bytes(diff));
    assertThat(parallel.resolve("weight_diff.json"))
        .hasSameBinaryContentAs(diff.resolve("weight_diff.json"));
    WeightDiff.builder().threads(4).build().recover(raw, diff, recovered);
    float[] base = TinyFolder.read(raw, HEAD);
    int last = base.length - 1;
    float expected =
        TinyFolder.rounded(DType.BF16, base[last] + TinyFolder.read(diff, HEAD)[last])[0];
    assertThat(TinyFolder.read(recovered, HEAD)[last]).isEqualTo(expected);
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 1022, 1024, 1026, 5001, 70_002})
  void quickAndGeneralArithmeticGiveTheSameBits(int columns) {
    float[] from = new float[columns];
    float[] to = new float[columns];
    Random random = new Random(columns);
    for (int i = 0; i < columns; i++) {
      from[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(20) - 10));
      to[i] = from[i] * (float) (1 + 0.1 * random.nextGaussian());
    }
    // The raw model in fp32 holds the same values, but goes the general way.
    from = TinyFolder.rounded(DType.BF16, from);
    TinyFolder.model(DType.BF16, ROWS, 2).tensor(UP, DType.BF16, to, columns).write(tuned);
    TinyFolder.model(DType.F32, ROWS, 1).tensor(UP, DType.F32, from, columns).write(raw);
    MakeResult general = plain().make(raw, tuned, parent.resolve("general"));
    TinyFolder.model(DType.F32, ROWS, 1).tensor(UP, DType.BF16, from, columns).write(raw);
    MakeResult quick = plain().make(raw, tuned, diff);

    assertThat(TinyFolder.bytes(diff)).isEqualTo(TinyFolder.bytes(parent.resolve("general")));
    assertThat(quick.maxDeviation()).isEqualTo(general.maxDeviation());
    plain().recover(raw, diff, recovered);
    Path summed = parent.resolve("summed"); // goes the general way as well
    WeightDiff.builder()
        .integrityCheck(IntegrityCheck.naiveSum(0, Double.MAX_VALUE))
        .build()
        .recover(raw, diff, summed);
    assertThat(TinyFolder.bytes(recovered)).isEqualTo(TinyFolder.bytes(summed));
  }

  @Test
  void infiniteBf16WeightsFollowTheArithmeticToo() {
    float[] odd = {Float.NaN, Float.POSITIVE_INFINITY, -0f, 1e-40f, 3e38f, -3};
    TinyFolder.model(DType.BF16, ROWS, 1).write(raw);
    TinyFolder.model(DType.BF16, ROWS, 2)
        .tensor("model.norm.weight", DType.BF16, odd, 6)
        .write(tuned);
    plain().make(raw, tuned, diff);
    plain().recover(raw, diff, recovered);
    assertThat(TinyFolder.read(recovered, "model.norm.weight")).startsWith(odd[0], odd[1]);
  }

  @Test
  void whatIsTooLargeForTheTypeIsRefused() throws IOException {
    float[] large = {60_000, 1, 1, 1, 1, 1};
    float[] negative = {-60_000, 1, 1, 1, 1, 1};
    TinyFolder.model(DType.F16, ROWS, 1)
        .tensor("model.norm.weight", DType.F16, large, 6)
        .write(raw);
    TinyFolder.model(DType.F16, ROWS, 2)
        .tensor("model.norm.weight", DType.F16, negative, 6)
        .write(tuned);
    assertThatThrownBy(() -> plain().make(raw, tuned, diff))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContainingAll("model.norm.weight", "element 0", "too large for F16");
    assertNothingButTheSources();
    assertThat(WeightDiff.builder().mode(Mode.EXACT).build().make(raw, tuned, diff).maxDeviation())
        .isZero();
  }

  @Test
  void infiniteWeightsFollowTheArithmeticAndAreReported() {
    float[] odd = {Float.NaN, Float.POSITIVE_INFINITY, 1, 2, 3, 4};
    TinyFolder.model(DType.F32, ROWS, 1).write(raw);
    TinyFolder.model(DType.F32, ROWS, 2)
        .tensor("model.norm.weight", DType.F32, odd, 6)
        .write(tuned);
    assertThat(plain().make(raw, tuned, diff).maxDeviation()).isLessThan(1e-5);
    plain().recover(raw, diff, recovered);
    assertThat(TinyFolder.read(recovered, "model.norm.weight")).startsWith(odd[0], odd[1]);
  }

  @Test
  void aFlippedBitOfTheRawModelIsNamedBeforeAnythingIsWritten() throws IOException {
    writeModels(DType.BF16);
    plain().make(raw, tuned, diff);
    TinyFolder.flipBit(raw, UP, 3);
    List<ProgressListener.Phase> phases = Collections.synchronizedList(new ArrayList<>());
    WeightDiff listening = WeightDiff.builder().listener(p -> phases.add(p.phase())).build();
    assertThatThrownBy(() -> listening.recover(raw, diff, recovered))
        .isInstanceOfSatisfying(
            IntegrityException.class, e -> assertThat(e.tensors()).containsExactly(UP))
        .hasMessageContaining("1 of 4 tensors differ");
    assertThat(phases).containsOnly(ProgressListener.Phase.VERIFY_RAW);
    assertNothingButTheSources();
  }

  @Test
  void anotherModelIsCalledThat() throws IOException {
    writeModels(DType.BF16);
    plain().make(raw, tuned, diff);
    TinyFolder.model(DType.BF16, ROWS, 9).write(raw);
    assertRefused("another model", "all 4 tensors differ");
  }

  @ParameterizedTest
  @EnumSource
  void aFlippedBitOfTheDiffIsNamed(Mode mode) throws IOException {
    writeModels(DType.F16);
    WeightDiff.builder().mode(mode).build().make(raw, tuned, diff);
    TinyFolder.flipBit(diff, UP, 3);
    assertRefused("Tensor '" + UP + "'", "damaged");
    TinyFolder.flipBit(diff, UP, 3);
    assertThat(plain().recover(raw, diff, recovered).verified()).isTrue();
  }

  @Test
  void aSwappedShardIsNoticed() throws IOException {
    TinyFolder.model(DType.F32, ROWS, 1).write(raw);
    WeightDiff sharded = WeightDiff.builder().maxShardBytes(200).build();
    sharded.make(raw, TinyFolder.model(DType.F32, ROWS, 3).write(tuned), parent.resolve("other"));
    sharded.make(raw, TinyFolder.model(DType.F32, ROWS, 2).write(tuned), diff);
    String shard;
    try (Checkpoint checkpoint = Checkpoint.open(diff)) {
      shard = checkpoint.tensor(UP).file().getFileName().toString();
    }
    Path good = Files.move(diff.resolve(shard), raw.resolve("kept"));
    Files.copy(parent.resolve("other").resolve(shard), diff.resolve(shard));
    assertRefused("of the diff in " + diff.resolve(shard), "damaged");
    Files.delete(diff.resolve(shard));
    assertRefused(shard, "not in the folder");
    Files.move(good, diff.resolve(shard));
    assertThat(plain().recover(raw, diff, recovered).verified()).isTrue();
  }

  @Test
  void missingAndMisshapenTensorsAreListed() throws IOException {
    writeModels(DType.F32);
    TinyFolder.model(DType.F32, ROWS, 1)
        .without(UP)
        .tensor("extra", DType.F32, new float[1], 1)
        .tensor("model.norm.weight", DType.F32, new float[3], 3)
        .write(raw);
    assertThatThrownBy(() -> plain().make(raw, tuned, diff))
        .hasMessageContainingAll(UP, "extra", "model.norm.weight [3] and [6]");
    assertNothingButTheSources();
  }

  @Test
  void tokenizerAndTemplatesGoAlongAndNothingElse() throws IOException {
    writeModels(DType.F32);
    String template = "additional_chat_templates/tool_use.jinja";
    Files.createDirectory(tuned.resolve("additional_chat_templates"));
    Files.writeString(tuned.resolve(template), "{{ messages }}");
    Files.writeString(tuned.resolve("trainer_log.jsonl"), "private");
    plain().make(raw, tuned, diff);
    assertThat(diff.resolve("trainer_log.jsonl")).doesNotExist();
    plain().recover(raw, diff, recovered);
    for (String name : List.of(template, "tokenizer.json", "tokenizer_config.json")) {
      assertThat(recovered.resolve(name)).hasSameBinaryContentAs(tuned.resolve(name));
    }
    Files.writeString(diff.resolve(template), "{{ other }}");
    Files.move(recovered, parent.resolve("other"));
    assertRefused("tool_use.jinja was changed");
    Files.delete(diff.resolve(template));
    assertRefused(template, "fetch the diff again");
  }

  @Test
  void onlyTypeAndVocabularyChangeInTheConfiguration() {
    writeModels(DType.F32);
    WeightDiff.builder().dtype(DType.BF16).build().make(raw, tuned, diff);
    String text = read(tuned.resolve("config.json"));
    assertThat(diff.resolve("config.json")).hasContent(text.replace("float32", "bfloat16"));
    assertThat(ConfigText.parse("{\"vocab_size\": 7, \"x\": [1,2]}", "x").adapted(null, 8))
        .isEqualTo("{\"vocab_size\": 8, \"x\": [1,2]}");
  }

  private static String read(Path file) {
    return new String(ModelFiles.read(file), StandardCharsets.UTF_8);
  }

  @Test
  void aDiffThatDoesNotFitItsManifestIsRefused() throws IOException {
    writeModels(DType.F32);
    plain().make(raw, tuned, diff);
    Path manifest = diff.resolve("weight_diff.json");
    String text = Files.readString(manifest);
    Files.writeString(diff.resolve("tokenizer.json"), "{}");
    assertRefused("tokenizer.json was changed");
    Files.copy(tuned.resolve("tokenizer.json"), diff.resolve("tokenizer.json"), replacing());
    Files.writeString(manifest, text.replace("tokenizer.json", "\\u0000"));
    assertRefused("lists");
    Files.writeString(manifest, text.replace(UP, "renamed"));
    assertRefused("missing renamed", UP);
    Files.writeString(manifest, text.substring(0, text.length() / 2));
    assertRefused("weight_diff.json is damaged");
    Files.writeString(manifest, text.replace("\"format_version\" : 1", "\"format_version\" : 2"));
    assertRefused("format_version 2");
    Files.writeString(manifest, text.replace("arithmetic", "exact"));
    assertRefused("contradict each other");
    Files.delete(manifest);
    assertThatThrownBy(
            () -> WeightDiff.builder().requireManifest(true).build().recover(raw, diff, recovered))
        .isInstanceOf(IntegrityException.class)
        .hasMessageContaining("weight_diff.json is missing");
    assertThat(plain().recover(raw, diff, recovered).verified()).isFalse();
  }

  private static CopyOption replacing() {
    return StandardCopyOption.REPLACE_EXISTING;
  }

  @Test
  void anExactDiffWithoutItsManifestIsRefused() throws IOException {
    writeModels(DType.F32);
    WeightDiff.builder().mode(Mode.EXACT).build().make(raw, tuned, diff);
    Files.delete(diff.resolve("weight_diff.json"));
    assertRefused("without which an exact diff cannot be read");
  }

  @Test
  void truncatedFilesAreNamed() throws IOException {
    writeModels(DType.F32);
    plain().make(raw, tuned, diff);
    Path file = diff.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(bytes, bytes.length - 5));
    assertRefused(file.toString());
    Files.write(file, bytes);
    Files.delete(raw.resolve("model.safetensors"));
    assertRefused(raw.toString(), "no weights");
  }

  @Test
  void anUnreadableShardIsNamed() throws IOException {
    writeModels(DType.F32);
    plain().make(raw, tuned, diff);
    for (Path folder : List.of(raw, diff)) {
      // A folder of its name cannot be read by anybody, not even by root.
      Path shard = folder.resolve("model.safetensors");
      Path kept = Files.move(shard, parent.resolve("other"));
      Files.createDirectory(shard);
      assertRefused(shard.toString());
      Files.delete(shard);
      Files.move(kept, shard);
    }
    assertThat(plain().recover(raw, diff, recovered).verified()).isTrue();
  }

  @Test
  void anExistingResultStaysAsItIs() throws IOException {
    writeModels(DType.F32);
    plain().make(raw, tuned, diff);
    assertThatThrownBy(() -> plain().make(raw, tuned, diff)).hasMessageContaining("it exists");
    assertThatThrownBy(() -> plain().recover(raw, diff, raw))
        .hasMessageContaining("both read and written");
    WeightDiff replacing = WeightDiff.builder().replaceExisting(true).build();
    replacing.recover(raw, diff, tuned);
    assertThat(TinyFolder.bytes(tuned)).hasSize(4);
  }

  @Test
  void aFailingListenerLeavesNothingBehind() throws IOException {
    writeModels(DType.F32);
    WeightDiff failing =
        WeightDiff.builder()
            .listener(
                progress -> {
                  if (progress.tensorsDone() == 2) {
                    throw new IllegalStateException("enough");
                  }
                })
            .build();
    assertThatThrownBy(() -> failing.make(raw, tuned, diff)).hasMessageContaining("enough");
    assertNothingButTheSources();
    plain().make(raw, tuned, diff);
    assertThatThrownBy(() -> failing.recover(raw, diff, recovered)).hasMessageContaining("enough");
    assertNothingButTheSources();
  }

  @Test
  void theNaiveSumIsOfAllRecoveredWeights() throws IOException {
    writeModels(DType.F32);
    plain().make(raw, tuned, diff);
    plain().recover(raw, diff, recovered);
    double sum = 0;
    for (String name : TinyFolder.bytes(recovered).keySet()) {
      for (float value : TinyFolder.read(recovered, name)) {
        sum += value;
      }
    }
    Path checked = parent.resolve("checked");
    RecoverResult result =
        WeightDiff.builder()
            .integrityCheck(IntegrityCheck.naiveSum(sum, 1e-9))
            .build()
            .recover(raw, diff, checked);
    assertThat(result.sum()).hasValueCloseTo(sum, within(1e-9));

    WeightDiff alpaca = WeightDiff.builder().integrityCheck(IntegrityCheck.ALPACA_7B).build();
    assertThatThrownBy(() -> alpaca.recover(raw, diff, parent.resolve("never")))
        .isInstanceOf(IntegrityException.class)
        .hasMessageContaining("50637.1836");
    assertThat(parent.resolve("never")).doesNotExist();
  }

  @Test
  void impossibleOptionsAreRefusedAtOnce() {
    assertThatThrownBy(() -> WeightDiff.builder().threads(0).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("threads");
    assertThatThrownBy(() -> WeightDiff.builder().dtype(DType.I64).build())
        .hasMessageContaining("I64");
    assertThatThrownBy(() -> WeightDiff.builder().maxShardBytes(0).build())
        .hasMessageContaining("maxShardBytes");
    assertThatThrownBy(() -> IntegrityCheck.naiveSum(Double.NaN, 1))
        .isInstanceOf(IllegalArgumentException.class);
    WeightDiff both = WeightDiff.builder().mode(Mode.EXACT).dtype(DType.F32).build();
    assertThatThrownBy(() -> both.make(raw, tuned, diff)).hasMessageContaining("EXACT");
  }
}
