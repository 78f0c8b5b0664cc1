package org.alpaca4j.core.internal.pickle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class UnpicklerTest {
  private static Object load(byte[] pickle) throws IOException {
    return new Unpickler(PickleInput.of(pickle), PickleGlobals.NONE).load();
  }

  private static PickleWriter pickle() {
    return new PickleWriter();
  }

  /** Python values with their pickles, from {@code pickle.dumps(value, protocol).hex()}. */
  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '"',
      value = {
        "None, 4e2e",
        "True, 4930310a2e",
        "False, 8002892e",
        "7, 49370a2e",
        "-3, 80024afdffffff2e",
        "255, 80024bff2e",
        "65535, 80024dffff2e",
        "1180591620717411303424, 80028a090000000000000000402e",
        "-1180591620717411303424, 80028a090000000000000000c02e",
        "0, 80028a002e",
        "12, 4c31324c0a2e",
        "1.5, 46312e350a2e",
        "1.5, 8002473ff80000000000002e",
        "'ab', 53276162270a2e",
        "'ab', 5661620a2e",
        "'ab', 8002580200000061622e",
        "'ab', 8004550261622e",
        "'ü', 80049506000000000000008c02c3bc942e",
        "'ab', 80048d020000000000000061622e",
      })
  void plainValuesOfEveryProtocolAreRead(String expected, String hex) throws IOException {
    Object value = load(HexFormat.of().parseHex(hex));

    assertThat(python(value)).isEqualTo(expected);
  }

  private static String python(Object value) {
    if (value instanceof PickleNone) {
      return "None";
    } else if (value instanceof Boolean truth) {
      return truth ? "True" : "False";
    }
    return value instanceof String text ? "'" + text + "'" : value.toString();
  }

  @ParameterizedTest
  @CsvSource({"I7", "L12L", "Vab", "p3", "(t", "(l", "(d"})
  void anOperationAllocatesLittleMoreThanItsBytes(String operation) throws IOException {
    PickleWriter many = pickle().ops("N");
    for (int i = 0; i < 5000; i++) {
      many.ops(operation).ops(operation.startsWith("(") ? "" : "\n");
    }
    byte[] pickle = many.ops(operation.startsWith("p") ? "." : "(t.").stop();
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();

    long allocated = 0;
    for (int run = 0; run < 3; run++) { // the first one loads classes
      long before = threads.getThreadAllocatedBytes(Thread.currentThread().getId());
      try {
        load(pickle);
      } catch (PickleException e) {
        assertThat(e).hasMessageContaining("further values on the stack");
      }
      allocated = threads.getThreadAllocatedBytes(Thread.currentThread().getId()) - before;
    }

    assertThat(allocated / pickle.length).isLessThan(64);
  }

  @Test
  void containersAreRead() throws IOException {
    byte[] pickle =
        pickle()
            .ops("}(")
            .text("list")
            .ops("](K\u0001K\u0002e")
            .text("tuples")
            .ops("()K\u0001\u0085K\u0001K\u0002\u0086K\u0001K\u0002K\u0003\u0087t")
            .ops("u")
            .text("one")
            .ops("]Na")
            .ops("s")
            .stop();

    PickleDict dict = (PickleDict) load(pickle);

    assertThat(dict.size()).isEqualTo(3);
    assertThat(dict.key(0)).isEqualTo("list");
    assertThat(((PickleList) dict.value(0)).items()).containsExactly(1L, 2L);
    assertThat(((PickleTuple) dict.value(1)).items())
        .extracting(tuple -> ((PickleTuple) tuple).items().size())
        .containsExactly(0, 1, 2, 3);
    assertThat(((PickleList) dict.value(2)).items()).containsExactly(PickleNone.NONE);
  }

  @Test
  void theMemoGivesTheSameValueAgain() throws IOException {
    byte[] pickle = pickle().ops("(]q\u0000h\u0000]\u0094h\u0001t").stop();

    List<Object> items = ((PickleTuple) load(pickle)).items();

    assertThat(items.get(1)).isSameAs(items.get(0));
    assertThat(items.get(3)).isSameAs(items.get(2)).isNotSameAs(items.get(0));
  }

  @Test
  void aListMayContainItself() throws IOException {
    PickleList list = (PickleList) load(pickle().ops("]q\u0000h\u0000a").stop());

    assertThat(list.items().get(0)).isSameAs(list);
  }

  @Test
  void nestingOfAnyDepthIsReadWithoutRecursion() throws IOException {
    Object value = load(pickle().ops(")").ops("\u0085".repeat(1_000_000)).stop());

    assertThat(value).isInstanceOf(PickleTuple.class);
  }

  @Test
  void severalPicklesFollowEachOther() throws IOException {
    PickleInput input = PickleInput.of(new byte[] {'K', 1, '.', 'K', 2, '.'});

    assertThat(new Unpickler(input, PickleGlobals.NONE).load()).isEqualTo(1L);
    assertThat(input.position()).isEqualTo(3);
    assertThat(new Unpickler(input, PickleGlobals.NONE).load()).isEqualTo(2L);
  }

  @Test
  void anIntegerOfManyBytesIsExact() throws IOException {
    BigInteger magic = new BigInteger("1950a86a20f9469cfc6c", 16);

    assertThat(load(pickle().integer(magic).stop())).isEqualTo(magic);
  }

  private static void assertRefused(String message, byte[] pickle) {
    assertThatThrownBy(() -> load(pickle))
        .isInstanceOf(PickleException.class)
        .hasMessageContaining(message)
        .hasMessageContaining("at offset");
  }

  @Test
  void aGlobalIsRefusedByNameAndOffset() {
    assertRefused(
        "the global os.system is not permitted; only tensors and plain containers are (at offset 3",
        pickle().ops("(").global("os", "system").text("echo").ops("tR").stop());
    assertRefused("posix.system", pickle().text("posix").text("system").raw(0x93).ops(")R").stop());
    assertRefused("os.system", pickle().ops("(Vecho\nios\nsystem\n").stop());
  }

  @Test
  void controlCharactersOfANameStayOutOfTheMessage() {
    assertRefused("os.sys?tem is", pickle().global("os", "sys\u001btem").stop());
  }

  @Test
  void whatMakesObjectsIsRefused() {
    assertRefused("OBJ", pickle().ops("(No").stop());
    assertRefused("NEWOBJ", pickle().ops("N)").raw(0x81).stop());
    assertRefused("NEWOBJ_EX", pickle().ops("N)}").raw(0x92).stop());
    assertRefused("EXT", pickle().raw(0x82, 1).stop());
    assertRefused("PERSID", pickle().ops("Px\n").stop());
    assertRefused("out-of-band", pickle().raw(0x97).stop());
    assertRefused("opcode 0xff", pickle().raw(0xff).stop());
    assertRefused("a call is not permitted", pickle().ops("N)R").stop());
    assertRefused("a persistent id", pickle().ops("NQ").stop());
  }

  @Test
  void attributesAreIgnoredOnADictAndRefusedElsewhere() throws IOException {
    byte[] state = pickle().ops("}}").text("_metadata").ops("Nsb").stop();
    assertThat(load(state)).isInstanceOf(PickleDict.class);

    assertRefused("'__class__'", pickle().ops("}}").text("__class__").ops("Nsb").stop());
    assertRefused("BUILD", pickle().ops("]}b").stop());
  }

  @Test
  void aClaimedLengthIsComparedWithWhatIsLeft() {
    assertRefused("4611686018427387904", pickle().raw(0x8d).littleEndian(1L << 62, 8).stop());
    assertRefused("18446744073709551615 bytes", pickle().raw(0x8e).littleEndian(-1, 8).stop());
    assertRefused("only 1 are left", pickle().ops("X").littleEndian(100, 4).stop());
    assertRefused("bytes are claimed", pickle().raw(0x95).littleEndian(1L << 62, 8).stop());
    assertRefused("the limit is 256", pickle().raw(0x8b).littleEndian(Integer.MAX_VALUE, 4).stop());
    assertRefused("the limit is 256", pickle().raw(0x8b).littleEndian(-5, 4).stop());
    assertRefused("a line has more", pickle().ops("c" + "x".repeat(2000) + "\n\n").stop());
    assertRefused("is no integer", pickle().ops("L" + "9".repeat(700) + "\n").stop());
  }

  @Test
  void theMemoIsNoLargerThanThePickle() {
    assertRefused("memo is set", pickle().ops("]r").littleEndian(0xffffffffL, 4).stop());
    assertRefused("never set", pickle().ops("h\u0007").stop());
    assertRefused("never set", pickle().ops("j").littleEndian(0xffffffffL, 4).stop());
    assertRefused("no number in the memo", pickle().ops("]p-1\n").stop());
  }

  @Test
  void theStackIsNotReadBelowItsEnd() {
    List<byte[]> pickles = new ArrayList<>();
    for (String ops : List.of("\u0087", "e", "u", "s", "a", "R", "Q", "b", "0", "1", "2")) {
      pickles.add(pickle().ops(ops).stop());
      pickles.add(pickle().ops("N(" + ops + "0").stop()); // N lies below the mark
    }
    pickles.add(pickle().ops("t").stop());
    pickles.add(new byte[] {'.'});

    assertThat(pickles)
        .allSatisfy(
            pickle ->
                assertThatThrownBy(() -> load(pickle))
                    .as(new String(pickle, StandardCharsets.ISO_8859_1))
                    .isInstanceOf(PickleException.class));
  }

  @Test
  void malformedPicklesAreRefused() {
    assertRefused("ends in the middle", new byte[] {(byte) 0x80, 2, '}'});
    assertRefused("protocol 6", new byte[] {(byte) 0x80, 6, 'N', '.'});
    assertRefused("further values", pickle().ops("NN").stop());
    assertRefused("no list, set or dict", pickle().ops("NNa").stop());
    assertRefused("a key but no value", pickle().ops("}(Nu").stop());
    assertRefused("not UTF-8", pickle().ops("X").littleEndian(1, 4).raw(0xff).stop());
    assertRefused("arguments are no tuple", pickle().ops("NNR").stop());
    assertRefused("is no number", pickle().ops("Fx\n").stop());
    assertRefused("not in quotes", pickle().ops("Sx\n").stop());
    assertRefused("escapes", pickle().ops("V\\u0041\n").stop());
  }

  @Test
  void theNumberOfOperationsIsBounded() {
    byte[] pickle = new byte[Unpickler.MAX_OPERATIONS + 1];
    Arrays.fill(pickle, (byte) ')');

    assertRefused("more than 2000000 operations", pickle);
  }
}
