package org.alpaca4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import ai.djl.ndarray.NDManager;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.FloatCodec;
import org.alpaca4j.weights.WeightDiff.MakeResult;
import org.alpaca4j.weights.WeightDiff.Mode;
import org.alpaca4j.weights.WeightDiff.RecoverResult;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Weight diffs made as Stanford Alpaca's script does, in the folder {@code -Dfixtures}. */
@Tag("parity")
class WeightDiffParityIT {
  private static final JsonMapper JSON = new JsonMapper();
  private static final float TOLERANCE = 1e-7f;
  private static final Offset<Double> SUMS = within(1e-3);

  @TempDir Path temporary;

  /** One storage type and file format of a reference: {@code float32} as {@code safetensors}. */
  private record Case(Path folder, String format) {
    Path of(String what) {
      return folder.resolve(what).resolve(format);
    }

    JsonNode reference() throws IOException {
      return JSON.readTree(folder.resolve("reference.json").toFile());
    }

    @Override
    public String toString() {
      return folder.getFileName() + "/" + format;
    }
  }

  private static List<Path> list(Path folder) {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(Files::isDirectory).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static List<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (Path type : list(Path.of(System.getProperty("fixtures")).resolve("weight-diff"))) {
      for (Path format : list(type.resolve("raw"))) {
        cases.add(new Case(type, format.getFileName().toString()));
      }
    }
    return cases;
  }

  private interface Check {
    void run(Case reference) throws Exception;
  }

  private static Stream<DynamicTest> each(Check check) {
    return cases().stream().map(c -> dynamicTest(c.toString(), () -> check.run(c)));
  }

  private Path target() throws IOException {
    return Files.createTempDirectory(temporary, "case").resolve("made");
  }

  @TestFactory
  Stream<DynamicTest> theDiffHasTheReferencesTensors() {
    return each(
        c -> {
          Path diff = target();
          MakeResult made = WeightDiff.builder().build().make(c.of("raw"), c.of("tuned"), diff);
          assertEqualTensors(diff, c, "diff");
          double deviation = c.reference().get("recovered_minus_tuned_max_abs").asDouble();
          // The reference's is taken before recovered weights are rounded to the storage type: to
          // the tuned weight again, or where these lie closer than that, by less than it once more.
          assertThat(made.maxDeviation()).isLessThanOrEqualTo(2 * deviation + TOLERANCE);
        });
  }

  @TestFactory
  Stream<DynamicTest> theReferencesDiffIsRecovered() {
    return each(
        c -> {
          Path recovered = target();
          double sum = sumBeforeStoring(c);
          double withRotary = sum + rotary(c);
          RecoverResult result = recover(c, sum, recovered);
          assertThat(result.verified()).isFalse();
          assertThat(result.sum()).hasValueCloseTo(sum, SUMS);
          assertThat(result.sumWithRotaryBuffers()).hasValueCloseTo(withRotary, SUMS);
          assertEqualTensors(recovered, c, "recovered");
          assertEqualLogits(recovered, c);

          recover(c, withRotary, target());
          Path never = target();
          assertThatThrownBy(() -> recover(c, sum + 0.5, never))
              .isInstanceOf(IntegrityException.class);
          assertThat(never).doesNotExist();
        });
  }

  private static RecoverResult recover(Case c, double sum, Path target) {
    return WeightDiff.builder()
        .integrityCheck(IntegrityCheck.naiveSum(sum, 1e-3))
        .build()
        .recover(c.of("raw"), c.of("diff"), target);
  }

  private static double sumBeforeStoring(Case c) throws IOException {
    return c.reference().at("/sums/recovered_before_storing/float32_in_order").asDouble();
  }

  /** Returns the sum of the buffers that the reference's .bin files hold. */
  private static double rotary(Case c) throws IOException {
    JsonNode sums = c.reference().at("/sums/recovered");
    return sums.at("/bin_with_rotary_buffers/float64").asDouble()
        - sums.at("/safetensors/float64").asDouble();
  }

