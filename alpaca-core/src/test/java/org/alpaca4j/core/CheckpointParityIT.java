package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

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
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints written by transformers, and hostile ones, in the folder {@code -Dfixtures}. */
@Tag("parity")
class CheckpointParityIT {
  private static final JsonMapper JSON = new JsonMapper();
  private static final String HEAD = "lm_head.weight";

  @TempDir Path temporary;

  private static List<Path> list(String area, String glob) {
    Path folder = Path.of(System.getProperty("fixtures")).resolve(area);
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    List<Path> found = new ArrayList<>();
    try (var files = Files.newDirectoryStream(folder, glob)) {
      files.forEach(found::add);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    found.sort(null);
    return found;
  }

  private static String name(Path path) {
    return path.getParent().getFileName() + "/" + path.getFileName();
  }

  private static Stream<Path> safetensorsFolders() {
    return list("checkpoints", "*").stream()
        .filter(folder -> Files.exists(folder.resolve("sha256.json")))
        .flatMap(folder -> list("checkpoints/" + folder.getFileName(), "safetensors-*").stream());
  }

  private static Stream<Path> pytorchFolders() {
    return list("checkpoints", "*").stream()
        .filter(folder -> Files.exists(folder.resolve("sha256.json")))
        .flatMap(folder -> list("checkpoints/" + folder.getFileName(), "bin*").stream());
  }

  @TestFactory
  Stream<DynamicTest> everyTensorHasItsHash() {
    return Stream.concat(safetensorsFolders(), pytorchFolders())
        .map(folder -> dynamicTest(name(folder), () -> assertHashes(folder, folder)));
  }

  @TestFactory
  Stream<DynamicTest> everyTensorOfAFileInTheOlderFormatHasItsHash() {
    return pytorchFolders()
        .flatMap(
            folder ->
                list(
                    "checkpoints/" + folder.getParent().getFileName() + "/" + folder.getFileName(),
                    "*.legacy.bin")
                    .stream())
        .map(file -> dynamicTest(name(file), () -> assertHashes(file.getParent(), file)));
  }

  private static void assertHashes(Path folder, Path weights) throws Exception {
    JsonNode reference = JSON.readTree(folder.resolveSibling("sha256.json").toFile());
    try (Checkpoint checkpoint = Checkpoint.open(weights)) {
      String dtype = checkpoint.config().dtype().orElseThrow().torchName();
      JsonNode own = reference.get(String.valueOf(folder.getFileName()));
      JsonNode expected = own == null ? reference.get(dtype) : own;
      assertThat(expected).as("hashes for %s", dtype).isNotNull();
      Map<String, String> hashes = new TreeMap<>();
      for (String name : checkpoint.names()) {
        hashes.put(name, sha256(checkpoint, name));
      }
      Map<String, String> expectedHashes = new TreeMap<>();
      expected.properties().forEach(e -> expectedHashes.put(e.getKey(), e.getValue().asText()));
      assertThat(hashes).isEqualTo(expectedHashes);

      Map<String, long[]> shapes = new TreeMap<>();
      for (Map.Entry<String, JsonNode> shape : reference.get("shapes").properties()) {
        shapes.put(shape.getKey(), JSON.convertValue(shape.getValue(), long[].class));
      }
      checkpoint.requireExactly(shapes, shapes.containsKey(HEAD) ? Set.of() : Set.of(HEAD));
    }
  }

  @TestFactory
  Stream<DynamicTest> aSingleFileIsWrittenBackByteForByte() {
    return safetensorsFolders()
        .filter(folder -> Files.exists(folder.resolve("model.safetensors")))
        .map(folder -> dynamicTest(name(folder), () -> assertRewritten(folder)));
  }

  private void assertRewritten(Path folder) {
    Path copy = temporary.resolve(folder.getFileName());
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      CheckpointWriter.Builder writer = CheckpointWriter.builder(copy).config(checkpoint.config());
      for (String name : checkpoint.names()) {
        writer.tensor(name, checkpoint.tensor(name).dtype(), checkpoint.tensor(name).shape());
      }
      writer.build().write(checkpoint::copyTo);
    }
    for (String file : List.of("model.safetensors", "config.json")) {
      assertThat(copy.resolve(file)).hasSameBinaryContentAs(folder.resolve(file));
    }
  }

