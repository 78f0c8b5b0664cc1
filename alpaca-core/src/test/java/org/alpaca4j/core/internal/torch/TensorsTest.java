package org.alpaca4j.core.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.alpaca4j.core.DType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class TensorsTest {
  @TempDir Path folder;

  private NDManager scope;

  @BeforeEach
  void open() {
    Torch.initialize();
    scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void zerosOfEveryWeightTypeAreZeros(DType dtype) {
    NDArray zeros = Tensors.zeros(scope, 5, dtype);

    assertThat(zeros.getShape()).isEqualTo(new Shape(5));
    assertThat(zeros.getManager()).isEqualTo(scope);
    assertThat(bytes(zeros, 0, 5, dtype)).hasSize(5 * dtype.bytes()).containsOnly(0);
  }

  /** 1 + 2^-8 lies midway between two numbers of bfloat16, and so does 1 + 3 * 2^-8. */
  @Test
  void castingToBfloat16RoundsToTheNearestAndMidwayToEven() {
    NDArray x = scope.create(new float[] {1f, -2.5f, 1.00390625f, 1.01171875f, 1e38f, 1e-40f});

    NDArray half = Tensors.cast(scope, x, DType.BF16);

    assertThat(bytes(half, 0, 4, DType.BF16))
        .containsExactly(0x80, 0x3f, 0x20, 0xc0, 0x80, 0x3f, 0x82, 0x3f);
    assertThat(Tensors.cast(scope, half, DType.F32).toFloatArray())
        .startsWith(1f, -2.5f, 1f, 1.015625f);
    assertThat(x.toFloatArray()).startsWith(1f, -2.5f, 1.00390625f);
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void copyingConvertsTheType(DType dtype) {
    NDArray target = Tensors.empty(scope, 3, dtype);

    Tensors.copy(target, scope.create(new float[] {0.5f, -1.25f, 96f}));

    assertThat(Tensors.cast(scope, target, DType.F32).toFloatArray())
        .containsExactly(0.5f, -1.25f, 96f);
  }

  @Test
  void copyingBetweenDifferentShapesIsRefused() {
    NDArray target = Tensors.zeros(scope, 3, DType.BF16);
    NDArray source = Tensors.zeros(scope, 2, DType.F32);
    assertThatThrownBy(() -> Tensors.copy(target, source))
        .isInstanceOf(EngineException.class)
        .hasMessageContaining("copy_");
  }

  @Test
  void readingHandsOutAPartAsLittleEndianBytesOfAnotherType() {
    NDArray x = scope.create(new float[] {1f, -2f, 0.5f, 3f}).reshape(2, 2);

    assertThat(bytes(x, 1, 3, DType.BF16)).containsExactly(0x00, 0xc0, 0x00, 0x3f);
    assertThat(bytes(x, 1, 2, DType.F32)).containsExactly(0, 0, 0, 0xc0);
    assertThat(bytes(x, 3, 4, DType.F16)).containsExactly(0x00, 0x42);
    assertThat(bytes(x, 2, 2, DType.F32)).isEmpty();
  }

  @Test
  void aViewWritesThrough() {
    NDArray flat = Tensors.zeros(scope, 6, DType.F32);

    Fill.with(Tensors.view(scope, flat, 2, 1, 3), 0.5);

    assertThat(flat.toFloatArray()).containsExactly(0, 0, 0.5f, 0.5f, 0.5f, 0);
  }

  @Test
  void aViewOutlivesTheHandleThatItWasMadeFrom() {
    NDArray flat = Tensors.zeros(scope, 4, DType.F32);
    NDArray view = Tensors.view(scope, flat, 1, 2);
    Fill.with(flat, 3);
    flat.close();
    assertThat(view.toFloatArray()).containsExactly(3f, 3f);
  }

  @Test
  void aViewBeyondTheEndIsRefused() {
    NDArray flat = Tensors.zeros(scope, 6, DType.F32);
    assertThatThrownBy(() -> Tensors.view(scope, flat, 4, 3)).isInstanceOf(EngineException.class);
  }

  @Test
  void zeroingAndFillingReachBfloat16() {
    NDArray x = Tensors.empty(scope, 2, DType.BF16);
    Fill.with(x, -1.5);
    assertThat(Tensors.cast(scope, x, DType.F32).toFloatArray()).containsOnly(-1.5f);
    Tensors.zero(x);
    assertThat(bytes(x, 0, 2, DType.BF16)).containsOnly(0);
  }

  @Test
  void normalValuesDependOnTheSeedAlone() {
    int count = 20_000;
    NDArray x = Tensors.empty(scope, count, DType.F32);
    NDArray y = Tensors.empty(scope, count, DType.F32);
    Tensors.fillNormal(x, 0.02, 7);
    Tensors.fillNormal(y, 0.02, 7);
    assertThat(x.toFloatArray()).isEqualTo(y.toFloatArray());

    double sum = 0;
    double squares = 0;
    for (float value : x.toFloatArray()) {
      sum += value;
      squares += value * value;
    }
    assertThat(sum / count).isBetween(-0.001, 0.001);
    assertThat(Math.sqrt(squares / count)).isBetween(0.0195, 0.0205);

    Tensors.fillNormal(y, 0.02, 8);
    assertThat(x.toFloatArray()).isNotEqualTo(y.toFloatArray());
  }

  @Test
  void aMatrixThatGrowsHasTheMeanInItsNewRows() {
    NDArray target = Tensors.view(scope, Tensors.empty(scope, 10, DType.F32), 0, 5, 2);

    Tensors.copyGrowing(target, scope.create(new float[] {1, -1, 2, -4, 6, -10}, new Shape(3, 2)));

    assertThat(target.toFloatArray()).containsExactly(1, -1, 2, -4, 6, -10, 3, -5, 3, -5);
  }

  /** In bfloat16 itself the sum of 1,000 ones would stay at 256. */
  @Test
  void theMeanOfBfloat16RowsIsTakenInSinglePrecision() {
    NDArray source = Tensors.empty(scope, 1000, DType.BF16);
    Fill.with(source, 1);
    NDArray target = Tensors.empty(scope, 1001, DType.BF16);

    Tensors.copyGrowing(
        Tensors.view(scope, target, 0, 1001, 1), Tensors.view(scope, source, 0, 1000, 1));

    assertThat(Tensors.cast(scope, target, DType.F32).toFloatArray()).hasSize(1001).containsOnly(1);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 4, 8, 1, 2, 3, 7})
  void aTensorIsReadFromAnyOffsetOfAMappedFile(int offset) throws IOException {
    ByteBuffer file = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN);
    file.position(offset).putFloat(1.5f).putFloat(-2f).putFloat(1e-3f).putFloat(7f);
    NDArray mapped = map("weights", file.array());

    NDArray x = Tensors.interpret(scope, mapped, offset, 16, DType.F32, 2, 2);

    assertThat(x.getShape()).isEqualTo(new Shape(2, 2));
    assertThat(x.toFloatArray()).containsExactly(1.5f, -2f, 1e-3f, 7f);
  }

  @ParameterizedTest
  @ValueSource(ints = {6, 5})
  void bfloat16IsReadFromAMappedFile(int offset) throws IOException {
    byte[] file = new byte[12];
    file[offset] = (byte) 0x20;
    file[offset + 1] = (byte) 0xc0;
    file[offset + 2] = (byte) 0x80;
    file[offset + 3] = (byte) 0x3f;
    NDArray mapped = map("weights", file);

    NDArray x = Tensors.interpret(scope, mapped, offset, 4, DType.BF16, 2);

    assertThat(Tensors.cast(scope, x, DType.F32).toFloatArray()).containsExactly(-2.5f, 1f);
  }

  @Test
  void aScalarAndAnEmptyTensorAreReadFromAMappedFile() throws IOException {
    byte[] file = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(3f).array();
    NDArray mapped = map("weights", file);

    assertThat(Tensors.interpret(scope, mapped, 0, 4, DType.F32).getFloat()).isEqualTo(3f);
    assertThat(Tensors.interpret(scope, mapped, 4, 0, DType.F32, 0, 7).getShape())
        .isEqualTo(new Shape(0, 7));
  }

  @Test
  void theFileStaysAsItIsWhenAMappedTensorIsChanged() throws IOException {
    NDArray mapped = map("weights", new byte[] {1, 2, 3, 4});

    Tensors.zero(mapped);

    assertThat(mapped.toUint8Array()).containsOnly(0);
    assertThat(Files.readAllBytes(folder.resolve("weights"))).containsExactly(1, 2, 3, 4);
  }

  @Test
  void aMappedTensorOutlivesTheMapping() throws IOException {
    NDArray mapped = map("weights", new byte[] {0, 0, (byte) 0x80, 0x3f});
    NDArray x = Tensors.interpret(scope, mapped, 0, 4, DType.F32, 1);
    mapped.close();
    assertThat(x.getFloat()).isEqualTo(1f);
  }

  @Test
  void aFileBeyondTwoGibibytesIsReadNearItsEnd() throws IOException {
    long size = (1L << 32) + 4096; // sparse: takes no room on the disk
    Path path = folder.resolve("large");
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.setLength(size);
      file.seek(size - 8);
      file.write(new byte[] {0, 0, (byte) 0x80, 0x3f, 0, 0, 0x20, (byte) 0xc0});
    }
    NDArray mapped = Tensors.map(scope, path, size);

    assertThat(mapped.getShape()).isEqualTo(new Shape(size));
    assertThat(Tensors.interpret(scope, mapped, size - 8, 8, DType.F32, 2).toFloatArray())
        .containsExactly(1f, -2.5f);
    NDArray all = Tensors.interpret(scope, mapped, 0, size, DType.F32, size / 8, 2);
    assertThat(all.getShape()).isEqualTo(new Shape(size / 8, 2));
    assertThat(bytes(all, size / 4 - 1, size / 4, DType.F32)).containsExactly(0, 0, 0x20, 0xc0);
  }

  @Test
  void aPathWithForeignCharactersIsMapped() throws IOException {
    assertThat(map("Gewichte 東京 ü'\".bin", new byte[] {42}).toUint8Array()).containsExactly(42);
  }

  @Test
  void aMissingOrShorterFileIsAnError() throws IOException {
    Path path = Files.write(folder.resolve("short"), new byte[10]);
    assertThatThrownBy(() -> Tensors.map(scope, path, 5000)).isInstanceOf(EngineException.class);
    assertThatThrownBy(() -> Tensors.map(scope, folder.resolve("absent"), 4))
        .isInstanceOf(EngineException.class)
        .hasMessageContaining("absent");
  }

  @ParameterizedTest
  @ValueSource(ints = {4, 5})
  void aTensorBeyondTheEndOfAMappedFileIsAnError(int offset) throws IOException {
    NDArray mapped = map("weights", new byte[12]);
    assertThatThrownBy(() -> Tensors.interpret(scope, mapped, offset, 12, DType.F32, 3))
        .isInstanceOf(EngineException.class);
    assertThat(Files.size(folder.resolve("weights"))).isEqualTo(12);
  }

  private NDArray map(String name, byte[] content) throws IOException {
    Path path = Files.write(folder.resolve(name), content);
    return Tensors.map(scope, path, content.length);
  }

  private static int[] bytes(NDArray array, long from, long to, DType dtype) {
    int[][] result = new int[1][];
    Tensors.read(
        array,
        from,
        to,
        dtype,
        buffer -> {
          result[0] = new int[buffer.remaining()];
          for (int i = 0; i < result[0].length; i++) {
            result[0][i] = Byte.toUnsignedInt(buffer.get());
          }
        });
    return result[0];
  }
}
