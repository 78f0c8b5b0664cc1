package org.alpaca4j.core.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TorchProgramTest {
  private static TorchProgram calls;

  private NDManager scope;

  @BeforeAll
  static void load() {
    calls = TorchProgram.load(Device.cpu(), TorchProgramTest.class, Map.of(), "calls.py");
  }

  @AfterAll
  static void free() {
    calls.close();
  }

  @BeforeEach
  void open() {
    scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @ParameterizedTest
  @ValueSource(
      longs = {
        0,
        1,
        -1,
        127,
        128,
        255,
        256,
        -128,
        -129,
        -256,
        65_535,
        65_536,
        -65_537,
        Integer.MAX_VALUE,
        Integer.MIN_VALUE,
        1L << 31,
        1L << 32,
        -(1L << 31) - 1,
        Long.MAX_VALUE,
        Long.MIN_VALUE
      })
  void aWholeConstantArrivesAsItIs(long value) {
    assertThat(constant("whole", "a_whole", value).getLong()).isEqualTo(value);
  }

  @ParameterizedTest
  @ValueSource(
      doubles = {
        0,
        -0.0,
        1e-6,
        -1.0 / 3,
        Double.MAX_VALUE,
        Double.MIN_VALUE,
        Double.NEGATIVE_INFINITY,
        Double.NaN
      })
  void aRealConstantArrivesToTheLastBit(double value) {
    assertThat(constant("real", "a_real", value).getDouble()).isEqualTo(Double.valueOf(value));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aTruthValueArrives(boolean value) {
    assertThat(constant("truth", "a_truth", value).getLong()).isEqualTo(value ? 1 : 0);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "plain", "Köln/東京/😀", "quotes \" and ' and \\ back\nline", "nul \0 inside"})
  void aTextArrivesAsUtf8(String value) {
    byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
    long[] codes = new long[utf8.length];
    for (int i = 0; i < utf8.length; i++) {
      codes[i] = Byte.toUnsignedLong(utf8[i]);
    }
    assertThat(constant("utf8", "a_text", value).toLongArray()).containsExactly(codes);
  }

  private NDArray constant(String method, String name, Object value) {
    try (TorchProgram program = program(Map.of(name, value))) {
      return program.callForOne(scope, method, scope.create(0f));
    }
  }

  static Stream<long[]> lists() {
    return Stream.of(
        new long[0],
        new long[] {0},
        new long[] {-1, 255, 256, Long.MIN_VALUE, Long.MAX_VALUE},
        LongStream.range(-500, 500).toArray());
  }

  @ParameterizedTest
  @MethodSource("lists")
  void aListOfWholeNumbersArrives(long[] values) {
    assertThat(constant("wholes", "a_list", values).toLongArray()).containsExactly(values);
  }

  @Test
  void aListOfRealNumbersArrivesToTheLastBit() {
    double[] values = {0, -0.0, 1e-6, -1.0 / 3, Double.MIN_VALUE, Double.POSITIVE_INFINITY};
    assertThat(constant("reals", "a_real_list", values).toDoubleArray()).containsExactly(values);
    assertThat(constant("reals", "a_real_list", new double[0]).isEmpty()).isTrue();
  }

  @Test
  void aProgramKeepsItsStateBetweenCallsAndSharesItWithNoOther() {
    try (TorchProgram one = program(Map.of());
        TorchProgram two = program(Map.of())) {
      try (NDManager inner = scope.newSubManager()) {
        one.run("keep", inner.create(2f));
        one.run("keep", inner.create(5f));
        two.run("keep", inner.create(11f));
      }
      assertThat(one.callForOne(scope, "sum_kept", scope.create(0f)).getFloat()).isEqualTo(7f);
      assertThat(two.callForOne(scope, "sum_kept", scope.create(0f)).getFloat()).isEqualTo(11f);
    }
  }

  /** Loads constants.py with some values or other but for those given. */
  private static TorchProgram program(Map<String, Object> given) {
    Map<String, Object> constants = new HashMap<>();
    constants.put("a_whole", 3L);
    constants.put("a_real", 0.5);
    constants.put("a_truth", true);
    constants.put("a_text", "text");
    constants.put("a_list", new long[] {7});
    constants.put("a_real_list", new double[] {0.25});
    constants.put("kept", TorchProgram.State.TENSORS);
    constants.putAll(given);
    return TorchProgram.load(Device.cpu(), TorchProgramTest.class, constants, "constants.py");
  }

  @Test
  void aConstantOfAnotherTypeIsRefused() {
    assertThatThrownBy(() -> constant("whole", "a_whole", 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("Long, Double, Boolean, String, long[], double[] or State")
        .hasMessageContaining("Integer");
  }

  @Test
  void aProgramThatDoesNotCompileFailsAtLoadWithTheLine() {
    assertThatThrownBy(
            () -> TorchProgram.load(Device.cpu(), TorchProgramTest.class, Map.of(), "broken.py"))
        .isInstanceOf(EngineException.class)
        .hasMessageContaining("return torch.no_such_operator(x)");
  }

  @Test
  void aProgramWithoutMethodsOrWithoutAFileIsRefusedByName() {
    assertThatThrownBy(
            () -> TorchProgram.load(Device.cpu(), TorchProgramTest.class, Map.of(), "unmarked.py"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("unmarked.py has no line '# methods'");
    assertThatThrownBy(
            () -> TorchProgram.load(Device.cpu(), TorchProgramTest.class, Map.of(), "absent.py"))
        .hasMessageContaining("no resource absent.py");
  }

  @Test
  void aRunTimeErrorShowsTheLineOfTheProgramAndLeavesItUsable() {
    NDArray x = scope.ones(new Shape(2, 3));

    assertThatThrownBy(() -> calls.call(scope, "joined", x, x.duplicate()))
        .isInstanceOf(EngineException.class)
        .hasMessageContaining("return torch.mm(x, y)")
        .hasMessageContaining("2x3");
    assertThat(calls.callForOne(scope, "doubled", x).toFloatArray()).containsOnly(2f);
  }

  @Test
  void anUnknownMethodIsRefused() {
    assertThatThrownBy(() -> calls.call(scope, "unknown", scope.create(1f)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("calls.py.unknown: no such method of 1 tensors and lists");
  }

  @Test
  void aMethodWithOtherArgumentsIsRefused() {
    NDArray x = scope.create(1f);
    assertThatThrownBy(() -> calls.call(scope, "doubled", x, x))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("calls.py.doubled: no such method of 2 tensors and lists");
  }

  @Test
  void listsAndTensorsArriveInTheirPlaces() {
    NDArray[] first = {scope.create(2f), scope.create(3f), scope.create(5f)};
    NDArray[] second = {scope.create(10f), scope.create(100f), scope.create(1000f)};
    NDArray x = scope.create(7f);

    assertThat(calls.callForOne(scope, "weighted", first, x, second).getFloat()).isEqualTo(5327f);
  }

  @Test
  void whereATensorWasPassedBeforeDoesNotMatter() {
    NDArray[] first = {scope.create(2f)};
    NDArray[] second = {scope.create(10f)};
    NDArray x = scope.create(7f);
    calls.call(scope, "weighted", first, x, second);

    NDArray[] listOfX = {x};
    assertThat(calls.callForOne(scope, "weighted", second, first[0], listOfX).getFloat())
        .isEqualTo(72f);
  }

  @Test
  void aListOrATupleComesBackFlatAndOwnedByTheScope() {
    NDArray x = scope.create(1f);
    try (NDManager inner = scope.newSubManager()) {
      NDList list = calls.call(inner, "listed", x);
      NDList tuple = calls.call(inner, "paired", x);

      assertThat(list).extracting(NDArray::getFloat).containsExactly(1f, 2f, 3f);
      assertThat(tuple).extracting(NDArray::getFloat).containsExactly(2f, 3f);
      assertThat(list).extracting(NDArray::getManager).containsOnly(inner);
      assertThat(tuple).extracting(NDArray::getManager).containsOnly(inner);
    }
    assertThat(x.getFloat()).isEqualTo(1f);
  }

  @Test
  void aTensorMayBePassedInSeveralPlaces() {
    NDArray x = scope.create(3f);
    NDArray y = scope.create(2f);
    NDArray[] list = {x, x};

    assertThat(calls.callForOne(scope, "weighted", list, x, new NDArray[] {y, y}).getFloat())
        .isEqualTo(15f);
    assertThat(calls.callForOne(scope, "weighted", list, y, list).getFloat()).isEqualTo(20f);
    NDArray[] longer = {x, y, x};
    assertThat(calls.callForOne(scope, "weighted", longer, x, longer).getFloat()).isEqualTo(25f);
  }

  @Test
  void anyListMayBeEmpty() {
    NDArray x = scope.create(7f);
    NDArray[] none = {};
    assertThat(calls.callForOne(scope, "weighted", none, x, none).getFloat()).isEqualTo(7f);

    NDArray[] one = {scope.create(1f)};
    NDArray[] two = {scope.create(2f), scope.create(3f)};
    assertThat(lengths(one, none, two)).containsExactly(1, 0, 2);
    assertThat(lengths(none, two, one)).containsExactly(0, 2, 1);
    assertThat(lengths(none, none, two)).containsExactly(0, 0, 2);
    assertThat(lengths(two, none, none)).containsExactly(2, 0, 0);
    assertThat(lengths(none, none, none)).containsExactly(0, 0, 0);
  }

  private long[] lengths(NDArray[]... lists) {
    return calls.callForOne(scope, "lengths", (Object[]) lists).toLongArray();
  }

  @Test
  void aMethodMayTakeManyLists() {
    NDArray[][] lists = new NDArray[10][];
    for (int i = 0; i < lists.length; i++) {
      lists[i] = new NDArray[i % 3];
      Arrays.fill(lists[i], scope.create((float) Math.pow(4, i)));
    }
    Object[] arguments = new Object[lists.length + 1];
    System.arraycopy(lists, 0, arguments, 0, 9);
    arguments[9] = scope.create(0.5f);
    arguments[10] = lists[9];

    double expected = 0.5;
    for (NDArray[] list : lists) {
      for (NDArray array : list) {
        expected += array.getFloat();
      }
    }
    assertThat(calls.callForOne(scope, "sum_of_ten", arguments).getFloat())
        .isEqualTo((float) expected);
  }

  @Test
  void anArgumentOfAnotherKindIsRefused() {
    NDArray x = scope.create(1f);
    assertThatThrownBy(() -> calls.call(scope, "doubled", 1.0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("calls.py.doubled: argument 0 must be a tensor, not 1.0");
    assertThatThrownBy(() -> calls.call(scope, "doubled", (Object) new NDArray[] {x}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("calls.py.doubled: argument 0 must be a tensor");
    NDArray[] list = {x};
    assertThatThrownBy(() -> calls.call(scope, "weighted", list, x, x))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("calls.py.weighted: argument 2 must be a list");
  }

  @Test
  void severalThreadsUseOneProgramAndShareAnArgument() throws Exception {
    NDArray shared = scope.create(new float[] {1, 2, 3});
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<Future<Integer>> wrong = new ArrayList<>();
      for (int thread = 0; thread < 4; thread++) {
        int number = thread;
        wrong.add(threads.submit(() -> wrongResults(shared, number)));
      }
      for (Future<Integer> count : wrong) {
        assertThat(count.get()).isZero();
      }
    } finally {
      threads.shutdownNow();
    }
  }

  private static int wrongResults(NDArray shared, int number) {
    int wrong = 0;
    try (NDManager own = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      for (int i = 0; i < 200; i++) {
        try (NDManager step = own.newSubManager()) {
          float value = number * 1000 + i;
          NDArray[] values = {step.create(value), step.create(1f)};
          NDArray[] factors = {step.create(2f), step.create(value)};
          float[] result =
              calls.callForOne(step, "weighted", values, shared, factors).toFloatArray();
          wrong += result[0] == 3 * value + 1 && result[2] == 3 * value + 3 ? 0 : 1;
        }
      }
    }
    return wrong;
  }

  @Test
  void tenThousandCallsLeaveNothingBehind() {
    NDArray x = scope.create(1f);
    NDArray[] list = {scope.create(1f)};
    NDArray[] other = {scope.create(1f)};
    calls.run("doubled", x);
    calls.run("listed", x);
    calls.run("weighted", list, x, other);
    int inScope = scope.getManagedArrays().size();
    int inProgram = calls.manager().getManagedArrays().size();

    for (int i = 0; i < 2_500; i++) {
      calls.run("doubled", x);
      calls.run("listed", x);
      try (NDManager step = scope.newSubManager()) {
        calls.call(step, "paired", x);
        calls.call(step, "weighted", list, x, other);
      }
    }

    assertThat(scope.getManagedArrays()).hasSize(inScope);
    assertThat(calls.manager().getManagedArrays()).hasSize(inProgram + 1); // the tag of "paired"
  }

  @Test
  void aResultThatIsAnArgumentIsAHandleOfItsOwn() {
    NDArray x = scope.create(1f);
    calls.callForOne(scope, "same", x).close();
    assertThat(x.getFloat()).isEqualTo(1f);
  }
}