  /** Returns the hash of the tensor as float32. */
  private static String sha256(Checkpoint checkpoint, String name) throws Exception {
    TensorInfo tensor = checkpoint.tensor(name);
    ByteBuffer stored = ByteBuffer.allocate((int) tensor.byteLength());
    checkpoint.readBytes(name, stored, 0);
    assertThat(checkpoint.map(name)).isEqualTo(stored.flip());
    stored.order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer floats =
        ByteBuffer.allocate((int) tensor.elements() * 4).order(ByteOrder.LITTLE_ENDIAN);
    while (stored.hasRemaining()) {
      floats.putFloat(
          switch (tensor.dtype()) {
            case F32 -> stored.getFloat();
            case BF16 -> Float.intBitsToFloat(stored.getShort() << 16);
            case F16 -> half(stored.getShort());
            default -> throw new AssertionError(tensor);
          });
    }
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(floats.array()));
  }

  private static float half(short bits) {
    int exponent = bits >> 10 & 0x1f;
    int fraction = bits & 0x3ff;
    double magnitude =
        exponent == 0
            ? fraction * 0x1p-24
            : (1024 + fraction) * Math.pow(2, exponent - 25); // no infinities in weights
    return (float) (bits < 0 ? -magnitude : magnitude);
  }

  @TestFactory
  Stream<DynamicTest> aPartOfMetasReleaseIsRead() {
    return list("checkpoints", "*").stream()
        .flatMap(folder -> list("checkpoints/" + folder.getFileName(), "meta*").stream())
        .flatMap(
            folder ->
                list(
                    "checkpoints/" + folder.getParent().getFileName() + "/" + folder.getFileName(),
                    "*.pth")
                    .stream())
        .map(
            file ->
                dynamicTest(
                    name(file),
                    () -> {
                      try (Checkpoint checkpoint = Checkpoint.open(file)) {
                        assertThat(checkpoint.names())
                            .contains("tok_embeddings.weight", "rope.freqs");
                        for (String name : checkpoint.names()) {
                          sha256(checkpoint, name);
                        }
                      }
                    }));
  }

  @TestFactory
  Stream<DynamicTest> hostileFilesAreRefusedInASmallHeap() {
    return list("checkpoints", "malicious").stream()
        .map(folder -> dynamicTest(name(folder), () -> assertRefusedByAChild(folder)));
  }

  /** In a folder of its own, where nothing may appear. */
  private void assertRefusedByAChild(Path folder) throws Exception {
    Path empty = Files.createDirectory(temporary.resolve("empty"));
    Path output = temporary.resolve("output");
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "-cp",
                System.getProperty("java.class.path"),
                HostileCheckpoints.class.getName(),
                folder.toString())
            .directory(empty.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    assertThat(child.waitFor()).as(Files.readString(output)).isZero();
    assertThat(empty).isEmptyDirectory();
  }

  /** Opens every hostile file of a folder; prints those that are not refused, and fails. */
  static final class HostileCheckpoints {
    public static void main(String[] arguments) throws IOException {
      List<Path> hostile = new ArrayList<>();
      try (Stream<Path> files = Files.list(Path.of(arguments[0]))) {
        files.filter(HostileCheckpoints::isHostile).forEach(hostile::add);
      }
      boolean all = true;
      for (Path path : hostile) {
        try {
          Checkpoint.open(path).close();
          System.out.println(path + " was not refused");
          all = false;
        } catch (CheckpointException expected) {
          System.out.println(expected.getMessage());
        }
      }
      System.exit(all ? 0 : 1);
    }

    private static boolean isHostile(Path path) {
      String name = String.valueOf(path.getFileName());
      return !name.startsWith("control.") && !name.endsWith(".md");
    }
  }

  @TestFactory
  Stream<DynamicTest> hostileFilesAreRefused() {
    Stream<Path> files =
        list("checkpoints/malicious", "*.{safetensors,bin}").stream()
            .filter(file -> !file.getFileName().toString().startsWith("control"));
    Stream<Path> folders = list("checkpoints/malicious", "index-*").stream();
    return Stream.concat(files, folders)
        .map(
            path ->
                dynamicTest(
                    name(path),
                    () ->
                        assertThatThrownBy(() -> Checkpoint.open(path).close())
                            .isInstanceOf(CheckpointException.class)
                            .hasMessageContaining(name(path))));
  }

  @TestFactory
  Stream<DynamicTest> theHonestControlIsRead() {
    return list("checkpoints/malicious", "control.*").stream()
        .map(
            file ->
                dynamicTest(
                    name(file),
                    () -> {
                      try (Checkpoint checkpoint = Checkpoint.open(file)) {
                        ByteBuffer w = checkpoint.map("w");
                        assertThat(w.asFloatBuffer().get(3)).isEqualTo(4f);
                      }
                    }));
  }

  @TestFactory
  Stream<DynamicTest> bothSpellingsOfAConfigurationAreEqual() {
    return list("models", "*").stream()
        .filter(folder -> Files.exists(folder.resolve("config.v4.json")))
        .map(
            folder ->
                dynamicTest(
                    name(folder),
                    () ->
                        assertThat(ModelConfig.load(folder.resolve("config.json")))
                            .isEqualTo(ModelConfig.load(folder.resolve("config.v4.json")))));
  }

  @TestFactory
  Stream<DynamicTest> everyFamilyIsReadAndWrittenBack() {
    return list("models", "*").stream()
        .filter(folder -> Files.exists(folder.resolve("config.json")))
        .map(
            folder ->
                dynamicTest(
                    name(folder),
                    () -> {
                      Path file = folder.resolve("config.json");
                      ModelConfig config = ModelConfig.load(file);
                      assertThat(config.toJson()).isEqualTo(Files.readString(file));
                      int vocabulary = config.vocabSize() + 1;
                      assertThat(config.toBuilder().vocabSize(vocabulary).build().vocabSize())
                          .isEqualTo(vocabulary);
                    }));
  }
}
