package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.alpaca4j.core.internal.torch.Fill;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class UnitTensorsTest {
  private static final UnitLayout LAYOUT = layout();

  private NDManager scope;

  private static UnitLayout layout() {
    UnitLayout.Builder builder = new UnitLayout.Builder("unit");
    builder.add("norm", Weight.of("norm", 2), UnitLayout.PLAIN);
    builder.add(
        "qk", Weight.stacked(Weight.of("q", 2, 2), Weight.of("k", 1, 2)), UnitLayout.DECAYED);
    builder.add("bias", Weight.of("bias", 3), UnitLayout.PLAIN);
    return builder.build();
  }

  @BeforeEach
  void open() {
    Torch.initialize();
    scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void argumentsAndParametersAreViewsOfTheFlats() {
    UnitTensors unit = UnitTensors.zeros(scope, LAYOUT, DType.F32);
    assertThat(unit.arguments())
        .extracting(NDArray::getShape)
        .containsExactly(new Shape(2), new Shape(3, 2), new Shape(3));

    Fill.with(unit.argument("norm"), 1);
    Fill.with(unit.parameter(scope, LAYOUT.parameters().get(2)), 2);
    Fill.with(unit.argument("bias"), 3);

    assertThat(unit.flat(UnitLayout.DECAYED).toFloatArray()).containsExactly(0, 0, 0, 0, 2, 2);
    assertThat(unit.flat(UnitLayout.PLAIN).toFloatArray()).containsExactly(1, 1, 3, 3, 3);
    assertThat(unit.argument("qk").toFloatArray()).containsExactly(0, 0, 0, 0, 2, 2);
    Fill.with(unit.flat(UnitLayout.DECAYED), 4);
    assertThat(unit.argument("qk").toFloatArray()).containsOnly(4);
  }

  @Test
  void copyingConvertsTheTypeAndLeavesTheSourceAlone() {
    UnitTensors single = UnitTensors.zeros(scope, LAYOUT, DType.F32);
    Fill.with(single.argument("qk"), 1.00390625);
    Fill.with(single.argument("bias"), -3);
    UnitTensors half = UnitTensors.empty(scope, LAYOUT, DType.BF16, DType.F32);

    half.copyFrom(single);

    UnitTensors back = UnitTensors.zeros(scope, LAYOUT, DType.F32);
    back.copyFrom(half);
    assertThat(back.argument("norm").toFloatArray()).containsOnly(0);
    assertThat(back.argument("qk").toFloatArray()).containsOnly(1);
    assertThat(back.argument("bias").toFloatArray()).containsOnly(-3);
    assertThat(single.argument("qk").toFloatArray()).containsOnly(1.00390625f);
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void aParameterIsWrittenInAnyWeightType(DType dtype) throws IOException {
    UnitTensors unit = UnitTensors.zeros(scope, LAYOUT, DType.F32);
    Fill.with(unit.argument("qk"), -1);
    Fill.with(unit.parameter(scope, LAYOUT.parameters().get(1)), 0.5);
    ByteArrayOutputStream out = new ByteArrayOutputStream();

    unit.write(LAYOUT.parameters().get(1), dtype, Channels.newChannel(out));

    ByteBuffer bytes = ByteBuffer.wrap(out.toByteArray()).order(ByteOrder.LITTLE_ENDIAN);
    assertThat(bytes.remaining()).isEqualTo(4 * dtype.bytes());
    switch (dtype) {
      case F32 -> assertThat(bytes.getFloat(12)).isEqualTo(0.5f);
      case BF16 -> assertThat(bytes.getShort(6)).isEqualTo((short) 0x3f00);
      default -> assertThat(bytes.getShort(6)).isEqualTo((short) 0x3800);
    }
  }

  @Test
  void aParameterOfMoreThanOnePieceIsWrittenWhole() throws IOException {
    long columns = (1 << 22) + 3;
    UnitLayout.Builder builder = new UnitLayout.Builder("large");
    builder.add("before", Weight.of("before", 1, 5), UnitLayout.DECAYED);
    builder.add("large", Weight.of("large", 1, columns), UnitLayout.DECAYED);
    UnitLayout layout = builder.build();
    try (UnitTensors unit = UnitTensors.zeros(scope, layout, DType.BF16)) {
      Fill.with(Tensors.view(scope, unit.argument("large").reshape(-1), columns - 4, 4), 1);
      ByteArrayOutputStream out = new ByteArrayOutputStream();

      unit.write(layout.parameters().get(1), DType.BF16, Channels.newChannel(out));

      byte[] bytes = out.toByteArray();
      assertThat(bytes).hasSize(Math.toIntExact(2 * columns));
      int zeros = 0;
      while (bytes[zeros] == 0) {
        zeros++;
      }
      assertThat(zeros).isEqualTo(Math.toIntExact(2 * (columns - 4)));
    }
  }

  @Test
  void matricesMayLieInATensorThatIsThereAlready() {
    NDArray room = Tensors.zeros(scope, 10, DType.F32);
    try (UnitTensors unit = UnitTensors.over(scope, LAYOUT, room, DType.F32)) {
      Fill.with(unit.argument("qk"), 5);
      assertThat(unit.flat(UnitLayout.PLAIN).getShape()).isEqualTo(new Shape(5));
    }
    assertThat(room.toFloatArray()).containsExactly(5, 5, 5, 5, 5, 5, 0, 0, 0, 0);
  }

  @Test
  void closingFreesWhatWasAllocatedAndNothingElse() {
    int before = scope.getManagedArrays().size();
    UnitTensors unit = UnitTensors.zeros(scope, LAYOUT, DType.F32);
    NDArray flat = unit.flat(UnitLayout.DECAYED);
    unit.close();
    assertThat(flat.isReleased()).isTrue();
    assertThat(scope.getManagedArrays()).hasSize(before);
  }
}
