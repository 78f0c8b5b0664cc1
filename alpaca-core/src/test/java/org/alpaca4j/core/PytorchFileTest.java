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
import org.alpaca4j.core.internal.pickle.PickleWriter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class PytorchFileTest {
  private static final long[] SHAPE_2_3 = {2, 3};

  @TempDir Path folder;

  private static byte[] floats(float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return bytes.array();
  }

  /** 0, 1, 2, … */
  private static byte[] counting(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = i;
    }
    return floats(values);
  }

  private Path write(byte[] bytes) throws IOException {
    return Files.write(folder.resolve("pytorch_model.bin"), bytes);
  }

  private static float[] read(Checkpoint checkpoint, String name) {
    ByteBuffer bytes = ByteBuffer.allocate((int) checkpoint.tensor(name).byteLength());
    checkpoint.readBytes(name, bytes, 0);
    assertThat(checkpoint.map(name)).isEqualTo(bytes.flip());
    assertThat(checkpoint.map(name).order()).isEqualTo(ByteOrder.LITTLE_ENDIAN);
    assertThat(checkpoint.map(name).isReadOnly()).isTrue();
    float[] values = new float[bytes.remaining() / 4];
    bytes.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
    return values;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void bothFormatsAreReadInPlace(boolean legacy) throws IOException {
    TorchFile torch = legacy ? new TorchFile().legacy() : new TorchFile();
    Path file =
        write(
            torch
                .tensor("b", DType.F32, counting(6), 2, 3)
                .tensor("a", DType.F32, floats(7))
                .bytes());

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.names()).containsExactly("a", "b");
      TensorInfo b = checkpoint.tensor("b");
      assertThat(b.shape()).containsExactly(2, 3);
      assertThat(b.file()).isEqualTo(file);
      assertThat(checkpoint.isInPlace("b")).isTrue();
      assertThat(ByteBuffer.wrap(Files.readAllBytes(file), (int) b.offset(), 24))
          .isEqualTo(ByteBuffer.wrap(counting(6)));
      assertThat(read(checkpoint, "b")).containsExactly(0, 1, 2, 3, 4, 5);
      assertThat(checkpoint.tensor("a").shape()).isEmpty();
      assertThat(read(checkpoint, "a")).containsExactly(7);
    }
  }

  @ParameterizedTest
  @EnumSource
  void everyTypeIsRead(DType dtype) throws IOException {
    byte[] bytes = Arrays.copyOf(counting(8), 3 * dtype.bytes());
    write(new TorchFile().tensor("w", dtype, bytes, 3).bytes());

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.tensor("w").dtype()).isEqualTo(dtype);
      assertThat(checkpoint.map("w")).isEqualTo(ByteBuffer.wrap(bytes));
    }
  }

  @ParameterizedTest
  @EnumSource
  void everyTypeIsReadTransposedAndBigEndian(DType dtype) throws IOException {
    int size = dtype == DType.C64 ? 4 : dtype.bytes();
    byte[] element = new byte[6 * dtype.bytes()];
    for (int i = 0; i < element.length; i++) {
      element[i] = (byte) i;
    }
    TorchFile torch =
        new TorchFile()
            .storage("0", element)
            .view("t", "0", dtype, 0, new long[] {3, 2}, new long[] {1, 3});
    write(torch.zip("x/", new ZipWriter(), "big").finish());

    byte[] expected = new byte[element.length];
    int at = 0;
    for (int index : new int[] {0, 3, 1, 4, 2, 5}) {
      for (int b = 0; b < dtype.bytes(); b++) {
        int swapped = b / size * size + size - 1 - b % size;
        expected[at++] = element[index * dtype.bytes() + swapped];
      }
    }
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.isInPlace("t")).isFalse();
      assertThat(checkpoint.map("t")).isEqualTo(ByteBuffer.wrap(expected));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void viewsOfOneStorageAreReadInTheirOwnOrder(boolean legacy) throws IOException {
    TorchFile torch = legacy ? new TorchFile().legacy() : new TorchFile();
    write(
        torch
            .storage("7", counting(12))
            .view("whole", "7", DType.F32, 0, new long[] {12}, new long[] {1})
            .view("tied", "7", DType.F32, 0, new long[] {12}, new long[] {1})
            .view("slice", "7", DType.F32, 3, SHAPE_2_3, new long[] {3, 1})
            .view("transposed", "7", DType.F32, 0, SHAPE_2_3, new long[] {1, 2})
            .view("stepped", "7", DType.F32, 1, new long[] {4}, new long[] {3})
            .view("expanded", "7", DType.F32, 5, SHAPE_2_3, new long[] {1, 0})
            .view("scalar", "7", DType.F32, 11, new long[0], new long[0])
            .view("empty", "7", DType.F32, 12, new long[] {0, 4}, new long[] {4, 1})
            .view("one", "7", DType.F32, 2, new long[] {1, 2, 1}, new long[] {99, 1, 77})
            .parameter("parameter", "7", DType.F32, SHAPE_2_3, new long[] {6, 2})
            .bytes());

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.names()).hasSize(10);
      assertThat(checkpoint.tensor("tied").offset()).isEqualTo(checkpoint.tensor("whole").offset());
      checkpoint.requireTied("tied", "whole");
      assertThat(read(checkpoint, "slice")).containsExactly(3, 4, 5, 6, 7, 8);
      assertThat(checkpoint.isInPlace("slice")).isTrue();
      assertThat(checkpoint.tensor("slice").offset())
          .isEqualTo(checkpoint.tensor("whole").offset() + 12);
      assertThat(read(checkpoint, "transposed")).containsExactly(0, 2, 4, 1, 3, 5);
      assertThat(checkpoint.isInPlace("transposed")).isFalse();
      assertThat(read(checkpoint, "stepped")).containsExactly(1, 4, 7, 10);
      assertThat(read(checkpoint, "expanded")).containsExactly(5, 5, 5, 6, 6, 6);
      assertThat(read(checkpoint, "scalar")).containsExactly(11);
      assertThat(read(checkpoint, "empty")).isEmpty();
      assertThat(read(checkpoint, "one")).containsExactly(2, 3);
      assertThat(checkpoint.isInPlace("one")).isTrue();
      assertThat(read(checkpoint, "parameter")).containsExactly(0, 2, 4, 6, 8, 10);
    }
  }

  @Test
  void aStridedTensorIsReadFromAnyByteOn() throws IOException {
    write(
        new TorchFile()
            .storage("0", counting(12))
            .view("t", "0", DType.F32, 0, new long[] {3, 4}, new long[] {1, 3})
            .bytes());

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      byte[] all = new byte[48];
      checkpoint.map("t").get(all);
      for (int begin = 0; begin <= 48; begin++) {
        for (int end = begin; end <= 48; end++) {
          ByteBuffer part = ByteBuffer.allocate(end - begin);
          checkpoint.readBytes("t", part, begin);
          assertThat(part.array()).isEqualTo(Arrays.copyOfRange(all, begin, end));
        }
      }
    }
  }

  @Test
  void readingAfterClosingFails() throws IOException {
    write(
        new TorchFile()
            .storage("0", counting(6))
            .view("t", "0", DType.F32, 0, SHAPE_2_3, new long[] {1, 2})
            .bytes());
    Checkpoint checkpoint = Checkpoint.open(folder);
    checkpoint.map("t");
    checkpoint.close();

    assertThatThrownBy(() -> checkpoint.readBytes("t", ByteBuffer.allocate(4), 0))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("'t'");
  }

  @Test
  void zip64IsRead() throws IOException {
    TorchFile torch = new TorchFile().tensor("w", DType.F32, counting(4), 4);
    write(torch.zip("archive/", new ZipWriter().zip64(), "little").finish());

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(read(checkpoint, "w")).containsExactly(0, 1, 2, 3);
    }
  }

  private static ZipWriter archive(TorchFile torch) {
    return new ZipWriter().stored("a/data.pkl", torch.pickle().stop());
  }

  private static TorchFile one(int elements) {
    return new TorchFile().tensor("w", DType.F32, counting(elements), elements);
  }

  @Test
  void compressedStoragesAreInflated() throws IOException {
    byte[] data = counting(100);
    TorchFile torch = one(100).view("t", "0", DType.F32, 0, new long[] {2, 50}, new long[] {1, 2});
    write(
        new ZipWriter()
            .deflated("data.pkl", torch.pickle().stop())
            .deflated("data/0", data)
            .finish());

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.isInPlace("w")).isFalse();
      assertThat(read(checkpoint, "w")).containsExactly(toFloats(data));
      assertThat(read(checkpoint, "t")).startsWith(0, 2, 4).endsWith(95, 97, 99);
    }
  }

  private static float[] toFloats(byte[] bytes) {
    float[] values = new float[bytes.length / 4];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
    return values;
  }

  @Test
  void aCompressedStorageThatIsNotWhatItClaimsIsRefusedWhenRead() throws IOException {
    byte[] data = counting(100);
    write(archive(one(100)).deflated("a/data/0", data, 12345, 400).finish());
    assertUnreadable("its CRC differs");
    write(archive(one(99)).deflated("a/data/0", data, ZipWriter.crc(data), 396).finish());
    assertUnreadable("more than the 396 bytes claimed");
    write(archive(one(101)).deflated("a/data/0", data, ZipWriter.crc(data), 404).finish());
    assertUnreadable("has 400 bytes, not the 404 claimed");
  }

  private void assertUnreadable(String message) {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThatThrownBy(() -> checkpoint.map("w"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("'w'")
          .hasMessageContaining(message);
    }
  }

  @Test
  void aZipBombIsRefused() throws IOException {
    byte[] zeros = new byte[1 << 20];
    TorchFile torch = new TorchFile().tensor("w", DType.F32, zeros, 1 << 18);
    write(archive(torch).deflated("a/data/0", zeros).finish());
    assertRefused("more than 16 times the file's size");

    write(new ZipWriter().deflated("a/data.pkl", zeros).finish());
    assertRefused("'a/data.pkl' is said to have 1048576 bytes");
  }

  private void assertRefused(String message) {
    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("pytorch_model.bin")
        .hasMessageContaining(message);
  }

  @Test
  void aCompressedPickleMuchLargerThanTheFileIsRefused() throws IOException {
    PickleWriter pickle = new PickleWriter();
    for (int i = 0; i < 20_000; i++) {
      pickle.ops("]");
    }
    write(new ZipWriter().deflated("a/data.pkl", pickle.stop()).finish());
    assertRefused("data.pkl' is said to have 20003 bytes, more than the whole file");
  }

  @Test
  void tensorsThatShareOneLongShapeAreRefused() throws IOException {
    TorchFile torch = new TorchFile().storage("0", counting(1));
    PickleWriter pickle = torch.pickle();
    long[] ones = new long[64];
    Arrays.fill(ones, 1);
    pickle.global("torch._utils", "_rebuild_tensor").ops("((").text("storage");
    pickle.global("torch", "FloatStorage").text("0").text("cpu").integer(1).ops("tQ");
    pickle.integer(0).integers(ones).integers(ones).ops("t").raw('q', 0).ops("R0");
    for (int i = 0; i < 100; i++) {
      pickle.global("torch._utils", "_rebuild_tensor").raw('h', 0).ops("R0");
    }
    write(torch.bytes());
    assertRefused("its calls share lists or tuples, of more values than it has bytes");
  }

  @Test
  void aTensorThatIsMuchLargerThanTheFileIsRefused() throws IOException {
    write(
        new TorchFile()
            .storage("0", counting(1))
            .view("w", "0", DType.F32, 0, new long[] {1L << 40}, new long[] {0})
            .bytes());

    assertRefused("'w' repeats its storage to more than 16 times");
  }

  @Test
  void viewsOutsideTheirStorageAreRefused() throws IOException {
    assertViewRefused(0, new long[] {5}, new long[] {1});
    assertViewRefused(1, new long[] {4}, new long[] {1});
    assertViewRefused(5, new long[] {0}, new long[] {1});
    assertViewRefused(-1, new long[] {1}, new long[] {1});
    assertViewRefused(3, new long[] {2}, new long[] {-1});
    assertViewRefused(0, new long[] {-1}, new long[] {1});
    assertViewRefused(0, new long[] {2, 2}, new long[] {3, 1});
    assertViewRefused(0, new long[] {1L << 32, 1L << 32, 4}, new long[] {0, 0, 0});
    assertViewRefused(0, new long[] {3}, new long[] {1L << 62});
    assertViewRefused(Long.MAX_VALUE, new long[] {2}, new long[] {1});
    assertViewRefused(0, new long[] {1L << 61}, new long[] {0});
  }

  private void assertViewRefused(long offset, long[] shape, long[] strides) throws IOException {
    write(
        new TorchFile()
            .storage("0", counting(4))
            .view("w", "0", DType.F32, offset, shape, strides)
            .bytes());
    assertRefused("does not lie within its storage of 4 elements");
  }

  @Test
  void sizesAndStridesMustBeOfOneKind() throws IOException {
    TorchFile torch = new TorchFile().storage("0", counting(4));
    write(torch.view("w", "0", DType.F32, 0, new long[] {4}, new long[] {1, 1}).bytes());
    assertRefused("1 sizes but 2 strides");

    torch = new TorchFile().storage("0", counting(4));
    write(torch.view("w", "0", DType.F32, 0, new long[65], new long[65]).bytes());
    assertRefused("at most 64 integers");
  }

  @Test
  void aDictUnderACustomaryNameIsRead() throws IOException {
    TorchFile torch = one(2);
    PickleWriter pickle = torch.pickle();
    pickle.ops("q\u0001").ops("0}").text("epoch").ops("K\u0003s").text("state_dict");
    pickle.ops("h\u0001s").text("args").ops("]s");
    write(torch.bytes());

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.names()).containsExactly("w");
    }

    torch = one(2);
    torch.pickle().ops("q\u00010}").text("model").ops("h\u0001s").text("module").ops("h\u0001s");
    write(torch.bytes());
    assertRefused("under several of");
  }

  @Test
  void plainValuesBesideTensorsAreSkippedAndContainersRefused() throws IOException {
    TorchFile torch = one(2);
    torch.pickle().text("a").ops("Ns").text("b").ops("K\u0001s").text("c").ops("}s");
    torch.pickle().ops("}").text("_metadata").ops("}sb");
    write(torch.bytes());
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.names()).containsExactly("w");
    }

    torch = one(2);
    torch.pickle().text("list").ops("]Nas");
    write(torch.bytes());
    assertRefused("a list under 'list'");
  }

  @Test
  void whatIsNoDictOfTensorsIsRefused() throws IOException {
    write(new TorchFile().bytes());
    assertRefused("holds no tensors");

    TorchFile twice = one(2);
    twice.view("w", "0", DType.F32, 0, new long[] {1}, new long[] {1});
    write(twice.bytes());
    assertRefused("the tensor 'w' twice");

    TorchFile list = one(2);
    list.pickle().ops("0]");
    write(list.bytes());
    assertRefused("holds a list instead of a dict of tensors");

    TorchFile conjugate = new TorchFile();
    conjugate.pickle().text("w").global("torch._utils", "_rebuild_tensor_v2");
    conjugate.pickle().ops("(NNNNNN}").text("conj").raw(0x88).ops("stRs");
    write(conjugate.bytes());
    assertRefused("resolve_conj");
  }

  @Test
  void whatIsNotPermittedIsNamed() throws IOException {
    TorchFile torch = one(2);
    torch.pickle().text("x").global("os", "system").ops("(").text("touch PWNED").ops("tRs");
    write(torch.bytes());
    assertRefused("the global os.system is not permitted");

    torch = one(2);
    torch.pickle().text("x").global("torch", "ComplexDoubleStorage").ops("s");
    write(torch.bytes());
    assertRefused("the global torch.ComplexDoubleStorage is not permitted");

    torch = one(2);
    torch.pickle().text("x").global("torch", "FloatStorage").ops(")Rs");
    write(torch.bytes());
    assertRefused("what is called is no function");
  }

  @Test
  void aStorageMustBeThereInItsFullLength() throws IOException {
    write(archive(one(4)).finish());
    assertRefused("lacks the storage '0'");
    write(archive(one(4)).stored("a/data/0", counting(3)).finish());
    assertRefused("said to have 16 bytes, but has 12");
    byte[] whole = one(4).legacy().bytes();
    write(Arrays.copyOf(whole, whole.length - 1));
    assertRefused("");
  }

  @Test
  void aLegacyFileIsRefusedWhenItIsCutOrAppendedTo() throws IOException {
    byte[] whole = new TorchFile().legacy().tensor("w", DType.F32, counting(4), 4).bytes();
    write(Arrays.copyOf(whole, whole.length - 1));
    assertRefused("ends within the storage '0'");
    write(Arrays.copyOf(whole, whole.length - 20));
    assertRefused("ends before the storage '0'");
    write(Arrays.copyOf(whole, whole.length + 1));
    assertRefused("1 bytes follow its storages");
    for (int length = 0; length < whole.length; length++) {
      write(Arrays.copyOf(whole, length));
      assertRefused("is not a sound PyTorch file");
    }
  }

  @Test
  void deceptiveZipsAreRefused() throws IOException {
    byte[] pickle = one(4).pickle().stop();
    write(archive(one(4)).stored("a/data.pkl", pickle).finish());
    assertRefused("'a/data.pkl' is there twice");
    write(archive(one(4)).stored("b/data.pkl", pickle).finish());
    assertRefused("more than one data.pkl");
    write(archive(one(4)).claim("a/data/0", 1L << 31, 0).finish());
    assertRefused("another local header");
    write(archive(one(4)).claim("a/data.pkl", 10, 0).finish());
    assertRefused("twice");
    write(archive(one(4)).claim("a/data/0", 16, 1 << 20).finish());
    assertRefused("outside the file");
    write(new ZipWriter().stored("weights", pickle).finish());
    assertRefused("no data.pkl");
    write(archive(one(4)).stored("a/constants.pkl", pickle).finish());
    assertRefused("TorchScript");
    write(one(4).zip("", new ZipWriter(), "middle").finish());
    assertRefused("byteorder");
    byte[] longer = Arrays.copyOf(pickle, pickle.length + 1);
    write(new ZipWriter().stored("a/data.pkl", longer).finish());
    assertRefused("goes on after its end");
  }

  @Test
  void overlappingEntriesAreRefused() throws IOException {
    byte[] inner = new ZipWriter().stored("a/data/0", new byte[16]).finish();
    // The storage's header and bytes lie within another entry.
    ZipWriter zip = archive(one(4)).stored("a/x", inner);
    int at = "a/x".length() + 30 + archivedBytes();
    write(zip.claim("a/data/0", 16, at).finish());

    assertRefused("two of its entries overlap");
  }

  private static int archivedBytes() {
    return 30 + "a/data.pkl".length() + one(4).pickle().stop().length;
  }

  @Test
  void aCutZipIsRefused() throws IOException {
    byte[] whole = one(4).bytes();
    for (int length = 0; length < whole.length; length++) {
      write(Arrays.copyOf(whole, length));
      assertRefused("is not a sound PyTorch file");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"consolidated.00.pth", "model.pt", "pytorch_model.bin"})
  void aFileByItselfIsOpened(String name) throws IOException {
    Path file = Files.write(folder.resolve(name), one(4).bytes());

    try (Checkpoint checkpoint = Checkpoint.open(file)) {
      assertThat(checkpoint.folder()).isEqualTo(folder);
      assertThat(read(checkpoint, "w")).containsExactly(0, 1, 2, 3);
    }
  }

  @Test
  void aSymbolicLinkIsFollowed() throws IOException {
    Path blob = Files.write(folder.resolve("blob"), one(4).bytes());
    Files.createSymbolicLink(folder.resolve("pytorch_model.bin"), blob);

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.names()).containsExactly("w");
    }
  }

  private void writeIndex(String json) throws IOException {
    Files.writeString(folder.resolve("pytorch_model.bin.index.json"), json.replace('\'', '"'));
  }

  @Test
  void aShardWhoseNameNoFileCanHaveIsRefused() throws IOException {
    writeIndex("{'weight_map':{'w':'\\ud800.bin'}}");
    assertRefused("a shard must be a .bin file of the same folder");
  }

  @Test
  void shardsAreReadByTheirIndex() throws IOException {
    Files.write(folder.resolve("a.bin"), one(4).bytes());
    Files.write(
        folder.resolve("b.bin"), new TorchFile().tensor("v", DType.F32, counting(2), 2).bytes());
    writeIndex("{'metadata':{},'weight_map':{'w':'a.bin','v':'b.bin'}}");

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.names()).containsExactly("v", "w");
      assertThat(checkpoint.tensor("w").file()).isEqualTo(folder.resolve("a.bin"));
      assertThat(read(checkpoint, "v")).containsExactly(0, 1);
    }
  }

  @Test
  void anIndexThatDoesNotFitIsRefused() throws IOException {
    Files.write(folder.resolve("a.bin"), one(4).bytes());
    writeIndex("{'weight_map':{'w':'../a.bin'}}");
    assertRefused("a .bin file of the same folder, named without a path");
    writeIndex("{'weight_map':{'w':'a.safetensors'}}");
    assertRefused("a .bin file");
    writeIndex("{'weight_map':{'w':'missing.bin'}}");
    assertRefused("which is not in the folder");
    writeIndex("{'weight_map':{'w':'a.bin','v':'a.bin'}}");
    assertRefused("promises tensor 'v'");
    writeIndex("{'weight_map':{'v':'a.bin'}}");
    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("holds tensor 'w'");
  }

  @Test
  void safetensorsIsPreferred() throws IOException {
    write("not a PyTorch file".getBytes(StandardCharsets.UTF_8));
    CheckpointWriter.builder(folder.resolve("sub"))
        .config(RandomCheckpoint.config("llama").build())
        .tensor("s", DType.F32, 1)
        .build()
        .write((name, out) -> out.write(ByteBuffer.wrap(floats(5))));
    Files.copy(folder.resolve("sub/model.safetensors"), folder.resolve("model.safetensors"));

    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertThat(checkpoint.names()).containsExactly("s");
    }
  }
}