  @TestFactory
  Stream<DynamicTest> newRowsAreTheMeanOfTheRawRows() {
    return each(
        c -> {
          Path diff = target();
          WeightDiff.builder().dtype(DType.F32).build().make(c.of("raw"), c.of("tuned"), diff);
          Path reference = c.folder.resolve("reference.safetensors");
          for (String name : List.of("model.embed_tokens.weight", "lm_head.weight")) {
            String row = name.contains("embed_tokens") ? "embed_tokens" : "lm_head";
            float[] expected = floats(reference, "new_row." + row);
            float[] tuned = floats(c.of("tuned"), name);
            float[] difference = floats(diff, name);
            int first = c.reference().get("raw_vocab").asInt() * expected.length;
            for (int i = 0; i < expected.length; i++) {
              assertThat((double) tuned[first + i] - difference[first + i])
                  .as("%s[%d]", name, i)
                  .isCloseTo(expected[i], within((double) TOLERANCE));
            }
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> ourOwnDiffIsRecoveredAlike() {
    return each(
        c -> {
          Path diff = target();
          Path recovered = target();
          WeightDiff tool = WeightDiff.builder().build();
          tool.make(c.of("raw"), c.of("tuned"), diff);
          assertThat(tool.recover(c.of("raw"), diff, recovered).verified()).isTrue();
          assertEqualTensors(recovered, c, "recovered");
        });
  }

  @TestFactory
  Stream<DynamicTest> anExactDiffRecoversTheTunedModel() {
    return each(
        c -> {
          Path diff = target();
          Path recovered = target();
          WeightDiff tool = WeightDiff.builder().mode(Mode.EXACT).build();
          tool.make(c.of("raw"), c.of("tuned"), diff);
          tool.recover(c.of("raw"), diff, recovered);
          for (Map.Entry<String, JsonNode> hash : hashes(c, "tuned").properties()) {
            assertThat(sha256(floats(recovered, hash.getKey())))
                .as(hash.getKey())
                .isEqualTo(hash.getValue().asText());
          }
        });
  }

  private static JsonNode hashes(Case c, String what) throws IOException {
    return c.reference().at("/sha256/" + what);
  }

  /** Bit by bit, but for the new rows, whose mean torch adds up in another order. */
  private static void assertEqualTensors(Path made, Case c, String what) throws Exception {
    JsonNode hashes = hashes(c, what);
    long newRows =
        c.reference().get("tuned_vocab").asLong() - c.reference().get("raw_vocab").asLong();
    try (Checkpoint checkpoint = Checkpoint.open(made)) {
      assertThat(checkpoint.names()).hasSize(hashes.size());
      for (Map.Entry<String, JsonNode> hash : hashes.properties()) {
        String name = hash.getKey();
        boolean tokens = name.contains("embed_tokens") || name.startsWith("lm_head");
        float[] values = floats(made, name);
        if (!tokens) {
          assertThat(sha256(values)).as(name).isEqualTo(hash.getValue().asText());
          continue;
        }
        float[] expected = floats(c.of(what), name);
        int columns = (int) checkpoint.tensor(name).shape()[1];
        int first = (int) (values.length - newRows * columns);
        for (int i = 0; i < values.length; i++) {
          assertThat(values[i])
              .as("%s[%d]", name, i)
              .isCloseTo(expected[i], within(i < first ? 0 : TOLERANCE + ulp(c, expected[i])));
        }
      }
    }
  }

  /** A new row in fp16 may round the other way. */
  private static float ulp(Case c, float value) {
    boolean half = c.folder.getFileName().toString().equals("float16");
    return half ? Math.max(Math.abs(value) * 0x1p-10f, 0x1p-24f) : 0;
  }

  private static float[] floats(Path folder, String name) {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      float[] values = new float[(int) checkpoint.tensor(name).elements()];
      ByteBuffer bytes = ByteBuffer.allocate((int) checkpoint.tensor(name).byteLength());
      checkpoint.readBytes(name, bytes, 0);
      FloatCodec.decode(checkpoint.tensor(name).dtype(), bytes.flip(), values, 0, values.length);
      return values;
    }
  }

  private static String sha256(float[] values) throws Exception {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    FloatCodec.encode(DType.F32, values, 0, values.length, bytes);
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.array()));
  }

  private static void assertEqualLogits(Path recovered, Case c) {
    try (CausalLm lm = CausalLm.load(recovered);
        Checkpoint reference = Checkpoint.open(c.folder.resolve("reference.safetensors"));
        NDManager scope = NDManager.newBaseManager("PyTorch")) {
      long[] shape = reference.tensor("input_ids").shape();
      ByteBuffer ids = reference.map("input_ids");
      ByteBuffer logits = reference.map("logits");
      for (int row = 0; row < shape[0]; row++) {
        int[] prompt = new int[(int) shape[1]];
        for (int i = 0; i < prompt.length; i++) {
          prompt[i] = (int) ids.getLong();
        }
        for (float value : lm.logits(scope, prompt).toFloatArray()) {
          assertThat(value).isCloseTo(logits.getFloat(), within(1e-4f));
        }
      }
    }
  }
}
