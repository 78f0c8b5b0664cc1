package org.alpaca4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.FloatCodec;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointConverterTest {
  private static final String CONFIG =
      """
      {
        "architectures": ["SomethingForCausalLM"],
        "layer_norm_eps": 1e-05,
        "torch_dtype": "float32",  "unknown": {"torch_dtype": "float32"}
      }
      """;

  @TempDir Path temporary;
  private Path source;
  private Path target;
  private final Map<String, float[]> floats = new LinkedHashMap<>();

  @BeforeEach
  void paths() {
    source = temporary.resolve("source");
    target = temporary.resolve("target");
    floats.put("a.weight", new float[] {1, -2.5f, 1.00390625f, 1.01171875f, 0, 3e-8f});
    floats.put("b.weight", new float[] {65504, -65519});
  }

  /** Writes the floats, and one tensor of integers, with a configuration and other files. */
  private void write(String config) throws IOException {
    CheckpointWriter.Builder writer =
        CheckpointWriter.builder(source)
            .file("config.json", config)
            .file("tokenizer.json", "{}")
            .file("notes.txt", "kept");
    floats.forEach((name, values) -> writer.tensor(name, DType.F32, values.length / 2, 2));
    writer.tensor("buffer", DType.I64, 1);
    writer
        .build()
        .write(
            (name, out) -> {
              ByteBuffer bytes = ByteBuffer.allocate(1024).order(ByteOrder.LITTLE_ENDIAN);
              if (name.equals("buffer")) {
                bytes.putLong(1L << 40);
              } else {
                for (float value : floats.get(name)) {
                  bytes.putFloat(value);
                }
              }
              out.write(bytes.flip());
            });
  }

  private CheckpointConverter.Builder conversion() {
    return CheckpointConverter.builder(source, target);
  }

  private static float[] read(Checkpoint checkpoint, String name) {
    float[] values = new float[(int) checkpoint.tensor(name).elements()];
    ByteBuffer bytes = checkpoint.map(name);
    FloatCodec.decode(checkpoint.tensor(name).dtype(), bytes, values, 0, values.length);
    return values;
  }

  @Test
  void weightsAreRoundedToTheNearestEvenAndIntegersKept() throws IOException {
    write(CONFIG);
    CheckpointConverter.Result result = conversion().dtype(DType.BF16).build().convert();
    assertThat(result).isEqualTo(new CheckpointConverter.Result(3, 9, 24, List.of()));
    try (Checkpoint converted = Checkpoint.open(target)) {
      assertThat(converted.tensor("a.weight").dtype()).isEqualTo(DType.BF16);
      assertThat(converted.tensor("a.weight").shape()).containsExactly(3, 2);
      assertThat(read(converted, "a.weight"))
          .containsExactly(
              1, -2.5f, 1, 1.015625f, 0, Float.intBitsToFloat(FloatCodec.floatToBf16(3e-8f) << 16));
      assertThat(converted.map("buffer").getLong()).isEqualTo(1L << 40);
    }
  }

  @Test
  void onlyTheTypeChangesInTheConfiguration() throws IOException {
    write(CONFIG);
    conversion().dtype(DType.F16).build().convert();
    assertThat(target.resolve("config.json")).hasContent(CONFIG.replaceFirst("float32", "float16"));
    assertThat(target.resolve("notes.txt")).hasContent("kept");
    assertThat(target.resolve("tokenizer.json")).hasContent("{}");
  }

  @Test
  void withoutATypeEverythingIsCopied() throws IOException {
    write(CONFIG);
    conversion().build().convert();
    for (String name : List.of("config.json", "model.safetensors")) {
      assertThat(target.resolve(name)).hasSameBinaryContentAs(source.resolve(name));
    }
  }

  @Test
  void aConfigurationWithoutATypeGetsOne() {
    assertThat(ConfigText.parse("{}", "x").adapted(DType.BF16, 0))
        .isEqualTo("{\n  \"torch_dtype\": \"bfloat16\"}");
    assertThat(ConfigText.parse("{\"rope_parameters\": {}}", "x").adapted(DType.BF16, 0))
        .isEqualTo("{\n  \"dtype\": \"bfloat16\",\"rope_parameters\": {}}");
    assertThat(ConfigText.parse("{\"dtype\": null}", "x").adapted(DType.BF16, 0))
        .isEqualTo("{\"dtype\": \"bfloat16\"}");
  }

  @Test
  void aMalformedConfigurationIsRefused() {
    for (String text : List.of("", "[]", "{", "{\"dtype\": 7}", "{} {}", "{\"dtype\": nul}")) {
      assertThatThrownBy(() -> ConfigText.parse(text, "the file"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("the file");
    }
  }

  @Test
  void aValueThatWouldBecomeInfiniteIsRefusedAndNothingRemains() throws IOException {
    floats.put("large.weight", new float[] {0, 1, 2, -65520});
    write(CONFIG);
    assertThatThrownBy(() -> conversion().dtype(DType.F16).build().convert())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("'large.weight' has -65520.0 at [1, 1]")
        .hasMessageContaining("F16");
    assertThat(temporary).isDirectoryContaining("glob:**source");
    assertThat(temporary.toFile().list()).containsExactly("source");

    conversion().dtype(DType.F16).allowOverflow(true).build().convert();
    try (Checkpoint converted = Checkpoint.open(target)) {
      assertThat(read(converted, "large.weight")[3]).isEqualTo(Float.NEGATIVE_INFINITY);
      assertThat(read(converted, "b.weight")).containsExactly(65504, -65504);
    }
  }

  @Test
  void theLargestFloatsOverflowBf16() throws IOException {
    floats.put("large.weight", new float[] {Float.MAX_VALUE, Float.POSITIVE_INFINITY});
    write(CONFIG);
    assertThatThrownBy(() -> conversion().dtype(DType.BF16).build().convert())
        .hasMessageContaining("at [0, 0]");
  }

  @Test
  void aTiedHeadAndRotaryFrequenciesAreNotWritten() throws IOException {
    floats.put("model.embed_tokens.weight", new float[] {1, 2, 3, 4});
    floats.put("lm_head.weight", new float[] {1, 2, 3, 4});
    floats.put("model.layers.0.self_attn.rotary_emb.inv_freq", new float[] {1, 2});
    write("{\"tie_word_embeddings\": true}");
    assertThat(conversion().build().convert().dropped())
        .containsExactly("lm_head.weight", "model.layers.0.self_attn.rotary_emb.inv_freq");
    try (Checkpoint converted = Checkpoint.open(target)) {
      assertThat(converted.names())
          .containsExactly("a.weight", "b.weight", "buffer", "model.embed_tokens.weight");
    }
  }

  @Test
  void aHeadThatIsNotTiedIsKept() throws IOException {
    floats.put("model.embed_tokens.weight", new float[] {1, 2, 3, 4});
    floats.put("lm_head.weight", new float[] {1, 2, 3, 4});
    write("{\"tie_word_embeddings\": false}");
    assertThat(conversion().build().convert().dropped()).isEmpty();
  }

  @Test
  void aTiedHeadThatDiffersIsRefused() throws IOException {
    floats.put("model.embed_tokens.weight", new float[] {1, 2, 3, 4});
    floats.put("lm_head.weight", new float[] {1, 2, 3, 5});
    write("{\"tie_word_embeddings\": true}");
    assertThatThrownBy(() -> conversion().build().convert())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("lm_head.weight differs");
    assertThat(target).doesNotExist();
  }

  @Test
  void shardsAreCutAnewAndJoined() throws IOException {
    write(CONFIG);
    conversion().maxShardBytes(24).build().convert();
    assertThat(target.resolve("model-00002-of-00002.safetensors")).exists();

    Path joined = temporary.resolve("joined");
    CheckpointConverter.builder(target, joined).build().convert();
    assertThat(joined.toFile().list())
        .containsExactlyInAnyOrder(
            "model.safetensors", "config.json", "tokenizer.json", "notes.txt");
    assertThat(joined.resolve("model.safetensors"))
        .hasSameBinaryContentAs(source.resolve("model.safetensors"));
  }

  @Test
  void theListenerHearsOfEveryTensor() throws IOException {
    write(CONFIG);
    List<ProgressListener.Progress> heard = new ArrayList<>();
    conversion().threads(2).dtype(DType.BF16).listener(heard::add).build().convert();
    assertThat(heard)
        .extracting(ProgressListener.Progress::tensorsDone)
        .containsExactly(0, 1, 2, 3);
    assertThat(heard).allMatch(progress -> progress.tensorsTotal() == 3);
    assertThat(heard.get(3).elementsDone()).isEqualTo(heard.get(3).elementsTotal()).isEqualTo(9);
  }

  @Test
  void aTransformSeesEveryValueOnceInFp32() throws IOException {
    float[] many = new float[600_000];
    floats.put("many.weight", many);
    for (int i = 0; i < many.length; i++) {
      many[i] = i;
    }
    CheckpointWriter.Builder writer = CheckpointWriter.builder(source);
    writer.tensor("many.weight", DType.F32, 600, 1000);
    ByteBuffer bytes = ByteBuffer.allocate(many.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(many);
    writer.build().write((name, out) -> out.write(bytes));

    TensorTransform doubling =
        new TensorTransform() {
          @Override
          public boolean changes(WeightFolder.Weight weight) {
            return true;
          }

          @Override
          public void apply(WeightFolder.Weight weight, long offset, float[] values, int count) {
            for (int i = 0; i < count; i++) {
              assertThat(values[i]).isEqualTo(offset + i);
              values[i] *= 2;
            }
          }
        };
    Files.writeString(source.resolve(Conformance.FILE_NAME), "{}"); // not of the doubled weights
    conversion().transform(doubling).build().convert();
    assertThat(target.resolve(Conformance.FILE_NAME)).doesNotExist();
    try (Checkpoint converted = Checkpoint.open(target)) {
      float[] doubled = read(converted, "many.weight");
      assertThat(doubled[599_999]).isEqualTo(1_199_998);
    }
  }

  @Test
  void aQuantisedModelKeepsItsTypes() throws IOException {
    write("{\"quantization_config\": {}}");
    assertThatThrownBy(() -> conversion().dtype(DType.BF16).build().convert())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("quantization_config");
    conversion().build().convert();
  }

  @Test
  void impossibleRequestsAreRefused() throws IOException {
    write(CONFIG);
    assertThatThrownBy(() -> CheckpointConverter.builder(source, source).build().convert())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("target as well");
    Path link = Files.createSymbolicLink(temporary.resolve("link"), source);
    assertThatThrownBy(() -> CheckpointConverter.builder(source, link).build().convert())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("target as well");
    assertThatThrownBy(() -> conversion().dtype(DType.I8).build()).hasMessageContaining("dtype");
    assertThatThrownBy(() -> conversion().threads(0).build()).hasMessageContaining("threads");
    assertThatThrownBy(() -> conversion().maxShardBytes(0).build())
        .hasMessageContaining("maxShardBytes");
    assertThatThrownBy(() -> conversion().withoutTokenizer().build().convert())
        .hasMessageContaining("not Meta's release");
    conversion().build().convert();
    assertThatThrownBy(() -> conversion().build().convert()).hasMessageContaining("it exists");
    conversion().replaceExisting(true).build().convert();
  }
}
