package org.alpaca4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.core.internal.FloatCodec;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Meta's releases and Hugging Face folders, converted, in the folder {@code -Dfixtures}. */
@Tag("parity")
class ConversionParityIT {
  private static final JsonMapper JSON = new JsonMapper();

  @TempDir Path temporary;

  private static List<Path> list(String area, String glob) {
    Path folder = Path.of(System.getProperty("fixtures")).resolve(area);
    List<Path> found = new ArrayList<>();
    if (Files.isDirectory(folder)) {
      try (var files = Files.newDirectoryStream(folder, glob)) {
        files.forEach(found::add);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    found.sort(null);
    return found;
  }

  private static Stream<Path> cases(String glob) {
    return list("checkpoints", "*").stream()
        .filter(folder -> Files.exists(folder.resolve("sha256.json")))
        .flatMap(folder -> list("checkpoints/" + folder.getFileName(), glob).stream());
  }

  private static String name(Path path) {
    return path.getParent().getFileName() + "/" + path.getFileName();
  }

  @TestFactory
  Stream<DynamicTest> metasReleaseBecomesTheHuggingFaceModel() {
    return cases("meta*").map(f -> dynamicTest(name(f), () -> assertMeta(f)));
  }

  private void assertMeta(Path source) throws Exception {
    Path target = temporary.resolve(source.getFileName());
    CheckpointConverter.builder(source, target).withoutTokenizer().build().convert();
    DType dtype = ModelConfig.load(target.resolve("config.json")).dtype().orElseThrow();
    assertHashes(target, expected(source, dtype.torchName()));
    if (dtype == DType.F32) {
      assertLogits(target, source.resolveSibling("reference.safetensors"));
    }
  }

  private static void assertLogits(Path folder, Path reference) {
    try (CausalLm lm = CausalLm.load(folder);
        NDManager scope = NDManager.newBaseManager();
        Checkpoint expected = Checkpoint.open(reference)) {
      LongBuffer ids = expected.map("input_ids").asLongBuffer();
      FloatBuffer logits = expected.map("logits").asFloatBuffer();
      int length = (int) expected.tensor("input_ids").shape()[1];
      while (ids.hasRemaining()) {
        int[] row = new int[length];
        for (int i = 0; i < length; i++) {
          row[i] = (int) ids.get();
        }
        try (NDArray computed = lm.logits(scope, row)) {
          for (float value : computed.toFloatArray()) {
            assertThat(value).isCloseTo(logits.get(), Offset.offset(1e-4f));
          }
        }
      }
    }
  }

  @TestFactory
  Stream<DynamicTest> everyContainerIsConvertedToEveryType() {
    return Stream.concat(cases("bin*"), cases("safetensors-*"))
        .flatMap(
            folder ->
                Stream.of(DType.F32, DType.BF16, DType.F16)
                    .map(t -> dynamicTest(name(folder) + " " + t, () -> assertType(folder, t))));
  }

  private void assertType(Path source, DType type) throws Exception {
    ModelConfig config = ModelConfig.load(source.resolve("config.json"));
    DType stored = config.dtype().orElseThrow();
    if (stored != DType.F32 && stored != type) {
      return; // The reference has hashes of the fp32 weights rounded once.
    }
    Path target = temporary.resolve(source.getFileName() + "-" + type);
    CheckpointConverter.builder(source, target).dtype(type).maxShardBytes(50_000).build().convert();
    Map<String, String> expected = expected(source, type.torchName());
    if (config.tieWordEmbeddings()) {
      expected.remove("lm_head.weight");
    }
    assertHashes(target, expected);
    assertThat(ModelConfig.load(target.resolve("config.json")))
        .isEqualTo(config.toBuilder().dtype(type).build());
  }

  private static Map<String, String> expected(Path folder, String dtype) throws IOException {
    JsonNode hashes = JSON.readTree(folder.resolveSibling("sha256.json").toFile()).get(dtype);
    Map<String, String> expected = new TreeMap<>();
    hashes.properties().forEach(e -> expected.put(e.getKey(), e.getValue().asText()));
    return expected;
  }

  private static void assertHashes(Path folder, Map<String, String> expected) throws Exception {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      Map<String, String> hashes = new TreeMap<>();
      for (String name : checkpoint.names()) {
        TensorInfo tensor = checkpoint.tensor(name);
        float[] values = new float[(int) tensor.elements()];
        FloatCodec.decode(tensor.dtype(), checkpoint.map(name), values, 0, values.length);
        ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        hashes.put(
            name,
            HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.array())));
      }
      assertThat(hashes).isEqualTo(expected);
    }
  }
}
