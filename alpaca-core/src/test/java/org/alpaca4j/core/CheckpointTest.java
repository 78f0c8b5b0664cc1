package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTest {
  private static final String W_HEADER =
      "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}";

  @TempDir Path folder;

  /** Returns a safetensors file of this header and so many bytes 0, 1, 2, … of data. */
  private static byte[] safetensors(String header, int dataBytes) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer file =
        ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
    file.putLong(json.length).put(json);
    for (int i = 0; i < dataBytes; i++) {
      file.put((byte) i);
    }
    return file.array();
  }

  private Path write(String name, byte[] bytes) throws IOException {
    return Files.write(folder.resolve(name), bytes);
  }

  private Path write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  private static String tensor(String name, String dtype, String shape, long begin, long end) {
    return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
        .formatted(name, dtype, shape, begin, end);
  }

  @Test
  void aSingleFileIsReadWithAbsoluteOffsets() throws IOException {
    Path file = write("model.safetensors", safetensors(W_HEADER, 16));

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      TensorInfo w = checkpoint.tensor("w");
      assertThat(checkpoint.names()).containsExactly("w");
      assertThat(w)
          .isEqualTo(
              new TensorInfo("w", DType.F32, new long[] {2, 2}, file, 8 + W_HEADER.length(), 16));
      assertThat(w.elements()).isEqualTo(4);

      ByteBuffer bytes = ByteBuffer.allocate(3);
      checkpoint.readBytes("w", bytes, 5);
      assertThat(bytes.array()).containsExactly(5, 6, 7);

      assertThat(checkpoint.map("w").get(15)).isEqualTo((byte) 15);
      assertThat(checkpoint.map("w").order()).isEqualTo(ByteOrder.LITTLE_ENDIAN);
      assertThatThrownBy(() -> checkpoint.readBytes("w", ByteBuffer.allocate(2), 15))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessageContaining("'w', which has 16");
      assertThatThrownBy(() -> checkpoint.tensor("v"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("no tensor 'v'; it has w");
    }
  }

  @Test
  void scalarsEmptyTensorsAndEveryTypeAreListed() throws IOException {
    String header =
        "{\"__metadata__\":{\"format\":\"pt\"},"
            + tensor("long", "I64", "[]", 0, 8)
            + ","
            + tensor("none", "F32", "[0,7]", 8, 8)
            + ","
            + tensor("bytes", "U8", "[3]", 8, 11)
            + "}   ";
    write("model.safetensors", safetensors(header, 11));

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.names()).containsExactly("bytes", "long", "none");
      assertThat(checkpoint.tensor("long").shape()).isEmpty();
      assertThat(checkpoint.tensor("none").elements()).isZero();
      assertThat(checkpoint.map("none").remaining()).isZero();
    }
  }

  static Stream<Arguments> malformedHeaders() {
    return Stream.of(
        Arguments.of(
            "overlap",
            "{" + tensor("a", "U8", "[4]", 0, 4) + "," + tensor("b", "U8", "[5]", 3, 8) + "}",
            "they overlap"),
        Arguments.of(
            "hole",
            "{" + tensor("a", "U8", "[4]", 0, 4) + "," + tensor("b", "U8", "[3]", 5, 8) + "}",
            "there is a hole"),
        Arguments.of("hole at the begin", "{" + tensor("a", "U8", "[4]", 4, 8) + "}", "a hole"),
        Arguments.of("trailing bytes", "{" + tensor("a", "U8", "[4]", 0, 4) + "}", "cut short"),
        Arguments.of("beyond the file", "{" + tensor("a", "U8", "[9]", 0, 9) + "}", "within"),
        Arguments.of("reversed", "{" + tensor("a", "U8", "[8]", 8, 0) + "}", "data_offsets"),
        Arguments.of("negative", "{" + tensor("a", "U8", "[8]", -8, 0) + "}", "size of 0 or more"),
        Arguments.of("misshapen", "{" + tensor("a", "F32", "[3]", 0, 8) + "}", "needs 12 bytes"),
        Arguments.of(
            "overflow",
            "{" + tensor("a", "U8", "[4294967296,4294967296]", 0, 8) + "}",
            "impossible shape"),
        Arguments.of(
            "overflow of bytes",
            "{" + tensor("a", "F64", "[2305843009213693952]", 0, 8) + "}",
            "impossible shape"),
        Arguments.of(
            "huge dimension",
            "{" + tensor("a", "U8", "[99999999999999999999]", 0, 8) + "}",
            "not a size"),
        Arguments.of("fraction", "{" + tensor("a", "U8", "[8.0]", 0, 8) + "}", "not a size"),
        Arguments.of("nested", "{" + tensor("a", "U8", "[[8]]", 0, 8) + "}", "not a size"),
        Arguments.of(
            "many dimensions",
            "{" + tensor("a", "U8", "[" + "1,".repeat(64) + "8]", 0, 8) + "}",
            "more than 64"),
        Arguments.of("type", "{" + tensor("a", "F31", "[2]", 0, 8) + "}", "unknown dtype 'F31'"),
        Arguments.of(
            "duplicate",
            "{" + tensor("a", "U8", "[4]", 0, 4) + "," + tensor("a", "U8", "[4]", 4, 8) + "}",
            "twice"),
        Arguments.of("duplicate field", "{\"a\":{\"shape\":[8],\"shape\":[8]}}", "twice"),
        Arguments.of("no fields", "{\"a\":{}}", "needs dtype, shape and data_offsets"),
        Arguments.of("no object", "{\"a\":1}", "must be a JSON object"),
        Arguments.of("metadata", "{\"__metadata__\":{\"a\":1}}", "must be a string"),
        Arguments.of("array", "[]", "does not begin with '{'"),
        Arguments.of("space first", " {}", "does not begin with '{'"),
        Arguments.of("not JSON", "{'a'}", "not JSON"),
        Arguments.of("unfinished", "{\"a\":", "not JSON"),
        Arguments.of("two objects", "{}{}", "goes on"),
        Arguments.of("empty", "", "does not begin"),
        Arguments.of("deep", "{\"a\":{\"x\":" + "[".repeat(50_000), "not JSON"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("malformedHeaders")
  void aMalformedHeaderIsRefused(String what, String header, String message) throws IOException {
    Path file = write("model.safetensors", safetensors(header, 8));

    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @CsvSource({
    "-1, 18446744073709551615 bytes",
    "1152921504606846976, more than the 100000000",
    "100000001, more than the 100000000",
    "1000, the file has only 16"
  })
  void aHeaderLengthThatTheFileCannotHoldIsRefused(long length, String message) throws IOException {
    ByteBuffer file = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
    write("model.safetensors", file.array());

    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 7})
  void aFileTooShortForALengthIsRefused(int bytes) throws IOException {
    write("model.safetensors", new byte[bytes]);
    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("it has " + bytes + " bytes");
  }

  @Test
  void aHeaderThatIsNotUtf8IsRefused() throws IOException {
    byte[] file = safetensors(W_HEADER, 16);
    file[10] = (byte) 0xc0;
    write("model.safetensors", file);
    assertThatThrownBy(() -> Checkpoint.open(folder)).hasMessageContaining("not UTF-8");
  }

  /** Seeds are printed on failure by the assertion's description. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void mutatedFilesAreReadOrRefusedButNeverBreakTheReader(long seed) throws IOException {
    Random random = new Random(seed);
    String header =
        "{\"__metadata__\":{\"format\":\"pt\"},"
            + tensor("a", "F32", "[2,3]", 0, 24)
            + ","
            + tensor("b", "BF16", "[4]", 24, 32)
            + "}";
    byte[] sound = safetensors(header, 32);
    String alphabet = "{}[]\",:0123456789-eE.\\ab \u0000\u00ff";
    Path file = folder.resolve("model.safetensors");
    int refused = 0;
    for (int round = 0; round < 1000; round++) {
      byte[] bytes = sound.clone();
      int changes = 1 + random.nextInt(3);
      for (int i = 0; i < changes; i++) {
        int at = random.nextInt(10) == 0 ? random.nextInt(8) : 8 + random.nextInt(header.length());
        bytes[at] =
            random.nextInt(4) == 0
                ? (byte) random.nextInt(256)
                : (byte) alphabet.charAt(random.nextInt(alphabet.length()));
      }
      if (random.nextInt(10) == 0) {
        bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length + 20));
      }
      Files.write(file, bytes);
      try (Checkpoint checkpoint = Checkpoint.open(folder)) {
        for (String name : checkpoint.names()) {
          long length = checkpoint.tensor(name).byteLength();
          assertThat(length).isLessThanOrEqualTo(bytes.length);
          checkpoint.readBytes(name, ByteBuffer.allocate((int) length), 0);
        }
      } catch (CheckpointException e) {
        refused++;
      } catch (RuntimeException | Error e) {
        throw new AssertionError("seed " + seed + ", round " + round, e);
      }
    }
    assertThat(refused).as("seed %d", seed).isGreaterThan(600);
  }

  private void writeShards(String weightMap) throws IOException {
    write("a.safetensors", safetensors("{" + tensor("x", "U8", "[1]", 0, 1) + "}", 1));
    write("b.safetensors", safetensors("{" + tensor("y", "U8", "[1]", 0, 1) + "}", 1));
    write("model.safetensors.index.json", "{\"weight_map\":" + weightMap + "}");
  }

  @Test
  void shardsAreReadThroughTheirIndex() throws IOException {
    writeShards("{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"}");
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.names()).containsExactly("x", "y");
      assertThat(checkpoint.tensor("y").file()).isEqualTo(folder.resolve("b.safetensors"));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{'x':'../a.safetensors'} | without a path",
        "{'x':'/etc/a.safetensors'} | without a path",
        "{'x':'..\\\\a.safetensors'} | without a path",
        "{'x':'C:a.safetensors'} | without a path",
        "{'x':'a.bin'} | without a path",
        "{'x':'c.safetensors'} | not in the folder",
        "{'x':'a.safetensors','z':'a.safetensors'} | promises tensor 'z'",
        "{'x':'b.safetensors','y':'a.safetensors'} | promises in",
        "{'x':'a.safetensors','z':'b.safetensors'} | does not list",
        "{'x':'a.safetensors','x':'a.safetensors'} | twice",
        "{'x':1} | no file name",
        "[] | one JSON object",
        "{'x':'a.safetensors','y':'b.safetensors'}} {} | goes on",
        "{'x' | not JSON"
      })
  void anIndexThatLeavesItsFolderOrContradictsItsShardsIsRefused(String map, String message)
      throws IOException {
    writeShards(map.replace('\'', '"'));
    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(folder.toString())
        .hasMessageContaining(message);
  }

  @Test
  void aSingleFileIsPreferredToAnIndexOfOtherFiles() throws IOException {
    writeShards("{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"}");
    write("model.safetensors", safetensors(W_HEADER, 16));
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.names()).containsExactly("w");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "model.safetensors, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n', git lfs pull",
    "pytorch_model.bin, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n', git lfs pull",
    "model.safetensors, '\n<!DOCTYPE html><html>Sign in</html>', is an HTML page",
    "pytorch_model.bin, '<html><body>404</body></html>', is an HTML page",
    "model.safetensors, '<?xml version=\"1.0\"?><Error/>', is an XML text",
    "model.safetensors.index.json, 'version https://git-lfs.github.com/spec/v1\n', git lfs pull"
  })
  void aFileThatStandsForTheWeightsIsCalledWhatItIs(String name, String text, String message)
      throws IOException {
    Path file = Files.writeString(folder.resolve(name), text);

    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageStartingWith(file + " is ")
        .hasMessageContaining(message)
        .hasMessageContaining("download");
  }

  @ParameterizedTest
  @CsvSource({
    "consolidated.00.pth, Meta's release",
    "model.gguf, alpaca-weights",
    "adapter_model.safetensors, apply the adapter"
  })
  void weightsOfAnotherKindAreRefusedWithTheWayOut(String file, String wayOut) throws IOException {
    write(file, "");
    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("expected model.safetensors or pytorch_model.bin")
        .hasMessageContaining(file + " is there, but")
        .hasMessageContaining(wayOut);
  }

  @Test
  void aFileOfAnotherKindIsRefusedWithTheWayOut() throws IOException {
    assertThatThrownBy(() -> Checkpoint.open(write("model.gguf", "")))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("model.gguf is no file of weights that can be read");
  }

  @Test
  void aFolderWithoutWeightsOrNoFolderIsRefused() {
    assertThatThrownBy(() -> Checkpoint.open(folder))
        .hasMessageContaining("expected model.safetensors")
        .hasMessageContaining("found nothing");
    assertThatThrownBy(() -> Checkpoint.open(folder.resolve("none")))
        .hasMessageContaining("none does not exist");
  }

  @Test
  void theConfigurationIsReadFromTheFolder() throws IOException {
    write("model.safetensors", safetensors(W_HEADER, 16));
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThatThrownBy(checkpoint::config).hasMessageContaining("config.json does not exist");
      write("config.json", "{\"model_type\":\"llama\"}");
      assertThat(checkpoint.config().modelType()).isEqualTo("llama");
    }
  }

  @Test
  void exactlyTheExpectedTensorsAreRequiredAndAllDifferencesListed() throws IOException {
    String header =
        "{"
            + tensor("w", "F32", "[2]", 0, 8)
            + ","
            + tensor("extra", "U8", "[1]", 8, 9)
            + ","
            + tensor("kept", "U8", "[1]", 9, 10)
            + ","
            + tensor("ids", "U8", "[1]", 10, 11)
            + ","
            + tensor("layers.0.rotary_emb.inv_freq", "U8", "[1]", 11, 12)
            + "}";
    write("model.safetensors", safetensors(header, 12));
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      Map<String, long[]> expected =
          Map.of("w", new long[] {1, 2}, "gone", new long[] {1}, "ids", new long[] {1});
      assertThatThrownBy(() -> checkpoint.requireExactly(expected, Set.of("kept")))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(
              "1 missing: gone; 1 unexpected: extra; 1 misshapen: w [2] instead of [1, 2]; "
                  + "1 not F32, BF16 or F16: ids U8");
      checkpoint.requireExactly(Map.of("w", new long[] {2}), Set.of("kept", "extra", "ids"));
    }
  }

  @Test
  void aTiedTensorMayBeAbsentOrEqualButNotDifferent() throws IOException {
    String header =
        "{" + tensor("embed", "U8", "[2]", 0, 2) + "," + tensor("head", "U8", "[2]", 2, 4) + "}";
    byte[] bytes = safetensors(header, 4);
    write("model.safetensors", bytes);
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      checkpoint.requireTied("absent", "embed");
      assertThatThrownBy(() -> checkpoint.requireTied("head", "embed"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("head differs from embed")
          .hasMessageContaining("tie_word_embeddings");
    }
    System.arraycopy(bytes, bytes.length - 4, bytes, bytes.length - 2, 2);
    write("model.safetensors", bytes);
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      checkpoint.requireTied("head", "embed");
    }
  }
}
